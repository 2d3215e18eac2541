// One organization key: its facts and its nodes, or its rotation while another key takes its place.
import { useState } from "preact/hooks";
import { useCell, now } from "../cell";
import { keyName, useKeys, useMay, type Key } from "../data";
import { date, hour, relative, timeOf } from "../format";
import { go, to } from "../route";
import { fingerprint } from "../sha256";
import { Banner } from "../ui/banner";
import { Button } from "../ui/form";
import { Shown } from "../ui/table";
import { Chip, Fingerprint, Onward, Time } from "../ui/text";
import { DeleteKey, restoreKey, useImpact } from "./key-delete";
import { ChangeEnd, RenameKey, RotateKey } from "./key-forms";
import { KeyNodes, Rotation } from "./key-rotation";
import { KeyState } from "./keys";
import { NotYours, Page } from "./page";
import { useAction } from "../load";

const CRUMB = { href: "#/keys", name: "Keys" };

/** The facts of a key that is not being replaced. */
function Facts({ of: key }: { of: Key }) {
    return (
        <dl class="facts">
            <dt>State</dt>
            <dd>
                <KeyState of={key} />
            </dd>
            <dt>Key id</dt>
            <dd>
                <Chip text={key.id} what="key id" />
            </dd>
            <dt>Fingerprint</dt>
            <dd>
                <Fingerprint hex={fingerprint(key.publicKey)} />
            </dd>
            <dt>Kind</dt>
            <dd>
                RSA, {key.bits} bits{key.brought && ", imported: the server never had its private half"}
            </dd>
            <dt>Created</dt>
            <dd>
                <Time at={key.createdAt} below />
            </dd>
            <dt>Last used</dt>
            <dd>
                <Time at={key.lastUsed} below />
            </dd>
            <dt>Ends</dt>
            <dd>
                <Time at={key.retireAt} none="not by itself" below />
            </dd>
        </dl>
    );
}

/** The screen of a key. */
export function KeyScreen({ id, part }: { id: string; part: string | undefined }) {
    const keys = useKeys();
    const present = useCell(now);
    const manager = useMay("manageKeys");
    const restoring = useAction();
    const [deleting, setDeleting] = useState(false);
    const key = keys.data?.find((each) => each.id === id);
    const successor = keys.data?.find((each) => each.id === key?.successorId);
    const replaces = keys.data?.find((each) => each.successorId === id && each.state === "retiring");
    const rotating = key?.state === "retiring" && successor !== undefined;
    const impact = useImpact(id, key?.state === "retiring");
    if (!manager) return <NotYours title="Key" right="manageKeys" />;
    const end = timeOf(key?.retireAt);
    const about = !key
        ? undefined
        : rotating
          ? `Started ${relative(timeOf(successor.createdAt) ?? 0, present)}. The old key retires ${key.retireWhenUnused ? "as soon as its last node has moved, and " : ""}${end === null ? "when you end it" : `on ${date(end)} at ${hour(end)} UTC${key.retireWhenUnused ? " at the latest" : ""}`}.`
          : undefined;
    return (
        <Page
            title={key ? (rotating ? `Rotation of ${keyName(key)}` : keyName(key)) : "Key"}
            about={keys.data && !key ? "There is no such key, or it was removed long ago." : about}
            crumb={CRUMB}
            problem={restoring.problem}
            actions={
                key && (
                    <>
                        {key.state !== "deleted" && (
                            <a class="btn" href={to(`keys/${id}/rename`)}>
                                Rename
                            </a>
                        )}
                        {key.state === "retiring" && (
                            <a class="btn" href={to(`keys/${id}/end`)}>
                                Change the end
                            </a>
                        )}
                        {key.state === "active" && (
                            <a class="btn primary" href={to(`keys/${id}/rotate`)}>
                                Rotate
                            </a>
                        )}
                        {key.state === "deleted" && (
                            <Button writes busy={restoring.busy} onClick={() => restoring.run(() => restoreKey(key))}>
                                Restore
                            </Button>
                        )}
                    </>
                )
            }
        >
            <Shown of={keys}>
                {() =>
                    key && (
                        <>
                            {part === "rename" && <RenameKey key={id} of={key} />}
                            {part === "rotate" && key.state === "active" && <RotateKey key={id} of={key} />}
                            {part === "end" && key.state === "retiring" && <ChangeEnd key={id} of={key} />}
                            {replaces && (
                                <Banner icon="rotate" action={<Onward href={to(`keys/${replaces.id}`)}>See who is left</Onward>}>
                                    <b>This key replaces {keyName(replaces)}.</b> {key.nodeKeys.length} of {key.nodeKeys.length + replaces.nodeKeys.length} nodes
                                    have moved.
                                </Banner>
                            )}
                            {rotating ? <Rotation old={key} successor={successor} /> : <Facts of={key} />}
                            <KeyNodes of={key} title={rotating ? "Still on the old key" : "Nodes that sign with it"} />
                            {key.state !== "deleted" && (
                                <Deletion of={key} heard={rotating ? (impact?.heardToday ?? key.nodeKeys.length) : 0} ask={() => setDeleting(true)} />
                            )}
                            {deleting && <DeleteKey of={key} onClose={() => setDeleting(false)} done={() => go("keys")} />}
                        </>
                    )
                }
            </Shown>
        </Page>
    );
}

/** What stands in the way of deleting a key, and the button. */
function Deletion({ of: key, heard, ask }: { of: Key; heard: number; ask: () => void }) {
    const why = heard > 0 ? `${heard === 1 ? "1 node that was" : `${heard} nodes that were`} heard from today would be refused.` : null;
    return (
        <Banner
            action={
                <Button kind="danger" why={why} onClick={ask}>
                    {key.state === "retiring" ? "Delete old key" : "Delete key"}
                </Button>
            }
        >
            {why ? (
                <>
                    <b>{keyName(key)} cannot be deleted yet.</b> {why} If it has to be, <a href={to(`keys/${key.id}/end`)}>end it now</a>.
                </>
            ) : key.nodeKeys.length === 0 ? (
                <>
                    <b>No node uses this key.</b> It can be deleted.
                </>
            ) : (
                <>Signatures made with a deleted key are refused. You can restore it within 24 hours.</>
            )}
        </Banner>
    );
}
