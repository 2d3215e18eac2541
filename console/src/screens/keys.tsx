// The list of organization keys.
import { useState } from "preact/hooks";
import { useCell, now } from "../cell";
import { keyName, useKeys, useMay, type Key } from "../data";
import { count, short, span, timeOf } from "../format";
import { route, to } from "../route";
import { fingerprint } from "../sha256";
import { Segments } from "../ui/filters";
import { Badge } from "../ui/icon";
import { Empty, Menu, Shown, Table, type Column } from "../ui/table";
import { Chip, Command, Time } from "../ui/text";
import { DeleteAllKeys, DeleteKey, restoreKey } from "./key-delete";
import { ImportKey, NewKey } from "./key-forms";
import { NewLink, NotYours, Page } from "./page";
import { useAction } from "../load";

/** The state of a key, in a word and a shape. */
export function KeyState({ of }: { of: Key }) {
    const present = useCell(now);
    const end = timeOf(of.retireAt);
    switch (of.state) {
        case "active":
            return (
                <Badge tone="ok" glyph="on">
                    Active
                </Badge>
            );
        case "retiring":
            return (
                <Badge tone="warn" glyph="half">
                    {end === null ? "Retiring" : `Retires in ${span(end - present)}`}
                </Badge>
            );
        case "retired":
            return (
                <Badge tone="off" glyph="square">
                    Retired
                </Badge>
            );
        default:
            return (
                <Badge tone="off" glyph="square">
                    Deleted
                </Badge>
            );
    }
}

const COLUMNS: readonly Column<Key>[] = [
    {
        name: "Name",
        show: (key) => (
            <>
                <a href={to(`keys/${key.id}`)} class="name">
                    {key.name || "unnamed"}
                </a>
                <span class="sub">
                    <code title={key.id}>{short(key.id)}</code>
                </span>
            </>
        ),
    },
    { name: "State", kind: "bare state", show: (key) => <KeyState of={key} /> },
    { name: "Nodes", kind: "n", show: (key) => count(key.nodeKeys.length) },
    { name: "Last used", show: (key) => <Time at={key.lastUsed} /> },
    {
        name: "Fingerprint",
        kind: "opt",
        show: (key) => <Chip text={fingerprint(key.publicKey)} what={`fingerprint of ${keyName(key)}`} cut={(text) => `${text.slice(0, 8)}…${text.slice(-8)}`} />,
    },
    {
        name: "Created",
        show: (key) => (
            <>
                <Time at={key.createdAt} />
                {key.brought && <span class="sub">imported</span>}
            </>
        ),
    },
];

/** The screen of keys. */
export function Keys({ part }: { part: string | undefined }) {
    const { query } = useCell(route);
    const manager = useMay("manageKeys");
    const keys = useKeys();
    const restoring = useAction();
    const [deleting, setDeleting] = useState<Key | null>(null);
    const [all, setAll] = useState(false);
    if (!manager) return <NotYours title="Keys" right="manageKeys" />;

    const past = query.get("show") === "past";
    const inUse = (keys.data ?? []).filter(({ state }) => state === "active" || state === "retiring");
    const gone = (keys.data ?? []).filter((key) => !inUse.includes(key));
    const create = <NewLink href="#/keys/new">New key</NewLink>;
    return (
        <Page
            title="Keys"
            about="A node proves that it belongs to this organization by signing with one of these keys."
            actions={
                <>
                    {inUse.length > 0 && <Menu of="More about keys" actions={[{ name: "Delete all keys", act: () => setAll(true), danger: true }]} />}
                    <NewLink href="#/keys/import" primary={false}>
                        Import a public key
                    </NewLink>
                    {create}
                </>
            }
            problem={restoring.problem}
        >
            {part === "new" && <NewKey />}
            {part === "import" && <ImportKey />}
            <Shown of={keys}>
                {(known) =>
                    known.length === 0 ? (
                        part === undefined && (
                            <Empty icon="key" title="No keys yet" action={create} command={<Command>orgkeys key create --out key.pem</Command>}>
                                orgkeys makes an RSA pair and keeps the public half. You download the private half once, and your nodes sign with it.
                            </Empty>
                        )
                    ) : (
                        <>
                            {gone.length > 0 && (
                                <Segments
                                    label="Show"
                                    path="keys"
                                    name="show"
                                    value={past ? "past" : ""}
                                    options={[
                                        { value: "", text: "In use", count: inUse.length },
                                        { value: "past", text: "Retired and deleted", count: gone.length },
                                    ]}
                                />
                            )}
                            <Table
                                caption="Keys of the organization"
                                columns={COLUMNS}
                                rows={past ? gone : inUse}
                                id={({ id }) => id}
                                actions={(key) => (
                                    <Menu
                                        of={`Actions for ${keyName(key)}`}
                                        actions={[
                                            key.state === "active" && { name: "Rotate", href: to(`keys/${key.id}/rotate`) },
                                            key.state === "retiring" && { name: "Change the end", href: to(`keys/${key.id}/end`) },
                                            key.state !== "deleted" && { name: "Rename", href: to(`keys/${key.id}/rename`) },
                                            key.state === "deleted" && { name: "Restore", act: () => restoring.run(() => restoreKey(key)), writes: true },
                                            key.state !== "deleted" && { name: "Delete", act: () => setDeleting(key), danger: true },
                                        ]}
                                    />
                                )}
                            />
                            {!past && inUse.length === 0 && <p class="quiet">No key is in use.</p>}
                            {past && <p class="quiet">A deleted key can be restored within 24 hours, unless the server’s setting says otherwise.</p>}
                        </>
                    )
                }
            </Shown>
            {deleting && <DeleteKey of={deleting} onClose={() => setDeleting(null)} />}
            {all && <DeleteAllKeys onClose={() => setAll(false)} />}
        </Page>
    );
}
