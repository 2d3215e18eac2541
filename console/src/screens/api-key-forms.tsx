// Forms around API keys: create, edit, rotate, delete.
import { useState } from "preact/hooks";
import { ROLES } from "../access";
import { api, call, type Schema } from "../api/client";
import type { Problem } from "../api/problem";
import { now, useCell } from "../cell";
import { useProjects, type ApiKey, type Project } from "../data";
import { relative, timeOf } from "../format";
import { changed, useAction } from "../load";
import { mine } from "../me";
import { go } from "../route";
import { SERVER } from "../session";
import { Banner, toast } from "../ui/banner";
import { ConfirmDelete } from "../ui/dialog";
import { Check, Field, Form, Input, Select, textOf } from "../ui/form";
import { showSecret } from "../ui/secret";

const DAY = 86_400_000;

const ENDS = [
    ["30", "in 30 days"],
    ["90", "in 90 days"],
    ["365", "in 1 year"],
    ["date", "on a date"],
    ["never", "never"],
] as const;

const list = (): void => go("api-keys");

/** What is kept of a key besides its secret. */
interface Draft {
    name: string;
    role: string;
    projects: string[];
    end: string;
    day: string;
    start: string;
    note: string;
}

/** The end that a draft says, in RFC 3339, or null for a key that never ends. */
function endOf({ end, day }: Draft): string | null {
    if (end === "never") return null;
    return end === "date" ? `${day}T23:59:59Z` : new Date(Date.now() + Number(end) * DAY).toISOString();
}

/** The fields that creating and editing share. */
function Fields({ draft, set, projects, rank, tried }: {
    draft: Draft;
    set: (change: Partial<Draft>) => void;
    projects: readonly Project[];
    rank: number;
    tried: boolean;
}) {
    const roles = ROLES.filter(({ id }) => id <= Math.min(rank, 254)).map(({ id, name }) => [String(id), name] as const);
    return (
        <>
            <div class="pair">
                <Field label="Name" help="Which service uses it." error={tried && !draft.name.trim() ? "A key needs a name." : null}>
                    <Input type="text" required maxLength={100} autocomplete="off" value={draft.name} onInput={(event) => set({ name: textOf(event) })} />
                </Field>
                <Field label="Role" help="What your applications may conclude from it. USER is enough for most.">
                    <Select options={roles} value={draft.role} onChange={(event) => set({ role: textOf(event) })} />
                </Field>
            </div>
            <div class="pair">
                <Field label="Ends">
                    <Select options={ENDS} value={draft.end} onChange={(event) => set({ end: textOf(event) })} />
                </Field>
                {draft.end === "date" && (
                    <Field label="Last day (UTC)" error={tried && !draft.day ? "Choose a day." : null}>
                        <Input type="date" required min={new Date().toISOString().slice(0, 10)} value={draft.day} onInput={(event) => set({ day: textOf(event) })} />
                    </Field>
                )}
            </div>
            {draft.end === "never" && (
                <Banner tone="warn">
                    <b>A key that never ends is never replaced.</b> If it leaks, nobody may notice. Prefer an end, and rotate.
                </Banner>
            )}
            {projects.length > 0 && (
                <fieldset class="form">
                    <legend>Valid for</legend>
                    <p class="help">{draft.projects.length === 0 ? "The whole organization. Tick projects to restrict it." : "The projects that are ticked, and nothing else."}</p>
                    <div class="ticklist">
                        {projects.map(({ publicId, name }) => (
                            <Check
                                key={publicId}
                                checked={draft.projects.includes(publicId)}
                                onChange={(on) => set({ projects: on ? [...draft.projects, publicId] : draft.projects.filter((each) => each !== publicId) })}
                            >
                                {name}
                            </Check>
                        ))}
                    </div>
                </fieldset>
            )}
        </>
    );
}

