// Projects: groups of people and API keys.
import { useState } from "preact/hooks";
import { api, call, type Schema } from "../api/client";
import { useCell } from "../cell";
import { useApiKeys, useMay, useNames, usePeople, useProject, useProjects, fullName, type Project } from "../data";
import { list, of } from "../format";
import { changed, useAction, useLoad } from "../load";
import { me, mine } from "../me";
import { go, route, to } from "../route";
import { toast } from "../ui/banner";
import { ConfirmDelete } from "../ui/dialog";
import { Search, Toolbar } from "../ui/filters";
import { Button, Field, Form, Input, Select, textOf } from "../ui/form";
import { Empty, Menu, NothingMatches, PAGE, Pager, pageOf, Shown, Table, type Column } from "../ui/table";
import { Command, Time } from "../ui/text";
import { ApiKeyState } from "./api-keys";
import { NewLink, Page } from "./page";

/** The screen of projects. */
export function Projects({ part }: { part: string | undefined }) {
    const { query } = useCell(route);
    const adds = useMay("addProjects");
    const projects = useProjects();
    const keys = useApiKeys().data ?? [];
    const search = query.get("search") ?? "";
    const page = pageOf(query);
    const columns: readonly Column<Project>[] = [
        {
            name: "Name",
            show: (project) => (
                <a class="name" href={to(`projects/${project.publicId}`)}>
                    {project.name}
                </a>
            ),
        },
        {
            name: "API keys",
            kind: "n",
            show: (project) => keys.filter((key) => key.projectsNameList.some(({ publicId }) => publicId === project.publicId)).length,
        },
        { name: "Created", show: (project) => <Time at={project.createdAt} /> },
    ];
    const create = adds && <NewLink href="#/projects/new">New project</NewLink>;
    return (
        <Page title="Projects" about="A project groups people and API keys. A key that is restricted to projects is valid for nothing else." actions={create}>
            {part === "new" && adds && <NewProject />}
            <Shown of={projects}>
                {(all) => {
                    const found = all.filter(({ name }) => name.toLowerCase().includes(search.toLowerCase()));
                    if (all.length === 0) {
                        return (
                            part !== "new" && (
                                <Empty icon="project" title="No projects yet" action={create} command={<Command>orgkeys project create --name Build</Command>}>
                                    {adds
                                        ? "Make one for each team or product whose API keys should be apart from the others."
                                        : "Projects that you are a member of appear here."}
                                </Empty>
                            )
                        );
                    }
                    return (
                        <>
                            <Toolbar label="Filter projects" path="projects" set={search !== ""}>
                                <Search label="Find a project" placeholder="Name" name="search" value={search} />
                            </Toolbar>
                            {found.length === 0 ? (
                                <NothingMatches what="project" path="projects" />
                            ) : (
                                <>
                                    <Table caption="Projects" columns={columns} rows={found.slice(page * PAGE, (page + 1) * PAGE)} id={({ publicId }) => publicId} />
                                    <Pager page={page} total={found.length} />
                                </>
                            )}
                        </>
                    );
                }}
            </Shown>
        </Page>
    );
}

function NewProject() {
    const [name, setName] = useState("");
    const { busy, problem, run } = useAction();
    const submit = (): void =>
        run(async () => {
            const params = { path: { organizationId: mine().orgId } };
            const { result } = await call(api.POST("/api/organizations/{organizationId}/projects", { params, body: { name: name.trim() } }));
            changed("project");
            go(`projects/${result.publicId}`);
        });
    return (
        <Form title="New project" submit="Create project" busy={busy} problem={problem} onSubmit={submit} onCancel={() => go("projects")}>
            <Field label="Name">
                <Input type="text" required maxLength={100} autocomplete="off" value={name} onInput={(event) => setName(textOf(event))} />
            </Field>
        </Form>
    );
}

const ROLES = [
    ["EDITOR", "Editor: sees the project"],
    ["OWNER", "Owner: also manages it and its API keys"],
] as const;
type Member = Schema["ProjectMember"];

