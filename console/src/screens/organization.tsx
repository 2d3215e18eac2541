// The organization itself, the texts that it keeps for its nodes, and the server.
import { useState } from "preact/hooks";
import { api, call, door, type Schema } from "../api/client";
import { useMay, useOrganization } from "../data";
import { count } from "../format";
import { changed, useAction, useLoad } from "../load";
import { mine } from "../me";
import { go } from "../route";
import { ConfirmDelete } from "../ui/dialog";
import { Button, Field, Form, Input, TextArea, textOf } from "../ui/form";
import { Badge } from "../ui/icon";
import { Empty, Shown, Table } from "../ui/table";
import { Chip, Command, Time } from "../ui/text";
import { Page } from "./page";
import { useServer } from "./sign-in";
import { SERVER } from "../session";

const back = (): void => go("organization");

/** The screen of the organization. */
export function Organization({ part }: { part: string | undefined }) {
    const organization = useOrganization();
    const manages = useMay("manageOrganization");
    const secrets = useMay("manageSecrets");
    const server = useServer();
    const ready = useLoad("ready", async (signal) => {
        const { response, data } = await door.GET("/ready", { signal });
        return response.ok ? "Ready" : (data as { message?: string } | undefined)?.message ?? "Not ready";
    });
    return (
        <Page
            title="Organization"
            actions={
                manages && (
                    <a class="btn" href="#/organization/edit">
                        Edit
                    </a>
                )
            }
        >
            <Shown of={organization}>
                {(data) => (
                    <>
                        {part === "edit" && manages && <Edit of={data} />}
                        <dl class="facts">
                            <dt>Name</dt>
                            <dd>{data.name}</dd>
                            <dt>Id</dt>
                            <dd>
                                <Chip text={data.id} what="organization id" cut={(id) => id} />
                            </dd>
                            <dt>Domain</dt>
                            <dd>{data.domain || <span class="quiet">none</span>}</dd>
                            <dt>Website</dt>
                            <dd>{data.website || <span class="quiet">none</span>}</dd>
                        </dl>
                    </>
                )}
            </Shown>
            {secrets && <Secrets adding={part === "secret"} />}
            <section aria-labelledby="server">
                <div class="head">
                    <h2 id="server">Server</h2>
                </div>
                <dl class="facts">
                    <dt>Version</dt>
                    <dd>{server?.message}</dd>
                    <dt>State</dt>
                    <dd>
                        {ready.data && (
                            <Badge tone={ready.data === "Ready" ? "ok" : "bad"} glyph={ready.data === "Ready" ? "on" : "cross"}>
                                {ready.data}
                            </Badge>
                        )}
                    </dd>
                    <dt>API</dt>
                    <dd>
                        <a href={`${SERVER}docs`}>Documentation of the API</a>
                    </dd>
                    <dt>Settings and checks</dt>
                    <dd>
                        On the server: <code>orgkeys doctor</code>
                    </dd>
                </dl>
            </section>
        </Page>
    );
}

function Edit({ of: data }: { of: Schema["Organization"] }) {
    const [name, setName] = useState(data.name);
    const [domain, setDomain] = useState(data.domain);
    const [website, setWebsite] = useState(data.website);
    const { busy, problem, run } = useAction();
    const submit = (): void =>
        run(async () => {
            const body = { name: name.trim(), domain: domain.trim(), website: website.trim() };
            await call(api.PUT("/organization/{orgId}", { params: { path: { orgId: data.id } }, body }));
            changed("organization");
            back();
        });
    return (
        <Form title="Edit the organization" submit="Save" busy={busy} problem={problem} onSubmit={submit} onCancel={back}>
            <Field label="Name">
                <Input type="text" required maxLength={100} autocomplete="organization" value={name} onInput={(event) => setName(textOf(event))} />
            </Field>
            <div class="pair">
                <Field label="Domain" help="For your information only.">
                    <Input type="text" maxLength={253} autocomplete="off" value={domain} onInput={(event) => setDomain(textOf(event))} />
                </Field>
                <Field label="Website">
                    <Input type="text" maxLength={200} autocomplete="off" value={website} onInput={(event) => setWebsite(textOf(event))} />
                </Field>
            </div>
        </Form>
    );
}

