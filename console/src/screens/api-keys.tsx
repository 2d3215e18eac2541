// The list of API keys.
import { useMemo, useState } from "preact/hooks";
import { roleName } from "../access";
import { useCell, now } from "../cell";
import { endsSoon } from "../attention";
import { useApiKeys, useMay, useMayChange, useProjects, type ApiKey } from "../data";
import { span, timeOf } from "../format";
import { route, to } from "../route";
import { Pick, Search, Segments, Toolbar } from "../ui/filters";
import { Badge } from "../ui/icon";
import { SERVER } from "../session";
import { Empty, Menu, NothingMatches, PAGE, Pager, pageOf, Shown, Table, type Column } from "../ui/table";
import { Command, Time } from "../ui/text";
import { DeleteApiKey, NewApiKey } from "./api-key-forms";
import { VerifyApiKey } from "./api-key-verify";
import { NewLink, Page } from "./page";

/** The state of an API key, in a word and a shape. */
export function ApiKeyState({ apiKey }: { apiKey: ApiKey }) {
    const present = useCell(now);
    const start = timeOf(apiKey.startDate);
    const end = apiKey.hasExpireTime ? timeOf(apiKey.expireDate) : null;
    if (apiKey.disabled) {
        return (
            <Badge tone="off" glyph="slash">
                Disabled
            </Badge>
        );
    }
    if (end !== null && end <= present) {
        return (
            <Badge tone="off" glyph="square">
                Ended
            </Badge>
        );
    }
    if (start !== null && start > present) {
        return (
            <Badge tone="plain" glyph="ring">
                Not valid yet
            </Badge>
        );
    }
    if (end !== null && endsSoon(apiKey, present)) {
        return (
            <Badge tone="warn" glyph="tri">
                Ends in {span(end - present)}
            </Badge>
        );
    }
    return (
        <Badge tone="ok" glyph="on">
            Active
        </Badge>
    );
}

const COLUMNS: readonly Column<ApiKey>[] = [
    {
        name: "Name",
        show: (key) => (
            <>
                <a href={to(`api-keys/${key.apiKeyId}`)} class="name">
                    {key.apiKeyName}
                </a>
                <span class="sub">
                    <code>{key.apiKey}</code>
                </span>
            </>
        ),
    },
    { name: "State", kind: "bare state", show: (key) => <ApiKeyState apiKey={key} /> },
    {
        name: "Role",
        kind: "opt-2",
        show: (key) => (
            <>
                {roleName(key.roleId)}
                <span class="sub">{projectsOf(key)}</span>
            </>
        ),
    },
    {
        name: "Last used",
        show: (key) => (
            <>
                <Time at={key.lastUsed} />
                {key.lastUsedAddress && (
                    <span class="sub">
                        <code>{key.lastUsedAddress}</code>
                    </span>
                )}
            </>
        ),
    },
    { name: "Ends", show: (key) => <Time at={key.hasExpireTime ? key.expireDate : null} /> },
    {
        name: "Created",
        kind: "opt",
        show: (key) => (
            <>
                <Time at={key.createdAt} none="not recorded" />
                {key.createdByName && <span class="sub">by {key.createdByName}</span>}
            </>
        ),
    },
];

/** Which projects a key is for, in words. */
export const projectsOf = (key: ApiKey): string => key.projectsNameList.map(({ name }) => name).join(", ") || "All projects";

/** Whether a key belongs to a segment of the list. */
function inSegment(key: ApiKey, segment: string, present: number): boolean {
    const end = key.hasExpireTime ? timeOf(key.expireDate) : null;
    const ended = key.disabled || (end !== null && end <= present);
    if (segment === "soon") return endsSoon(key, present);
    if (segment === "unused") return !ended && key.lastUsed === null;
    if (segment === "endless") return !ended && !key.hasExpireTime;
    return segment === "ended" ? ended : true;
}

const SEGMENTS = [
    { value: "", text: "All" },
    { value: "soon", text: "End soon" },
    { value: "unused", text: "Never used" },
    { value: "endless", text: "Never end" },
    { value: "ended", text: "Ended or disabled" },
] as const;

