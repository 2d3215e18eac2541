// The screens, in the order of the rail.
import type { Right } from "../access";

/** A screen of the rail. */
export interface Place {
    path: string;
    name: string;
    icon: string;
    /** The letter that goes there after `g`. */
    letter: string;
    /** Without this right, the screen has nothing to show. */
    right?: Right;
    /** The group in the rail. The first one is the bar at the bottom of a phone. */
    group: 0 | 1 | 2;
}

/** All of them. */
export const PLACES: readonly Place[] = [
    { path: "", name: "Overview", icon: "overview", letter: "o", group: 0 },
    { path: "keys", name: "Keys", icon: "key", letter: "k", right: "manageKeys", group: 0 },
    { path: "nodes", name: "Nodes", icon: "node", letter: "n", group: 0 },
    { path: "api-keys", name: "API keys", icon: "apikey", letter: "a", group: 0 },
    { path: "people", name: "People", icon: "people", letter: "p", right: "seePeople", group: 1 },
    { path: "projects", name: "Projects", icon: "project", letter: "j", group: 1 },
    { path: "webhooks", name: "Webhooks", icon: "webhook", letter: "w", right: "manageWebhooks", group: 1 },
    { path: "audit", name: "Audit log", icon: "audit", letter: "l", right: "readAudit", group: 1 },
    { path: "organization", name: "Organization", icon: "server", letter: "s", group: 2 },
];