type Secret = Schema["Secret"];

/** The texts that nodes fetch, such as the settings of what an installer sets up. Nobody can read them again here. */
function Secrets({ adding }: { adding: boolean }) {
    const secrets = useLoad("secrets", async (signal) => (await call(api.GET("/organization/{idOrg}/secrets", { params: { path: { idOrg: mine().orgId } }, signal }))).data);
    const [deleting, setDeleting] = useState<Secret | null>(null);
    return (
        <section aria-labelledby="secrets">
            <div class="head">
                <div>
                    <h2 id="secrets">Secrets for nodes</h2>
                    <p>Texts that nodes fetch with a signed call, encrypted for their key. They are never shown again.</p>
                </div>
                <div class="row">
                    <a class="btn" href="#/organization/secret">
                        Set a secret
                    </a>
                </div>
            </div>
            {adding && <SetSecret />}
            <Shown of={secrets}>
                {(found) =>
                    found.length === 0 ? (
                        !adding && (
                            <Empty icon="key" title="No secrets yet" command={<Command>orgkeys secret put s3 --text @s3.env</Command>}>
                                Keep the settings here that an installer writes on each node, such as cloud credentials.
                            </Empty>
                        )
                    ) : (
                        <Table
                            caption="Secrets for nodes"
                            columns={[
                                { name: "Name", show: ({ name }) => <code class="name">{name}</code> },
                                { name: "Region", show: ({ region }) => region ?? "every other" },
                                { name: "Bytes", kind: "n", show: ({ bytes }) => count(bytes) },
                                { name: "Set", show: ({ updatedAt }) => <Time at={updatedAt} /> },
                            ]}
                            rows={found}
                            id={({ id }) => id}
                            actions={(secret) => (
                                <Button small kind="danger" label={`Delete ${secret.name} ${secret.region ?? ""}`} onClick={() => setDeleting(secret)}>
                                    Delete
                                </Button>
                            )}
                        />
                    )
                }
            </Shown>
            {deleting && (
                <ConfirmDelete
                    title={`Delete ${deleting.name}${deleting.region ? ` for ${deleting.region}` : ""}?`}
                    about="Nodes get no such text from now on. It cannot be restored."
                    what="Delete secret"
                    act={async () => {
                        const params = { path: { idOrg: mine().orgId, name: deleting.name }, query: deleting.region ? { region: deleting.region } : {} };
                        await call(api.DELETE("/organization/{idOrg}/secrets/{name}", { params }));
                    }}
                    refresh={["secrets"]}
                    onClose={() => setDeleting(null)}
                />
            )}
        </section>
    );
}

function SetSecret() {
    const [name, setName] = useState("");
    const [region, setRegion] = useState("");
    const [text, setText] = useState("");
    const { busy, problem, run } = useAction();
    const submit = (): void =>
        run(async () => {
            const params = { path: { idOrg: mine().orgId, name: name.trim() } };
            await call(api.PUT("/organization/{idOrg}/secrets/{name}", { params, body: { text, ...(region.trim() ? { region: region.trim() } : {}) } }));
            setText("");
            changed("secrets");
            back();
        });
    return (
        <Form title="Set a secret" about="A text of the same name and region is replaced." submit="Set" busy={busy} problem={problem} onSubmit={submit} onCancel={back}>
            <div class="pair">
                <Field label="Name" help="Up to 16 letters and digits, such as s3.">
                    <Input type="text" required maxLength={16} pattern="[a-z0-9]+" autocomplete="off" spellcheck={false} value={name} onInput={(event) => setName(textOf(event))} />
                </Field>
                <Field label="Region" help="Left empty: nodes of every region that has no text of its own.">
                    <Input type="text" maxLength={64} autocomplete="off" value={region} onInput={(event) => setRegion(textOf(event))} />
                </Field>
            </div>
            <Field label="Text" help="Up to 16,384 bytes. Nodes get it exactly as it is.">
                <TextArea rows={6} required autocomplete="off" spellcheck={false} value={text} onInput={(event) => setText(textOf(event))} />
            </Field>
        </Form>
    );
}
