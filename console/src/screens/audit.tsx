// The audit log: newest first, live, and verified in the page.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { api, call } from "../api/client";
import { useCell } from "../cell";
import { lastCheck, type Entry, type Verdict } from "../chain";
import { useMay, usePeople, fullName } from "../data";
import { count } from "../format";
import { useAction, useLoad } from "../load";
import { latest, live } from "../live";
import { mine } from "../me";
import { filter, route, to } from "../route";
import { Pick, Toolbar } from "../ui/filters";
import { Button, textOf } from "../ui/form";
import { saveFile } from "../ui/secret";
import { NothingMatches, Shown } from "../ui/table";
import { ACTIONS } from "../words";
import { Seal, useVerify } from "./audit-seal";
import { AuditTable } from "./audit-table";
import { NotYours, Page } from "./page";

/** The entries of a page of the log. */
const LIMIT = 50;
/** The most rows that the document holds at once. */
const MOST = 150;
/** The most entries of an export. */
const EXPORT = 20_000;
/** The time between two looks for entries that the event stream does not tell of, in milliseconds. */
const LOOK = 10_000;

/** What the URL says is wanted. */
interface Wanted {
    action?: string;
    actorId?: string;
    outcome?: "done" | "refused";
    from?: string;
    to?: string;
}

function wantedOf(query: URLSearchParams): Wanted {
    const wanted: Wanted = {};
    for (const name of ["action", "actorId"] as const) {
        const value = query.get(name);
        if (value) wanted[name] = value;
    }
    const outcome = query.get("outcome");
    if (outcome === "done" || outcome === "refused") wanted.outcome = outcome;
    const day = /^\d{4}-\d{2}-\d{2}$/;
    const [from, until] = [query.get("from") ?? "", query.get("to") ?? ""];
    if (day.test(from)) wanted.from = `${from}T00:00:00Z`;
    if (day.test(until)) wanted.to = `${until}T23:59:59.999Z`;
    return wanted;
}

const matches = (entry: Entry, { action, actorId, outcome, from, to: until }: Wanted): boolean =>
    (!action || entry.action === action) &&
    (!actorId || entry.actorId === actorId) &&
    (!outcome || entry.outcome === outcome) &&
    (!from || entry.at >= Date.parse(from)) &&
    (!until || entry.at <= Date.parse(until));

interface Found {
    entries: Entry[];
    next: number;
    last: number;
    removed: number;
}

/** Reads back from an entry until enough are found. The server looks at so many entries in one call, and then answers. */
async function readBack(wanted: Wanted, before: number | null, limit: number, signal?: AbortSignal): Promise<Found> {
    const entries: Entry[] = [];
    let next = before ?? 0;
    for (;;) {
        const query = { ...wanted, order: "newest" as const, limit: Math.min(1000, limit - entries.length), ...(next ? { before: next } : {}) };
        const page = await call(api.GET("/organization/{orgId}/audit", { params: { path: { orgId: mine().orgId }, query }, ...(signal ? { signal } : {}) }));
        entries.push(...page.data);
        next = page.next;
        if (next === 0 || entries.length >= limit) return { entries, next, last: page.last, removed: page.removed };
    }
}

/** Entries that were added after `since`, newest first. */
function useNewer(since: number | null, wanted: Wanted, paused: boolean): { newer: Entry[]; missed: number } {
    const [newer, setNewer] = useState<Entry[]>([]);
    const [missed, setMissed] = useState(0);
    const after = useRef(since ?? 0);
    const key = JSON.stringify(wanted);
    useEffect(() => {
        after.current = since ?? 0;
        setNewer([]);
        setMissed(0);
    }, [since, key]);
    useEffect(() => {
        if (since === null) return;
        let stopped = false;
        let reading = false;
        let again = false;
        const look = async (): Promise<void> => {
            if (stopped || document.visibilityState !== "visible") return;
            again = reading;
            if (reading) return;
            reading = true;
            try {
                const params = { path: { orgId: mine().orgId }, query: { after: after.current, limit: 1000 } };
                if (paused) {
                    const head = await call(api.GET("/organization/{orgId}/audit/head", { params: { path: params.path } }));
                    if (!stopped) setMissed(Math.max(0, head.seq - after.current));
                    return;
                }
                const { data } = await call(api.GET("/organization/{orgId}/audit", { params }));
                if (stopped || data.length === 0) return;
                after.current = data[data.length - 1]?.seq ?? after.current;
                setMissed(0);
                setNewer((before) => [...data.filter((entry) => matches(entry, wanted)).reverse(), ...before].slice(0, MOST));
            } catch {
                // The conditions at the top say what is wrong.
            } finally {
                reading = false;
                if (again) void look();
            }
        };
        void look();
        const timer = setInterval(() => void look(), LOOK);
        const told = latest.watch(() => void look());
        return () => {
            stopped = true;
            told();
            clearInterval(timer);
        };
    }, [since, key, paused]);
    return { newer, missed };
}

