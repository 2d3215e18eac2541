// Verifying an API key by hand: what the server answers a gateway, and why.
import { useState } from "preact/hooks";
import { ROLES, roleName } from "../access";
import { api, call, type Schema } from "../api/client";
import { useApiKeys, useProjects } from "../data";
import { date, timeOf } from "../format";
import { useAction } from "../load";
import { go, to } from "../route";
import { Field, Form, Input, Select, textOf } from "../ui/form";
import { Badge } from "../ui/icon";

/** What a verdict means for whoever presents the key. */
const WHY: Record<string, string> = {
    VALID: "A gateway lets it in.",
    NOT_FOUND: "Your organization has no such key, or it was deleted.",
    NOT_YET_VALID: "Its first day is in the future.",
    EXPIRED: "Its end has passed.",
    DISABLED: "Somebody has disabled it.",
    WRONG_PROJECT: "It is restricted to other projects.",
    INSUFFICIENT_ROLE: "Its role is lower than the one that was asked for.",
};

/** The form for verifying a key. The key leaves the page as soon as the answer is there. */
export function VerifyApiKey() {
    const projects = useProjects().data ?? [];
    const [key, setKey] = useState("");
    const [project, setProject] = useState("");
    const [role, setRole] = useState("");
    const [verdict, setVerdict] = useState<Schema["ApiKeyVerification"] | null>(null);
    const { busy, problem, run } = useAction();
    const submit = (): void =>
        run(async () => {
            setVerdict(null);
            const body = { apiKey: key.trim(), ...(project ? { projectId: project } : {}), ...(role ? { role: Number(role) } : {}) };
            const { result } = await call(api.POST("/api/api-keys/verify", { body }));
            setVerdict(result);
            setKey("");
        });
    return (
        <Form
            title="Verify a key"
            about="The same question that a gateway asks. It is not recorded as a use of the key."
            submit="Verify"
            asks
            busy={busy}
            problem={problem}
            onSubmit={submit}
            onCancel={() => go("api-keys")}
        >
            <Field label="API key" help="It is sent to your server and kept nowhere.">
                <Input
                    type="password"
                    autocomplete="off"
                    spellcheck={false}
                    required
                    maxLength={200}
                    placeholder="oka_…"
                    value={key}
                    onInput={(event) => setKey(textOf(event))}
                />
            </Field>
            <div class="pair">
                <Field label="For the project">
                    <Select
                        options={[["", "any"] as const, ...projects.map(({ publicId, name }) => [publicId, name] as const)]}
                        value={project}
                        onChange={(event) => setProject(textOf(event))}
                    />
                </Field>
                <Field label="With the role, at least">
                    <Select
                        options={[["", "any"] as const, ...ROLES.slice(0, 4).map(({ id, name }) => [String(id), name] as const)]}
                        value={role}
                        onChange={(event) => setRole(textOf(event))}
                    />
                </Field>
            </div>
            <div role="status">{verdict && <Verdict verdict={verdict} />}</div>
        </Form>
    );
}

function Verdict({ verdict }: { verdict: Schema["ApiKeyVerification"] }) {
    const name = (useApiKeys().data ?? []).find(({ apiKeyId }) => apiKeyId === verdict.apiKeyId)?.apiKeyName;
    const end = timeOf(verdict.expireDate);
    return (
        <dl class="facts">
            <dt>Verdict</dt>
            <dd>
                <Badge tone={verdict.valid ? "ok" : "bad"} glyph={verdict.valid ? "check" : "cross"}>
                    {verdict.code}
                </Badge>
                <span class="sub">{WHY[verdict.code] ?? ""}</span>
            </dd>
            {verdict.apiKeyId !== null && verdict.apiKeyId !== undefined && (
                <>
                    <dt>Key</dt>
                    <dd>
                        <a href={to(`api-keys/${verdict.apiKeyId}`)}>{name ?? `No. ${verdict.apiKeyId}`}</a>
                    </dd>
                    <dt>Role</dt>
                    <dd>{roleName(verdict.roleId ?? 0)}</dd>
                    <dt>Ends</dt>
                    <dd>{end === null ? "never" : date(end)}</dd>
                </>
            )}
        </dl>
    );
}
