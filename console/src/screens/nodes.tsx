// The list of nodes.
import { useState } from "preact/hooks";
import { api, call } from "../api/client";
import { useCell } from "../cell";
import { keyName, useKeys, useMay, useNodes, type Node, type NodeQuery } from "../data";
import { changed, useAction } from "../load";
import { mine } from "../me";
import { go, route, to } from "../route";
import { SERVER } from "../session";
import { toast } from "../ui/banner";
import { ConfirmDelete } from "../ui/dialog";
import { Button } from "../ui/form";
import { Pick, Search, Segments, Toolbar } from "../ui/filters";
import { Empty, Menu, NothingMatches, PAGE, Pager, pageOf, Shown, Table, type Column } from "../ui/table";
import { Command, copyText, Time } from "../ui/text";
import { NodeState } from "./key-rotation";
import { NewLink, Page } from "./page";

const SERVICES = ["Storage", "AI", "Chat"];

/** The services of a node: a sum of 1, 2 and 4. */
const servicesOf = (sum: number): string => SERVICES.filter((_, at) => sum & (1 << at)).join(", ") || "none";

/** The regions that were seen since the page was opened, for the filter. */
const regions = new Set<string>();

function columns(names: Map<string, string>): readonly Column<Node>[] {
    return [
        {
            name: "Address",
            show: (node) => (
                <>
                    <span class="name">
                        <code>{node.ip}</code>
                    </span>
                    <span class="sub">{[node.provider, node.region].filter(Boolean).join(", ")}</span>
                </>
            ),
        },
        { name: "State", kind: "bare state", show: (node) => <NodeState of={node} /> },
        { name: "Last contact", show: (node) => <Time at={node.lastUpdated} below /> },
        {
            name: "Key",
            show: (node) =>
                node.keyId === null ? (
                    <span class="quiet">none</span>
                ) : names.has(node.keyId) ? (
                    <a href={to(`keys/${node.keyId}`)}>{names.get(node.keyId)}</a>
                ) : (
                    <code title={node.keyId}>…{node.keyId.slice(-8)}</code>
                ),
        },
        { name: "Version", show: (node) => node.version },
        { name: "Services", kind: "opt", show: (node) => servicesOf(node.nodeServices) },
    ];
}

async function activate(node: Node): Promise<void> {
    await call(api.POST("/organization/{orgId}/node/{nodeId}/activate", { params: { path: { orgId: mine().orgId, nodeId: node.id } } }));
    toast.set({
        text: (
            <>
                <code>{node.ip}</code> may register again.
            </>
        ),
    });
    changed("nodes", "keys");
}