/** The form for a new API key. */
export function NewApiKey() {
    const own = mine();
    const projects = useProjects().data ?? [];
    const [draft, setDraft] = useState<Draft>({ name: "", role: "0", projects: [], end: "90", day: "", start: "", note: "" });
    const [tried, setTried] = useState(false);
    const { busy, problem, run } = useAction();
    const set = (change: Partial<Draft>): void => setDraft((before) => ({ ...before, ...change }));
    const submit = (): void => {
        setTried(true);
        if (!draft.name.trim() || (draft.end === "date" && !draft.day)) return;
        run(async () => {
            const end = endOf(draft);
            const body = {
                listProjectsId: draft.projects,
                roleId: Number(draft.role),
                note: draft.note,
                userApiKey: {
                    apiName: draft.name.trim(),
                    hasExpireTime: end !== null,
                    ...(end ? { expireDateTime: end } : {}),
                    ...(draft.start ? { startDateTime: `${draft.start}T00:00:00Z` } : {}),
                },
            };
            try {
                const params = { path: { organizationId: own.orgId } };
                const { result } = await call(api.POST("/api/organizations/{organizationId}/api-keys", { params, body }));
                list();
                showApiKey(result, draft.projects, draft.note);
            } finally {
                // Even if the answer was lost, the list shows a key that was made.
                changed("api-keys");
            }
        });
    };
    return (
        <Form title="New API key" submit="Create API key" busy={busy} problem={lost(problem)} onSubmit={submit} onCancel={list}>
            <Fields draft={draft} set={set} projects={projects} rank={own.orgRole} tried={tried} />
            <div class="pair">
                <Field label="Valid from (UTC)" help="Left empty: from now on.">
                    <Input type="date" value={draft.start} onInput={(event) => set({ start: textOf(event) })} />
                </Field>
                <Field label="Note" help="Who owns the service, where the key is stored.">
                    <Input type="text" maxLength={250} autocomplete="off" value={draft.note} onInput={(event) => set({ note: textOf(event) })} />
                </Field>
            </div>
        </Form>
    );
}

/** A lost answer, with what to do about a key that may have been made. */
function lost(problem: Problem | null): Problem | null {
    if (problem?.lost) problem.message = "The answer was lost. If the list shows the new key, its secret was never shown: rotate it, or delete it.";
    return problem;
}

/** Shows the secret of a key that was just made. */
function showApiKey(made: Schema["ApiKeyResult"], projects: string[], note: string): void {
    const ending = made.hasExpireTime ? { expireDate: made.expireDate } : {};
    showSecret({
        title: "Store the new API key",
        about: `${made.name} is ready. This is the only time its secret is shown: orgkeys keeps a hash of it, and nobody can read it again.`,
        label: "The API key",
        value: made.apiKey,
        file: { name: `api-key-${made.id}.env`, text: `ORGKEYS_API_KEY=${made.apiKey}\n`, button: "Download .env line" },
        proof: {
            about: "Prove that it works:",
            command: `curl -sS "${SERVER}api/api-keys/verify?organization=${mine().orgId}" \\\n  -H "x-api-key: $ORGKEYS_API_KEY"`,
        },
        note: {
            initial: note,
            save: async (text) => {
                const { id, name, startDate, hasExpireTime, roleId } = made;
                const body = { id, name, startDate, hasExpireTime, roleId, listProjectsId: projects, note: text, ...ending };
                await call(api.PUT("/api/organizations/{organizationId}/api-keys", { params: { path: { organizationId: mine().orgId } }, body }));
                changed("api-keys");
            },
        },
    });
}

/** The form that changes an API key. */
export function EditApiKey({ apiKey, manager }: { apiKey: ApiKey; manager: boolean }) {
    const own = mine();
    const projects = useProjects().data ?? [];
    const end = apiKey.hasExpireTime ? timeOf(apiKey.expireDate) : null;
    const [draft, setDraft] = useState<Draft>({
        name: apiKey.apiKeyName,
        role: String(apiKey.roleId),
        projects: apiKey.projectsNameList.map(({ publicId }) => publicId),
        end: end === null ? "never" : "date",
        day: end === null ? "" : new Date(end).toISOString().slice(0, 10),
        start: "",
        note: apiKey.note,
    });
    const [disabled, setDisabled] = useState(apiKey.disabled);
    const [tried, setTried] = useState(false);
    const { busy, problem, run } = useAction();
    const set = (change: Partial<Draft>): void => setDraft((before) => ({ ...before, ...change }));
    const show = (): void => go(`api-keys/${apiKey.apiKeyId}`);
    const submit = (): void => {
        setTried(true);
        if (!draft.name.trim() || (draft.end === "date" && !draft.day)) return;
        run(async () => {
            // The day is kept with its time, unless another day was chosen.
            const same = end !== null && draft.end === "date" && draft.day === new Date(end).toISOString().slice(0, 10);
            const ends = same ? apiKey.expireDate : endOf(draft);
            const body = {
                id: apiKey.apiKeyId,
                name: draft.name.trim(),
                startDate: apiKey.startDate,
                hasExpireTime: Boolean(ends),
                ...(ends ? { expireDate: ends } : {}),
                roleId: Number(draft.role),
                listProjectsId: draft.projects,
                disabled,
                note: draft.note,
            };
            const project = apiKey.projectsNameList[0]?.publicId;
            if (manager || !project) {
                await call(api.PUT("/api/organizations/{organizationId}/api-keys", { params: { path: { organizationId: own.orgId } }, body }));
            } else {
                await call(api.PUT("/api/projects/{projectId}/api-keys", { params: { path: { projectId: project } }, body }));
            }
            changed("api-keys");
            show();
        });
    };
    return (
        <Form title={`Edit ${apiKey.apiKeyName}`} submit="Save" busy={busy} problem={problem} onSubmit={submit} onCancel={show}>
            <Fields draft={draft} set={set} projects={projects} rank={own.orgRole} tried={tried} />
            <Field label="Note" help="Who owns the service, where the key is stored. Do not write the secret here.">
                <Input type="text" maxLength={250} autocomplete="off" value={draft.note} onInput={(event) => set({ note: textOf(event) })} />
            </Field>
            <Check checked={disabled} onChange={setDisabled}>
                Disabled: the key is refused until you enable it again
            </Check>
        </Form>
    );
}

