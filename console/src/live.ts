// The event stream: whatever anybody changes in the organization is loaded again here.
import { api, type Schema } from "./api/client";
import { justChanged } from "./api/transport";
import { Cell } from "./cell";
import { changed } from "./load";
import { lookAtRole, me } from "./me";

/** An event of the stream. */
export type LiveEvent = Schema["SystemEvent"];

/** Whether the stream is open. */
export const live = new Cell(false);

/** The newest event of the stream. */
export const latest = new Cell<LiveEvent | null>(null);

/** The loads that show what an event is about, by its context. */
const LOADS: Record<string, string[]> = {
    workspace: ["project"],
    workspaceuser: ["project"],
    user: ["people", "sessions"],
    org: ["organization"],
    apikey: ["api-keys"],
    orgsettings: ["webhook", "secrets"],
    flashbacknode: ["nodes", "keys", "impact"],
    orgkey: ["keys", "nodes", "impact"],
};

/** The time between two loads that events cause, in milliseconds: each load is recorded in the audit log. */
const APART = 5000;

const due = new Set<string>();
let timer = 0;
let last = 0;

function refreshSoon(names: readonly string[]): void {
    for (const name of names) due.add(name);
    if (timer || due.size === 0) return;
    timer = window.setTimeout(
        () => {
            const all = [...due];
            due.clear();
            timer = 0;
            last = Date.now();
            changed(...all);
        },
        Math.max(300, last + APART - Date.now()),
    );
}

function heard(event: LiveEvent): void {
    latest.set(event);
    // Nodes register all the time. That one of them did again changes nothing but its last contact.
    if (event.context === "flashbacknode" && event.event === "updated" && !location.hash.startsWith("#/keys/")) return;
    if (event.userId !== me.value?.id || !justChanged()) refreshSoon(["latest", ...(LOADS[event.context] ?? [])]);
}

/** Follows the stream until it is aborted. It is open only while the page is visible: browsers have few connections. */
async function follow(signal: AbortSignal): Promise<void> {
    let after = "";
    for (let failures = 0; !signal.aborted; failures++) {
        const person = me.value;
        if (!person) return;
        try {
            const { response } = await api.GET("/organization/{orgId}/events/stream", {
                params: { path: { orgId: person.orgId }, query: after ? { after } : {} },
                parseAs: "stream",
                signal,
            });
            if (response.ok && response.body) {
                live.set(true);
                failures = 0;
                // What is shown may have changed before the stream began.
                if (!after) refreshSoon([""]);
                for await (const message of messages(response.body)) {
                    if (message.id) after = message.id;
                    if (message.event === "end") {
                        const { reason } = JSON.parse(message.data) as { reason: string };
                        if (reason === "role") void lookAtRole().catch(() => undefined);
                        break;
                    }
                    if (message.data) heard(JSON.parse(message.data) as LiveEvent);
                }
            }
        } catch {
            // The connection broke; it is opened again below.
        }
        live.set(false);
        await new Promise((resolve) => setTimeout(resolve, Math.min(30_000, 1000 * 2 ** failures)));
    }
}

interface Message {
    id: string;
    event: string;
    data: string;
}

/** The messages of a stream of server-sent events. */
async function* messages(body: ReadableStream<Uint8Array>): AsyncGenerator<Message> {
    const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
    let rest = "";
    try {
        for (;;) {
            const { value, done } = await reader.read();
            if (done) return;
            const blocks = (rest + value).split("\n\n");
            rest = blocks.pop() ?? "";
            for (const block of blocks) {
                const message: Message = { id: "", event: "", data: "" };
                for (const line of block.split("\n")) {
                    const [, name, text] = /^(id|event|data): ?(.*)$/.exec(line) ?? [];
                    if (name) message[name as keyof Message] = text ?? "";
                }
                yield message;
            }
        }
    } finally {
        reader.cancel().catch(() => undefined);
    }
}

/** Follows the stream while the page is visible. Returns what stops it. */
export function startLive(): () => void {
    let running: AbortController | null = null;
    const update = (): void => {
        const wanted = document.visibilityState === "visible";
        if (wanted && !running) void follow((running = new AbortController()).signal);
        if (!wanted && running) {
            running.abort();
            running = null;
            live.set(false);
        }
    };
    document.addEventListener("visibilitychange", update);
    update();
    return () => {
        document.removeEventListener("visibilitychange", update);
        running?.abort();
        live.set(false);
    };
}
