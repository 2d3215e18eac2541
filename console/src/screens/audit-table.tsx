// The entries of the audit log, as links of a chain.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { Entry, Verdict } from "../chain";
import { clock, count, date, day, full, sentence } from "../format";
import { Badge } from "../ui/icon";
import { Table, type Column } from "../ui/table";
import { Chip } from "../ui/text";
import { aboutOf, ACTORS, actorOf, detailOf, useCalled } from "../words";

/** The look of an entry in the chain. */
function linkOf(entry: Entry, verdict: Verdict | null): string {
    if (verdict?.broken) return entry.seq === verdict.broken.seq ? "cut" : entry.seq < verdict.broken.seq && entry.seq >= verdict.from ? "sealed" : "";
    return verdict && entry.seq <= verdict.to && entry.seq >= verdict.from ? "sealed" : "";
}

/** The table of entries. */
export function AuditTable({ entries, verdict, above }: { entries: readonly Entry[]; verdict: Verdict | null; above: ComponentChildren }) {
    const called = useCalled();
    const [open, setOpen] = useState<number | null>(null);
    const columns: readonly Column<Entry>[] = [
        {
            name: "Entry",
            show: (entry) => (
                <button
                    type="button"
                    class="sort"
                    aria-expanded={open === entry.seq ? "true" : "false"}
                    aria-label={`Entry ${entry.seq}`}
                    onClick={() => setOpen(open === entry.seq ? null : entry.seq)}
                >
                    <code class="quiet">{count(entry.seq)}</code>
                </button>
            ),
        },
        {
            name: "Time (UTC)",
            kind: "bare corner",
            show: ({ at }) => (
                <time dateTime={new Date(at).toISOString()} title={full(at)}>
                    {clock(at)}
                    <span class="sub">{new Date(at).getUTCFullYear() === new Date().getUTCFullYear() ? day(at) : date(at)}</span>
                </time>
            ),
        },
        {
            name: "Actor",
            show: (entry) => (
                <>
                    <span class="name">{entry.actorKind === "node" ? <code>{actorOf(entry, called)}</code> : actorOf(entry, called)}</span>
                    <span class="sub">{ACTORS[entry.actorKind] ?? entry.actorKind}</span>
                </>
            ),
        },
        {
            name: "Action",
            kind: "bare",
            show: (entry) => (
                <>
                    <code>{entry.action}</code>
                    <span class="sub">{aboutOf(entry, called)}</span>
                </>
            ),
        },
        {
            name: "Outcome",
            kind: "bare",
            show: ({ outcome }) =>
                outcome === "refused" ? (
                    <Badge tone="bad" glyph="cross">
                        Refused
                    </Badge>
                ) : (
                    <Badge tone="ok" glyph="on">
                        Done
                    </Badge>
                ),
        },
        { name: "From", show: ({ address }) => (address ? <code>{address}</code> : <span class="quiet">none</span>) },
        {
            name: "Hash",
            kind: "opt",
            show: ({ hash }) => (
                <code class="quiet" title={hash}>
                    {hash.slice(0, 8)}
                </code>
            ),
        },
    ];
    return (
        <Table
            caption="Entries of the audit log, newest first"
            look="chain"
            header={2}
            columns={columns}
            rows={entries}
            id={({ seq }) => String(seq)}
            rowClass={(entry) => linkOf(entry, verdict)}
            details={(entry) => entry.seq === open && <Details of={entry} called={called} />}
            above={above}
        />
    );
}

function Details({ of: entry, called }: { of: Entry; called: (id: string | null) => string | null }) {
    const whole = (text: string): string => text;
    return (
        <dl class="facts">
            {Object.entries(detailOf(entry)).map(([name, value]) => (
                <>
                    <dt key={name}>{sentence(name.replace(/([A-Z])/g, " $1").toLowerCase())}</dt>
                    <dd>{typeof value === "string" ? (called(value) ?? value) : JSON.stringify(value)}</dd>
                </>
            ))}
            {entry.contextId && (
                <>
                    <dt>About</dt>
                    <dd>
                        <Chip text={entry.contextId} what="id" cut={whole} />
                    </dd>
                </>
            )}
            <dt>Actor’s id</dt>
            <dd>
                <Chip text={entry.actorId || "none"} what="actor's id" cut={whole} />
            </dd>
            {entry.requestId && (
                <>
                    <dt>Request id</dt>
                    <dd>
                        <Chip text={entry.requestId} what="request id" cut={whole} />
                    </dd>
                </>
            )}
            <dt>Hash of the entry before</dt>
            <dd>
                <code class="chip">{entry.prevHash}</code>
            </dd>
            <dt>Hash</dt>
            <dd>
                <code class="chip">{entry.hash}</code>
            </dd>
        </dl>
    );
}