const OVERLAPS = [
    ["0", "now: the old key may be in the wrong hands"],
    ["3600", "in 1 hour"],
    ["86400", "in 24 hours"],
    ["604800", "in 7 days"],
] as const;

/** The form that replaces an API key by a new one. */
export function RotateApiKey({ apiKey }: { apiKey: ApiKey }) {
    const present = useCell(now);
    const [overlap, setOverlap] = useState("86400");
    const { busy, problem, run } = useAction();
    const submit = (): void =>
        run(async () => {
            const params = { path: { organizationId: mine().orgId, id: String(apiKey.apiKeyId) } };
            try {
                const { result } = await call(
                    api.POST("/api/organizations/{organizationId}/api-keys/{id}/rotate", { params, body: { overlapSeconds: Number(overlap) } }),
                );
                go(`api-keys/${result.id}`);
                showApiKey(result, apiKey.projectsNameList.map(({ publicId }) => publicId), apiKey.note);
            } finally {
                changed("api-keys");
            }
        });
    return (
        <Form
            title={`Rotate ${apiKey.apiKeyName}`}
            about={
                apiKey.lastUsed
                    ? `A new key with the same role and end takes its place. The old one was last used ${relative(timeOf(apiKey.lastUsed) ?? 0, present)}.`
                    : "A new key with the same role and end takes its place. The old one was never used."
            }
            submit="Rotate"
            busy={busy}
            problem={lost(problem)}
            onSubmit={submit}
            onCancel={() => go(`api-keys/${apiKey.apiKeyId}`)}
        >
            <Field label="The old key ends" help="Both keys are valid until then, so that the service can change over without an interruption.">
                <Select options={OVERLAPS} value={overlap} onChange={(event) => setOverlap(textOf(event))} />
            </Field>
        </Form>
    );
}

/** Asks before an API key is deleted. */
export function DeleteApiKey({ apiKey, onClose, done }: { apiKey: ApiKey; onClose: () => void; done?: () => void }) {
    const present = useCell(now);
    const used = timeOf(apiKey.lastUsed);
    const recent = used !== null && present - used < 7 * DAY;
    return (
        <ConfirmDelete
            title={`Delete ${apiKey.apiKeyName}?`}
            about={
                used === null
                    ? "It was never used. It is refused from now on, and cannot be restored."
                    : `It was last used ${relative(used, present)}${apiKey.lastUsedAddress ? ` from ${apiKey.lastUsedAddress}` : ""}. Whoever uses it is refused from now on, and it cannot be restored.`
            }
            what="Delete API key"
            typed={recent ? apiKey.apiKeyName : null}
            act={async () => {
                const params = { path: { organizationId: mine().orgId, id: String(apiKey.apiKeyId) } };
                await call(api.DELETE("/api/organizations/{organizationId}/api-keys/{id}", { params }));
                toast.set({ text: `${apiKey.apiKeyName} was deleted.` });
            }}
            refresh={["api-keys"]}
            done={done}
            onClose={onClose}
        />
    );
}