/** The screen of nodes. */
export function Nodes({ part }: { part: string | undefined }) {
    const { query } = useCell(route);
    const manager = useMay("manageNodes");
    const keys = useKeys().data ?? [];
    const activating = useAction();
    const [deleting, setDeleting] = useState<Node | null>(null);

    const state = (["active", "silent", "deleted"] as const).find((each) => each === query.get("state"));
    const filters: NodeQuery = {};
    for (const name of ["region", "search", "keyId"] as const) {
        const value = query.get(name);
        if (value) filters[name] = value;
    }
    const page = pageOf(query);
    const nodes = useNodes({ ...filters, ...(state ? { state } : {}), skip: page * PAGE, take: PAGE });
    const all = useNodes({ ...filters, take: 1 }).data?.total;
    const silent = useNodes({ ...filters, state: "silent", take: 1 }).data?.total;
    const deleted = useNodes({ ...filters, state: "deleted", take: 1 }).data?.total;
    for (const node of nodes.data?.data ?? []) regions.add(node.region);
    if (filters.region) regions.add(filters.region);

    const set = Object.keys(filters).length > 0;
    const none = !set && all === 0 && deleted === 0 && nodes.data !== undefined;
    const register = <NewLink href="#/nodes/register">Register a node</NewLink>;
    return (
        <Page
            title="Nodes"
            about="Machines that have registered with a key of this organization. A node that was not heard from for a while is silent."
            actions={register}
            problem={activating.problem}
        >
            {(part === "register" || none) && <Register />}
            {none ? (
                <Empty icon="node" title="No nodes yet">
                    A node appears here when it registers with a key of this organization.
                </Empty>
            ) : (
                <>
                    <Segments
                        label="State"
                        path="nodes"
                        name="state"
                        value={state ?? ""}
                        options={[
                            { value: "", text: "All", count: all },
                            { value: "active", text: "Active", count: all === undefined || silent === undefined ? undefined : all - silent },
                            { value: "silent", text: "Silent", count: silent },
                            { value: "deleted", text: "Deleted", count: deleted },
                        ]}
                    />
                    <Toolbar label="Filter nodes" path="nodes" keep={state ? { state } : {}} set={set}>
                        <Search label="Find a node" placeholder="Address, region or version" name="search" value={filters.search ?? ""} />
                        <Pick
                            label="Region"
                            any="Any region"
                            name="region"
                            value={filters.region ?? ""}
                            options={[...regions].sort().map((region) => [region, region] as const)}
                        />
                        {keys.length > 0 && (
                            <Pick label="Key" any="Any key" name="keyId" value={filters.keyId ?? ""} options={keys.map((key) => [key.id, keyName(key)] as const)} />
                        )}
                    </Toolbar>
                    <Shown of={nodes}>
                        {({ data, total }) =>
                            data.length === 0 ? (
                                set ? (
                                    <NothingMatches what="node" path="nodes" />
                                ) : (
                                    <p class="quiet gap">{state === "silent" ? "No node is silent." : state === "deleted" ? "No node is deleted." : "None."}</p>
                                )
                            ) : (
                                <>
                                    <Table
                                        caption="Nodes"
                                        columns={columns(new Map(keys.map((key) => [key.id, keyName(key)])))}
                                        rows={data}
                                        id={({ id }) => id}
                                        actions={(node) => (
                                            <Menu
                                                of={`Actions for ${node.ip}`}
                                                actions={[
                                                    { name: "Copy address", act: () => void copyText(node.ip) },
                                                    { name: "Copy id", act: () => void copyText(node.id) },
                                                    manager && { name: "Show in the log", href: to("audit", { actorId: node.id }) },
                                                    manager && node.deletedAt !== null && { name: "Activate", act: () => activating.run(() => activate(node)), writes: true },
                                                    manager && node.deletedAt === null && { name: "Delete", act: () => setDeleting(node), danger: true },
                                                ]}
                                            />
                                        )}
                                    />
                                    <Pager page={page} total={total} />
                                </>
                            )
                        }
                    </Shown>
                </>
            )}
            {deleting && (
                <ConfirmDelete
                    title={`Delete ${deleting.ip}?`}
                    about="The node is refused until you activate it, even if its signature is valid."
                    what="Delete node"
                    act={async () => {
                        await call(api.DELETE("/organization/{orgId}/node/{nodeId}", { params: { path: { orgId: mine().orgId, nodeId: deleting.id } } }));
                        toast.set({
                            text: (
                                <>
                                    <code>{deleting.ip}</code> was deleted. It is refused until you activate it.
                                </>
                            ),
                            undo: { name: "Activate", act: () => activating.run(() => activate(deleting)) },
                        });
                    }}
                    refresh={["nodes", "keys"]}
                    onClose={() => setDeleting(null)}
                />
            )}
        </Page>
    );
}

/** The lines with which a node registers, with the ids filled in. */
function Register() {
    const org = mine().orgId;
    const server = SERVER.replace(/\/$/, "");
    return (
        <section class="panel" aria-labelledby="register">
            <h2 id="register">Register a node</h2>
            <p class="quiet">
                Run this on the node. It needs the private half of a <a href="#/keys">key</a> in <code>key.pem</code>, and nothing else. Repeat it about once a
                minute, so that the server knows that the node is alive.
            </p>
            <div class="field">
                <span class="help">With orgkeys on the node:</span>
                <Command>{`orgkeys sign --key key.pem --ip 203.0.113.7 --region eu-central-1 --org ${org} |
  curl -sS ${server}/register -H "Content-Type: application/json" -d @-`}</Command>
            </div>
            <div class="field">
                <span class="help">With openssl and curl:</span>
                <Command>{`ip=203.0.113.7; region=eu-central-1; ts=$(date +%s)
signature=$(printf %s "$ip|$region|$ts" | openssl dgst -sha256 -sign key.pem | base64 -w0)
curl -sS ${server}/register -H "Content-Type: application/json" -d "{
  \\"ip\\": \\"$ip\\", \\"region\\": \\"$region\\", \\"timestamp\\": $ts, \\"signature\\": \\"$signature\\",
  \\"id_org\\": \\"${org}\\", \\"status\\": \\"active\\", \\"version\\": \\"1.0.0\\"}"`}</Command>
            </div>
            <div class="row end">
                <Button kind="plain" onClick={() => go("nodes")}>
                    Close
                </Button>
            </div>
        </section>
    );
}
