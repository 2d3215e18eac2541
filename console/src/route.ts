// Where the person is: the part of the URL after #. Filters are in it, so that a view can be passed on and Back works.
import { Cell } from "./cell";

/** A place in the console, such as `#/keys/key-01a2...?silent=1`. */
export interface Route {
    readonly path: readonly string[];
    readonly query: URLSearchParams;
}

function parse(hash: string): Route {
    const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
    return { path: path.split("/").filter(Boolean).map(decode), query: new URLSearchParams(query) };
}

function decode(part: string): string {
    try {
        return decodeURIComponent(part);
    } catch {
        return part;
    }
}

/** One-time credentials arrive in the fragment, which no server's log contains. They leave the URL and the history at once. */
function takeInvitation(): { kind: "setup" | "invite"; token: string } | null {
    const [, kind, token] = /^#(setup|invite)=([\w-]+)$/.exec(location.hash) ?? [];
    if (!kind || !token) return null;
    history.replaceState(null, "", location.pathname + location.search);
    return { kind: kind === "setup" ? "setup" : "invite", token };
}

/** The invitation with which this page was opened. */
export const invitation = new Cell(takeInvitation());

/** The present place. */
export const route = new Cell<Route>(parse(location.hash));

addEventListener("hashchange", () => {
    const taken = takeInvitation();
    if (taken) invitation.set(taken);
    route.set(parse(location.hash));
});

/** What a query can be made of. Empty values are left out. */
export type Query = Record<string, string | number | null | undefined>;

/** The URL of a place, for links. */
export function to(path: string, query: Query = {}): string {
    const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
    const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
    return `#/${path}${text ? `?${text}` : ""}`;
}

/** Goes to a place. */
export function go(path: string, query: Query = {}): void {
    location.hash = to(path, query);
    // The event comes later: what follows must find the page where it goes.
    route.set(parse(location.hash));
}

/** Changes filters of the present place. Typing into a filter makes no steps for Back. */
export function filter(change: Query, step = true): void {
    const { path, query } = route.value;
    const next = to(path.map(encodeURIComponent).join("/"), { ...Object.fromEntries(query), page: null, ...change });
    if (step) {
        location.hash = next;
    } else {
        history.replaceState(null, "", next);
        route.set(parse(next));
    }
}
