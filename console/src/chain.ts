// The check of the audit log's chain, in the page: each entry's hash is computed again and compared with what the server
// says. Nothing is taken from the server but the entries.
import { api, call, type Schema } from "./api/client";
import { hex, sha256 } from "./sha256";
import { recall, remember } from "./session";

/** An entry of the audit log. */
export type Entry = Schema["AuditEntry"];

const VERSION = new TextEncoder().encode("orgkeys audit v1");
const START = "0".repeat(64);
const encoder = new TextEncoder();
let buffer = new Uint8Array(16_384);

/** The hash that an entry must have if `prev` is the hash before it. */
export function hashOf(prev: string, entry: Entry): string {
    const columns = [
        entry.id,
        entry.org,
        entry.seq,
        entry.at,
        entry.actorKind,
        entry.actorId,
        entry.actorName,
        entry.action,
        entry.context,
        entry.contextId,
        entry.project,
        entry.change,
        entry.outcome,
        entry.address,
        entry.requestId,
        entry.detail,
    ];
    const room = columns.reduce<number>((sum, column) => sum + (typeof column === "string" ? column.length * 3 + 9 : 9), 64);
    if (buffer.length < room) buffer = new Uint8Array(room * 2);
    const view = new DataView(buffer.buffer);
    buffer.set(VERSION);
    let at = VERSION.length;
    for (let byte = 0; byte < 64; byte += 2) buffer[at++] = parseInt(prev.slice(byte, byte + 2), 16);
    for (const column of columns) {
        if (column === null || column === undefined) {
            buffer[at++] = 0x6e;
        } else if (typeof column === "number") {
            buffer[at++] = 0x69;
            view.setInt32(at, Math.floor(column / 0x1_0000_0000));
            view.setUint32(at + 4, column >>> 0);
            at += 8;
        } else {
            buffer[at++] = 0x74;
            const { written } = encoder.encodeInto(column, buffer.subarray(at + 8));
            view.setUint32(at, 0);
            view.setUint32(at + 4, written);
            at += 8 + written;
        }
    }
    return hex(sha256(buffer.subarray(0, at)));
}

/** What a check has found. */
export interface Verdict {
    /** The first and last entry that were checked. */
    from: number;
    to: number;
    /** The hash of the last one. */
    hash: string;
    /** When it was checked, and how long it took, in milliseconds. */
    at: number;
    took: number;
    /** The head that this browser saw before, which the log continues. */
    continues: { seq: number; at: number } | null;
    /** Where the chain breaks, and why; null if it holds. */
    broken: { seq: number; why: string; expected: string; found: string } | null;
}

const nameOf = (org: string): string => `head:${org}`;

/** The last check of this browser that found the chain whole. */
export function lastCheck(org: string): Verdict | null {
    const known = recall(nameOf(org)) as Partial<Verdict> | null;
    return typeof known?.to === "number" && typeof known.hash === "string" ? (known as Verdict) : null;
}

/** The part of the latest `audit.trim` entry that says where the log begins now. */
function trimOf(entry: Entry): { seq: number; hash: string } | null {
    if (entry.action !== "audit.trim" || !entry.detail) return null;
    try {
        const { seq, hash } = JSON.parse(entry.detail) as { seq?: unknown; hash?: unknown };
        return typeof seq === "number" && typeof hash === "string" ? { seq, hash } : null;
    } catch {
        return null;
    }
}

/** Walks the whole chain of an organization. `progress` is told how far it is. */
export async function verify(org: string, progress: (done: number, all: number) => void, signal: AbortSignal): Promise<Verdict> {
    const began = performance.now();
    const before = lastCheck(org);
    const head = await call(api.GET("/organization/{orgId}/audit/head", { params: { path: { orgId: org } }, signal }));
    let after = 0;
    let from = 0;
    let last: { seq: number; hash: string; id: number } | null = null;
    let firstPrev = START;
    let trim: { seq: number; hash: string } | null = null;
    let continues: Verdict["continues"] = null;
    const done = (broken: Verdict["broken"]): Verdict => {
        const verdict: Verdict = {
            from,
            to: last?.seq ?? 0,
            hash: last?.hash ?? START,
            at: Date.now(),
            took: performance.now() - began,
            continues,
            broken,
        };
        if (!broken) remember(nameOf(org), verdict);
        return verdict;
    };
    const broken = (seq: number, why: string, expected: string, found: string): Verdict => done({ seq, why, expected, found });

    for (;;) {
        const params = { path: { orgId: org }, query: { after, limit: 1000 } };
        const page = await call(api.GET("/organization/{orgId}/audit", { params, signal }));
        for (const entry of page.data) {
            if (last === null) {
                from = entry.seq;
                firstPrev = entry.prevHash;
                if (entry.seq === 1 && entry.prevHash !== START) return broken(1, "It is the first entry, but names one before it", START, entry.prevHash);
                if (entry.seq !== page.removed + 1) return broken(page.removed + 1, "Entries are missing at the beginning", String(page.removed + 1), String(entry.seq));
            } else {
                if (entry.seq !== last.seq + 1) return broken(last.seq + 1, "An entry is missing", String(last.seq + 1), String(entry.seq));
                if (entry.prevHash !== last.hash) return broken(entry.seq, `It does not hold the hash of entry ${last.seq}`, last.hash, entry.prevHash);
                if (entry.id <= last.id) return broken(entry.seq, "Its number in the server's log is not above that of the entry before", `> ${last.id}`, String(entry.id));
            }
            if (entry.org !== org) return broken(entry.seq, "It belongs to another organization", org, entry.org);
            const hash = hashOf(entry.prevHash, entry);
            if (hash !== entry.hash) return broken(entry.seq, "Its content does not match its hash", entry.hash, hash);
            if (entry.seq === head.seq && hash !== head.hash) return broken(entry.seq, "It is not the head that the server names", head.hash, hash);
            if (entry.seq === before?.to) {
                if (entry.hash !== before.hash) return broken(entry.seq, "This browser saw another entry here before", before.hash, entry.hash);
                continues = { seq: before.to, at: before.at };
            }
            trim = trimOf(entry) ?? trim;
            last = { seq: entry.seq, hash: entry.hash, id: entry.id };
        }
        if (last) progress(last.seq - from + 1, Math.max(page.last, last.seq) - from + 1);
        if (page.data.length === 0 || page.next === after || (last && last.seq >= page.last)) break;
        after = page.next;
    }
    const end: { seq: number; hash: string } = last ?? { seq: 0, hash: START };
    if (from > 1) {
        if (!trim) return broken(from, "Entries before it were removed, but no entry says so", "audit.trim", "nothing");
        if (trim.seq !== from - 1 || trim.hash !== firstPrev) return broken(from, "It does not follow the entry that was removed last", trim.hash, firstPrev);
    }
    if (end.seq < head.seq) return broken(end.seq + 1, "Entries are missing at the end", String(head.seq), String(end.seq));
    if (before && before.to > end.seq) return broken(end.seq + 1, "This browser saw more entries before: the end of the log was cut off", String(before.to), String(end.seq));
    return done(null);
}