/** The screen of the audit log. */
export function Audit() {
    const { query } = useCell(route);
    const reader = useMay("readAudit");
    const streaming = useCell(live);
    const people = usePeople().data ?? [];
    const [paused, setPaused] = useState(false);
    const wanted = wantedOf(query);
    const before = Number(query.get("before") ?? 0) || null;
    const name = `audit ${JSON.stringify(wanted)} ${before ?? ""}`;
    const found = useLoad(reader ? name : null, (signal) => readBack(wanted, before, LIMIT, signal));
    const newest = before === null && !wanted.to;
    const { newer, missed } = useNewer(newest && found.data ? found.data.last : null, wanted, paused);
    const checking = useVerify();
    const exporting = useAction();
    const entries = useMemo(() => [...newer, ...(found.data?.entries ?? [])].slice(0, MOST), [newer, found.data]);
    if (!reader) return <NotYours title="Audit log" right="readAudit" />;

    const verdict: Verdict | null = checking.verdict ?? lastCheck(mine().orgId);
    const set = Object.keys(wanted).length > 0;
    const exportView = (): void =>
        exporting.run(async () => {
            const all = await readBack(wanted, before, EXPORT);
            saveFile("audit.jsonl", all.entries.map((entry) => `${JSON.stringify(entry)}\n`).join(""));
        });
    const last = entries[entries.length - 1];
    const older = entries.length === MOST && last ? last.seq : (found.data?.next ?? 0);
    return (
        <Page
            title="Audit log"
            about="Every change, read and refusal. Each entry holds the hash of the one before, so nothing can be changed, removed or put in unseen."
            problem={exporting.problem ?? checking.problem}
            actions={
                <>
                    <Button icon="download" busy={exporting.busy} onClick={exportView}>
                        Export this view
                    </Button>
                    <Button kind="primary" busy={checking.busy} onClick={checking.start}>
                        Verify the chain
                    </Button>
                </>
            }
        >
            <Seal verdict={verdict} progress={checking.progress} />
            <Toolbar
                label="Filter entries"
                path="audit"
                set={set}
                end={
                    newest && (
                        <>
                            {!paused && streaming && (
                                <span class="live" role="status">
                                    Live
                                </span>
                            )}
                            {paused && <span role="status">Paused</span>}
                            <Button small icon={paused ? undefined : "pause"} onClick={() => setPaused(!paused)}>
                                {paused ? "Go on" : "Pause"}
                            </Button>
                        </>
                    )
                }
            >
                <ActorFilter value={wanted.actorId ?? ""} people={people.map((person) => [person.id, fullName(person)] as const)} />
                <Pick label="Action" any="Any action" name="action" value={wanted.action ?? ""} options={actionsWith(wanted.action)} />
                <Pick
                    label="Outcome"
                    any="Any outcome"
                    name="outcome"
                    value={wanted.outcome ?? ""}
                    options={[
                        ["done", "Done"],
                        ["refused", "Refused"],
                    ]}
                />
                <span class="row">
                    {(["from", "to"] as const).map((end) => (
                        <label key={end} class="date">
                            {end === "from" ? "From" : "to"}
                            <input type="date" value={query.get(end) ?? ""} onChange={(event) => filter({ [end]: textOf(event) || null, before: null })} />
                        </label>
                    ))}
                </span>
            </Toolbar>
            <Shown of={found}>
                {(data) =>
                    entries.length === 0 ? (
                        <NothingMatches what="entry" path="audit" />
                    ) : (
                        <>
                            <AuditTable
                                entries={entries}
                                verdict={verdict}
                                above={
                                    paused && missed > 0 ? (
                                        <>
                                            {count(missed)} {missed === 1 ? "entry" : "entries"} while the view was paused{" "}
                                            <button type="button" class="as-link" onClick={() => setPaused(false)}>
                                                Show them
                                            </button>
                                        </>
                                    ) : null
                                }
                            />
                            <div class="pager">
                                <span>
                                    Entries {count(last?.seq ?? 0)} to {count(entries[0]?.seq ?? 0)} of {count(Math.max(data.last, entries[0]?.seq ?? 0))}.
                                    {data.removed > 0 && ` Entries before ${count(data.removed + 1)} were removed after the time that the server keeps them.`}
                                </span>
                                <span class="row">
                                    {before !== null && (
                                        <a class="btn small" href={to("audit", { ...Object.fromEntries(query), before: null })}>
                                            Newest
                                        </a>
                                    )}
                                    {older > 1 && (
                                        <a class="btn small" href={to("audit", { ...Object.fromEntries(query), before: older })}>
                                            Older
                                        </a>
                                    )}
                                </span>
                            </div>
                        </>
                    )
                }
            </Shown>
        </Page>
    );
}

function actionsWith(chosen: string | undefined): (readonly [string, string])[] {
    const all = chosen && !ACTIONS.includes(chosen) ? [chosen, ...ACTIONS] : ACTIONS;
    return all.map((action) => [action, action] as const);
}

/** People by name; a node or an API key arrives here by a link from its list. */
function ActorFilter({ value, people }: { value: string; people: readonly (readonly [string, string])[] }) {
    const known = people.some(([id]) => id === value) || value === "system" || value === "";
    const options = [...people, ["system", "The server"] as const, ...(known ? [] : [[value, value] as const])];
    return <Pick label="Actor" any="Any actor" name="actorId" value={value} options={options} />;
}
