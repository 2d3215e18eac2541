// The one way to show data of the server: a named load, which is loaded once for all that show it, kept for the next
// screen that needs it, and loaded again when something has changed it.
import { useEffect, useRef, useState } from "preact/hooks";
import { Problem } from "./api/problem";
import { now } from "./cell";

/** What is known of a load. Data stays while it is loaded again. */
export interface Loaded<T> {
    readonly data: T | undefined;
    readonly problem: Problem | null;
    /** Whether the load has been running for longer than a moment. */
    readonly slow: boolean;
    /** When the data arrived, in milliseconds. */
    readonly at: number | null;
    reload(): void;
}

type Load = (signal: AbortSignal) => Promise<unknown>;

interface Entry {
    data: unknown;
    problem: Problem | null;
    slow: boolean;
    at: number | null;
    running: AbortController | null;
    load: Load;
    readonly watchers: Set<() => void>;
}
const entries = new Map<string, Entry>();

/** A load that takes no longer than this is not announced, in milliseconds. */
const MOMENT = 300;

/** Data that is younger than this is not loaded again for the next screen, in milliseconds: the event stream tells of
 *  changes, and each load is recorded in the audit log. */
const FRESH = 15_000;

/** The most that is kept for screens that are not shown. */
const KEPT = 60;

async function start(entry: Entry): Promise<void> {
    entry.running?.abort();
    const own = (entry.running = new AbortController());
    const put = (change: Partial<Entry>): void => {
        if (entry.running !== own) return;
        Object.assign(entry, change);
        for (const watcher of [...entry.watchers]) watcher();
    };
    const timer = setTimeout(() => put({ slow: true }), MOMENT);
    try {
        const data = await entry.load(own.signal);
        // What has just happened is not ahead of the clock on the screen.
        now.set(Date.now());
        put({ data, problem: null, slow: false, at: Date.now(), running: null });
    } catch (thrown) {
        if (!own.signal.aborted) put({ problem: Problem.from(thrown), slow: false, running: null });
    } finally {
        clearTimeout(timer);
    }
}

/** Loads again whatever is shown whose name starts with one of `names`, and forgets the rest of it. */
export function changed(...names: string[]): void {
    for (const [key, entry] of entries) {
        if (!names.some((name) => key.startsWith(name))) continue;
        if (entry.watchers.size > 0) void start(entry);
        else entries.delete(key);
    }
}

/** Loads again whatever is shown. */
function refreshShown(): void {
    for (const entry of entries.values()) if (entry.watchers.size > 0) void start(entry);
}

/** Forgets everything, for the next person who signs in. */
export function forgetAll(): void {
    for (const entry of entries.values()) entry.running?.abort();
    entries.clear();
}

function entryOf(name: string, load: Load): Entry {
    const known = entries.get(name);
    if (known) return known;
    for (const [old, { watchers }] of entries) {
        if (entries.size < KEPT) break;
        if (watchers.size === 0) entries.delete(old);
    }
    const entry: Entry = { data: undefined, problem: null, slow: false, at: null, running: null, load, watchers: new Set() };
    entries.set(name, entry);
    return entry;
}

/** Loads something under a name. A load without a name is not wanted now. */
export function useLoad<T>(name: string | null, load: (signal: AbortSignal) => Promise<T>): Loaded<T> {
    const [, draw] = useState(0);
    const entry = name === null ? null : entryOf(name, load);
    useEffect(() => {
        if (!entry) return;
        const watcher = (): void => draw((count) => count + 1);
        entry.watchers.add(watcher);
        entry.load = load;
        if (!entry.running && (entry.at === null || Date.now() - entry.at > FRESH)) void start(entry);
        else watcher();
        return () => {
            entry.watchers.delete(watcher);
            if (entry.watchers.size === 0 && entry.running) {
                entry.running.abort();
                entry.running = null;
                // What was being replaced is old.
                entry.at = null;
            }
        };
    }, [entry]);
    return {
        data: entry?.data as T | undefined,
        problem: entry?.problem ?? null,
        slow: entry?.slow ?? false,
        at: entry?.at ?? null,
        reload: () => entry && void start(entry),
    };
}

/** An action that runs once at a time: a second press while it runs does nothing. */
export function useAction(): { busy: boolean; problem: Problem | null; run(act: () => Promise<void>): void; clear(): void } {
    const [busy, setBusy] = useState(false);
    const [problem, setProblem] = useState<Problem | null>(null);
    const running = useRef(false);
    const run = (act: () => Promise<void>): void => {
        if (running.current) return;
        running.current = true;
        setBusy(true);
        setProblem(null);
        act()
            .catch((thrown: unknown) => {
                const found = Problem.from(thrown);
                if (!found.cancelled) setProblem(found);
                // Somebody else was faster: what is shown beside the refusal is how it is now.
                if (found.status === 409) refreshShown();
            })
            .finally(() => {
                running.current = false;
                setBusy(false);
            });
    };
    return { busy, problem, run, clear: () => setProblem(null) };
}
