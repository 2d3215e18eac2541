// The rotation of a key: how many nodes have moved to the new one, and who is left.
import { keyName, useNodes, type Key, type Node } from "../data";
import { useCell } from "../cell";
import { count, span, timeOf } from "../format";
import { now } from "../cell";
import { route } from "../route";
import { fingerprint } from "../sha256";
import { Legend } from "../ui/charts";
import { Segments } from "../ui/filters";
import { Badge, Icon } from "../ui/icon";
import { PAGE, Pager, pageOf, Shown, Table, type Column } from "../ui/table";
import { Chip, Fingerprint, Time } from "../ui/text";

/** Up to so many nodes are drawn one by one. */
const TICKS = 100;

/** The state of a node, in words and a shape. */
export function NodeState({ of: node }: { of: Node }) {
    const present = useCell(now);
    const silent = timeOf(node.silentSince);
    const last = timeOf(node.lastUpdated);
    if (node.deletedAt) {
        return (
            <Badge tone="off" glyph="square">
                Deleted
            </Badge>
        );
    }
    if (silent !== null && last !== null) {
        return (
            <Badge tone="warn" glyph="tri">
                Silent for {span(present - last)}
            </Badge>
        );
    }
    return (
        <Badge tone="ok" glyph="on">
            Active
        </Badge>
    );
}

/** The progress of a rotation. */
export function Rotation({ old, successor }: { old: Key; successor: Key }) {
    const silent = useNodes({ keyId: old.id, state: "silent", take: 1 }).data?.total ?? 0;
    const moved = successor.nodeKeys.length;
    const left = Math.max(0, old.nodeKeys.length - silent);
    const total = moved + old.nodeKeys.length;
    const over = old.nodeKeys.length === 0;
    const finding = `Of ${total} nodes ${moved} have moved, ${left} are on the old key, ${silent} are on the old key and silent`;
    return (
        <div class="panel">
            <ol class="steps" role="list" aria-label="Steps of the rotation">
                <li class="done">
                    <b>
                        <Icon name="check" />
                        New key created
                    </b>
                    {keyName(successor)}, <Time at={successor.createdAt} />
                </li>
                <li class="done">
                    <b>
                        <Icon name="check" />
                        Private half handed out
                    </b>
                    Copy it to the nodes, in any order
                </li>
                <li {...(over ? { class: "done" } : { "aria-current": "step" as const })}>
                    <b>
                        <Icon name={over ? "check" : "rotate"} />
                        {over ? "All nodes have moved" : "Nodes move"}
                    </b>
                    They register with the new key
                </li>
                <li aria-current={over ? "step" : undefined}>
                    <b>Old key retires</b>
                    {old.retireWhenUnused ? "By itself, after the last node" : "By itself, at its end"}
                </li>
            </ol>
            <div>
                <p class="moved">
                    {count(moved)} <small>of {count(total)} nodes moved</small>
                </p>
                {total <= TICKS ? (
                    <div class="ticks" role="img" aria-label={finding}>
                        {Array.from({ length: total }, (_, at) => (
                            <i key={at} class={at < moved ? "go" : at >= total - silent ? "warn" : undefined} />
                        ))}
                    </div>
                ) : (
                    <progress max={total} value={moved} aria-label={finding} />
                )}
            </div>
            <Legend
                of={[
                    ["f-go", "Moved", moved],
                    ["f2", "On the old key", left],
                    ["f-warn", "On the old key and silent", silent],
                ]}
            />
            <div class="rotation">
                <Half title="Old key" of={old} />
                <Icon name="arrow" />
                <Half title="New key" of={successor} />
            </div>
        </div>
    );
}

function Half({ title, of: key }: { title: string; of: Key }) {
    return (
        <dl class="facts">
            <dt>{title}</dt>
            <dd>
                <b>{keyName(key)}</b>
            </dd>
            <dt>Key id</dt>
            <dd>
                <Chip text={key.id} what={`id of the ${title.toLowerCase()}`} />
            </dd>
            <dt>Fingerprint</dt>
            <dd>
                <Fingerprint hex={fingerprint(key.publicKey)} />
            </dd>
        </dl>
    );
}

const COLUMNS: readonly Column<Node>[] = [
    {
        name: "Address",
        show: (node) => (
            <span class="name">
                <code>{node.ip}</code>
            </span>
        ),
    },
    { name: "Region", show: (node) => node.region },
    { name: "State", kind: "bare state", show: (node) => <NodeState of={node} /> },
    { name: "Last contact", show: (node) => <Time at={node.lastUpdated} below /> },
    { name: "Version", show: (node) => node.version },
];

/** The nodes that last registered with a key. */
export function KeyNodes({ of: key, title }: { of: Key; title: string }) {
    const { query } = useCell(route);
    const state = query.get("state") === "silent" ? "silent" : query.get("state") === "active" ? "active" : "";
    const page = pageOf(query);
    const shown = useNodes({ keyId: key.id, ...(state ? { state } : {}), skip: page * PAGE, take: PAGE });
    const silent = useNodes({ keyId: key.id, state: "silent", take: 1 }).data?.total;
    const all = key.nodeKeys.length;
    if (all === 0) return null;
    return (
        <section aria-labelledby="left">
            <div class="head">
                <h2 id="left">{title}</h2>
            </div>
            <Segments
                label={title}
                path={`keys/${key.id}`}
                name="state"
                value={state}
                options={[
                    { value: "", text: "All", count: all },
                    { value: "active", text: "Active", count: silent === undefined ? undefined : all - silent },
                    { value: "silent", text: "Silent", count: silent },
                ]}
            />
            <Shown of={shown}>
                {({ data, total }) =>
                    data.length === 0 ? (
                        <p class="quiet gap">None.</p>
                    ) : (
                        <>
                            <Table caption={`Nodes that sign with ${keyName(key)}`} columns={COLUMNS} rows={data} id={({ id }) => id} />
                            <Pager page={page} total={total} />
                        </>
                    )
                }
            </Shown>
        </section>
    );
}