/** The screen of a project. */
export function ProjectScreen({ id, part }: { id: string; part: string | undefined }) {
    const project = useProject(id);
    const own = useCell(me);
    const administrator = useMay("manageApiKeys");
    const nameOf = useNames();
    const keys = useLoad(`api-keys of ${id}`, async (signal) => {
        const params = { path: { projectId: id }, query: { take: 1000 } };
        return (await call(api.GET("/api/projects/{projectId}/api-keys", { params, signal }))).result;
    });
    const acting = useAction();
    const [deleting, setDeleting] = useState(false);
    const name = project.data?.name ?? "Project";
    const manages = administrator || Boolean(project.data?.members.some(({ userId, role }) => userId === own?.id && role === "OWNER"));
    const path = { projectId: id };
    const put = (userId: string, role: Member["role"]): void =>
        acting.run(async () => {
            await call(api.PUT("/api/projects/{projectId}/members/{userId}", { params: { path: { ...path, userId } }, body: { role } }));
            changed("project");
        });
    const remove = (userId: string): void =>
        acting.run(async () => {
            await call(api.DELETE("/api/projects/{projectId}/members/{userId}", { params: { path: { ...path, userId } } }));
            changed("project");
        });
    const alone = (keys.data ?? []).filter(({ projectsNameList }) => projectsNameList.length === 1);
    return (
        <Page
            title={name}
            crumb={{ href: "#/projects", name: "Projects" }}
            problem={acting.problem}
            actions={
                manages && (
                    <>
                        <a class="btn" href={to(`projects/${id}/rename`)}>
                            Rename
                        </a>
                        <a class="btn" href={to(`projects/${id}/add`)}>
                            Add a member
                        </a>
                    </>
                )
            }
        >
            {part === "rename" && manages && project.data && <RenameProject key={id} of={project.data} />}
            {part === "add" && manages && <AddMember id={id} members={project.data?.members ?? []} />}
            <Shown of={project}>
                {({ members }) => (
                    <>
                        <section aria-labelledby="members">
                            <div class="head">
                                <h2 id="members">Members</h2>
                            </div>
                            {members.length === 0 ? (
                                <p class="quiet">None.</p>
                            ) : (
                                <Table<Member>
                                    caption="Members"
                                    columns={[
                                        { name: "Name", show: ({ userId }) => <span class="name">{nameOf(userId) ?? <code>{userId}</code>}</span> },
                                        { name: "Role in the project", show: ({ role }) => (role === "OWNER" ? "Owner" : "Editor") },
                                    ]}
                                    rows={members.slice(0, 200)}
                                    id={({ userId }) => userId}
                                    {...(manages
                                        ? {
                                              actions: ({ userId, role }: Member) => (
                                                  <Menu
                                                      of={`Actions for ${nameOf(userId) ?? userId}`}
                                                      actions={[
                                                          role === "OWNER"
                                                              ? { name: "Make editor", act: () => put(userId, "EDITOR"), writes: true }
                                                              : { name: "Make owner", act: () => put(userId, "OWNER"), writes: true },
                                                          { name: "Remove", act: () => remove(userId), danger: true },
                                                      ]}
                                                  />
                                              ),
                                          }
                                        : {})}
                                />
                            )}
                        </section>
                        <section aria-labelledby="keys">
                            <div class="head">
                                <h2 id="keys">API keys</h2>
                            </div>
                            <Shown of={keys}>
                                {(found) =>
                                    found.length === 0 ? (
                                        <p class="quiet">No API key is restricted to this project.</p>
                                    ) : (
                                        <Table
                                            caption="API keys of the project"
                                            columns={[
                                                {
                                                    name: "Name",
                                                    show: (key) => (
                                                        <a class="name" href={to(`api-keys/${key.apiKeyId}`)}>
                                                            {key.apiKeyName}
                                                        </a>
                                                    ),
                                                },
                                                { name: "State", kind: "bare state", show: (key) => <ApiKeyState apiKey={key} /> },
                                                { name: "Last used", show: (key) => <Time at={key.lastUsed} /> },
                                            ]}
                                            rows={found.slice(0, 100)}
                                            id={({ apiKeyId }) => String(apiKeyId)}
                                        />
                                    )
                                }
                            </Shown>
                        </section>
                        {manages && (
                            <div class="row">
                                <Button kind="danger" onClick={() => setDeleting(true)}>
                                    Delete project
                                </Button>
                            </div>
                        )}
                    </>
                )}
            </Shown>
            {deleting && (
                <ConfirmDelete
                    title={`Delete ${name}?`}
                    about={
                        alone.length === 0
                            ? "No API key is restricted to this project alone, so none is deleted with it."
                            : `${of(alone.length, "API key")} that ${alone.length === 1 ? "is" : "are"} restricted to this project alone go with it: ${list(alone.slice(0, 5).map(({ apiKeyName }) => apiKeyName))}.`
                    }
                    what="Delete project"
                    typed={alone.length > 0 ? name : null}
                    act={async () => {
                        await call(api.DELETE("/api/projects/{projectId}", { params: { path } }));
                        toast.set({ text: `${name} was deleted.` });
                    }}
                    refresh={["project", "api-keys"]}
                    done={() => go("projects")}
                    onClose={() => setDeleting(false)}
                />
            )}
        </Page>
    );
}