/** The screen of API keys. */
export function ApiKeys({ part }: { part: string | undefined }) {
    const { query } = useCell(route);
    const present = useCell(now);
    const keys = useApiKeys();
    const projects = useProjects();
    const manager = useMay("manageApiKeys");
    const mayChange = useMayChange();
    const [deleting, setDeleting] = useState<ApiKey | null>(null);

    const segment = query.get("show") ?? "";
    const search = query.get("search") ?? "";
    const role = query.get("role") ?? "";
    const project = query.get("project") ?? "";
    const page = pageOf(query);
    const found = useMemo(
        () =>
            (keys.data ?? []).filter(
                (key) =>
                    inSegment(key, segment, present) &&
                    `${key.apiKeyName} ${key.apiKey} ${key.note}`.toLowerCase().includes(search.toLowerCase()) &&
                    (!role || key.roleId === Number(role)) &&
                    (!project || key.projectsNameList.length === 0 || key.projectsNameList.some(({ publicId }) => publicId === project)),
            ),
        [keys.data, segment, search, role, project, present],
    );
    const counts = SEGMENTS.map(({ value }) => (keys.data ?? []).filter((key) => inSegment(key, value, present)).length);
    const create = manager && <NewLink href="#/api-keys/new">New API key</NewLink>;
    return (
        <Page
            title="API keys"
            about={
                <>
                    A service presents one of these in <code>x-api-key</code>. Your gateway asks orgkeys whether it is valid.
                </>
            }
            actions={
                <>
                    <NewLink href="#/api-keys/verify" primary={false}>
                        Verify a key
                    </NewLink>
                    {create}
                </>
            }
        >
            {part === "new" && manager && <NewApiKey />}
            {part === "verify" && <VerifyApiKey />}
            <Shown of={keys}>
                {(all) =>
                    all.length === 0 ? (
                        part !== "new" && (
                            <Empty
                                icon="apikey"
                                title="No API keys yet"
                                action={create}
                                command={<Command>{`orgkeys api-key create --name billing-export --role USER --url ${SERVER.replace(/\/$/, "")}`}</Command>}
                            >
                                {manager
                                    ? "An API key lets a service in: give each service its own, so that you can take one away without the others noticing."
                                    : "API keys of the projects that you are a member of appear here. Owners and administrators create them."}
                            </Empty>
                        )
                    ) : (
                        <>
                            <Segments
                                label="Show"
                                path="api-keys"
                                name="show"
                                value={segment}
                                options={SEGMENTS.map((each, at) => ({ ...each, count: counts[at] }))}
                            />
                            <Toolbar label="Filter API keys" path="api-keys" keep={{ show: segment }} set={Boolean(search || role || project)}>
                                <Search label="Find an API key" placeholder="Name, last 4 characters or note" name="search" value={search} />
                                <Pick
                                    label="Role"
                                    any="Any role"
                                    name="role"
                                    value={role}
                                    options={[...new Set(all.map(({ roleId }) => roleId))].sort((a, b) => a - b).map((id) => [String(id), roleName(id)] as const)}
                                />
                                <Pick
                                    label="Project"
                                    any="Any project"
                                    name="project"
                                    value={project}
                                    options={(projects.data ?? []).map(({ publicId, name }) => [publicId, name] as const)}
                                />
                            </Toolbar>
                            {found.length === 0 ? (
                                <NothingMatches what="API key" path="api-keys" />
                            ) : (
                                <>
                                    <Table
                                        caption="API keys"
                                        columns={COLUMNS}
                                        rows={found.slice(page * PAGE, (page + 1) * PAGE)}
                                        id={({ apiKeyId }) => String(apiKeyId)}
                                        actions={(key) => (
                                            <Menu
                                                of={`Actions for ${key.apiKeyName}`}
                                                actions={[
                                                    { name: "Show", href: to(`api-keys/${key.apiKeyId}`) },
                                                    mayChange(key) && { name: "Edit", href: to(`api-keys/${key.apiKeyId}/edit`) },
                                                    mayChange(key) && { name: "Rotate", href: to(`api-keys/${key.apiKeyId}/rotate`) },
                                                    mayChange(key) && { name: "Delete", act: () => setDeleting(key), danger: true },
                                                ]}
                                            />
                                        )}
                                    />
                                    <Pager page={page} total={found.length} />
                                </>
                            )}
                        </>
                    )
                }
            </Shown>
            {deleting && <DeleteApiKey apiKey={deleting} onClose={() => setDeleting(null)} />}
        </Page>
    );
}
