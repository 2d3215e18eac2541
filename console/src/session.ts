// What the browser keeps: the bearer half of the web session, and what it saw of the audit log. Nothing else is stored.

/** The server's address, with a slash at its end. The page is one level below it, wherever a proxy has put it. */
export const SERVER = new URL("../", document.baseURI).href;

/** One server in a sub-path must not see what another one on the same host stored. */
const OURS = `orgkeys:${new URL(SERVER).pathname}:`;
const TOKEN = `${OURS}session`;

/** Used if the browser refuses to store anything: the session then ends with the page. */
const memory = new Map<string, string>();

function read(name: string): string | null {
    try {
        return localStorage.getItem(name) ?? memory.get(name) ?? null;
    } catch {
        return memory.get(name) ?? null;
    }
}

function write(name: string, value: string | null): void {
    if (value === null) memory.delete(name);
    else memory.set(name, value);
    try {
        if (value === null) localStorage.removeItem(name);
        else localStorage.setItem(name, value);
    } catch {
        // It stays in memory.
    }
}

/** The bearer half of the session, or null if nobody has signed in. */
export const token = (): string | null => read(TOKEN);

/** Keeps the bearer half of a new session. All tabs of this browser use it. */
export const begin = (bearer: string): void => write(TOKEN, bearer);

/** Forgets the session. */
export const forget = (): void => write(TOKEN, null);

/** Calls back when another tab has signed in or out. */
export function onOtherTab(changed: () => void): () => void {
    const heard = ({ key }: StorageEvent): void => {
        if (key !== TOKEN && key !== null) return;
        memory.delete(TOKEN);
        changed();
    };
    addEventListener("storage", heard);
    return () => removeEventListener("storage", heard);
}

/** Remembers something that is no secret, such as the last head of the audit log that was verified. */
export const remember = (name: string, value: unknown): void => write(OURS + name, JSON.stringify(value));

/** What was remembered, or null. */
export function recall(name: string): unknown {
    try {
        return JSON.parse(read(OURS + name) ?? "null");
    } catch {
        return null;
    }
}