function RenameProject({ of: project }: { of: Schema["ProjectWithMembers"] }) {
    const [name, setName] = useState(project.name);
    const { busy, problem, run } = useAction();
    const back = (): void => go(`projects/${project.publicId}`);
    const submit = (): void =>
        run(async () => {
            await call(api.PUT("/api/projects/{projectId}", { params: { path: { projectId: project.publicId } }, body: { name: name.trim() } }));
            changed("project", "api-keys");
            back();
        });
    return (
        <Form title={`Rename ${project.name}`} submit="Rename" busy={busy} problem={problem} onSubmit={submit} onCancel={back}>
            <Field label="Name">
                <Input type="text" required maxLength={100} autocomplete="off" value={name} onInput={(event) => setName(textOf(event))} />
            </Field>
        </Form>
    );
}

function AddMember({ id, members }: { id: string; members: readonly Member[] }) {
    const people = usePeople().data;
    const [user, setUser] = useState("");
    const [role, setRole] = useState<Member["role"]>("EDITOR");
    const { busy, problem, run } = useAction();
    const back = (): void => go(`projects/${id}`);
    const free = (people ?? []).filter((person) => !person.deletedAt && !members.some(({ userId }) => userId === person.id));
    const submit = (): void =>
        run(async () => {
            await call(api.PUT("/api/projects/{projectId}/members/{userId}", { params: { path: { projectId: id, userId: user.trim() } }, body: { role } }));
            changed("project");
            back();
        });
    return (
        <Form title="Add a member" submit="Add" busy={busy} problem={problem} why={user ? null : "Choose a person first"} onSubmit={submit} onCancel={back}>
            <div class="pair">
                {people ? (
                    <Field label="Person">
                        <Select
                            options={[["", "Choose"] as const, ...free.map((person) => [person.id, `${fullName(person)}, ${person.email}`] as const)]}
                            value={user}
                            onChange={(event) => setUser(textOf(event))}
                        />
                    </Field>
                ) : (
                    <Field label="Person" help="Your role does not list people: ask them for their id.">
                        <Input type="text" placeholder="user-…" autocomplete="off" value={user} onInput={(event) => setUser(textOf(event))} />
                    </Field>
                )}
                <Field label="Role in the project">
                    <Select options={ROLES} value={role} onChange={(event) => setRole(textOf(event) === "OWNER" ? "OWNER" : "EDITOR")} />
                </Field>
            </div>
        </Form>
    );
}
