// Who has signed in, and how that begins and ends.
import { api, call, door, type Schema } from "./api/client";
import { Problem } from "./api/problem";
import { forbidden, question } from "./api/transport";
import { Cell } from "./cell";
import { forgetAll } from "./load";
import * as session from "./session";

/** The person who has signed in. */
export type Me = Schema["Profile"];

/** Null until it is known who has signed in, and while nobody has. */
export const me = new Cell<Me | null>(null);

/** Whether this browser has a session. */
export const signedIn = new Cell(session.token() !== null);

/** The person, on screens that nobody sees without having signed in. */
export function mine(): Me {
    const known = me.value;
    if (!known) throw new Problem(401, "NO_SESSION", "Nobody has signed in.");
    return known;
}

/** Asks the server who has signed in. */
export async function meet(): Promise<void> {
    const { data } = await call(api.GET("/user/profile"));
    const before = me.value;
    if (before && before.id !== data.id) forgetAll();
    me.set(data);
    newRole.set(null);
}

/** The role that the person has now, if it is another than the one that the page shows; else null. */
export const newRole = new Cell<number | null>(null);

/** Asks the server for the person's role. The page is not redrawn for it by itself: a form may be open on it. */
export async function lookAtRole(): Promise<void> {
    const before = me.value;
    if (!before) return;
    const { data } = await call(api.GET("/user/profile"));
    if (me.value === before) newRole.set(data.orgRole === before.orgRole ? null : data.orgRole);
}
forbidden.watch((times) => void (times > 0 && lookAtRole().catch(() => undefined)));

/** Signs in, with the password that was just typed. */
export async function signIn(email: string, password: string): Promise<void> {
    const body = { email, password, deviceInfo: device() };
    const answer = await call(door.POST("/user/web-session", { body }));
    session.begin(answer.accessToken);
    // Somebody else may have signed in over the page of the one before.
    if (me.value && me.value.id !== answer.user.id) {
        location.reload();
        return;
    }
    signedIn.set(true);
}

/** Ends the session here and on the server. All tabs of this browser follow. */
export async function signOut(): Promise<void> {
    const ended = api.DELETE("/user/web-session").catch(() => undefined);
    await ended;
    leave();
}

/** Forgets who had signed in. */
export function leave(): void {
    session.forget();
    forgetAll();
    me.set(null);
    newRole.set(null);
    signedIn.set(false);
    question.value?.answer(false);
}

session.onOtherTab(() => {
    if (session.token() === null) return leave();
    signedIn.set(true);
    // Whoever has signed in again in another tab is not asked here, too.
    if (question.value?.kind === "sign-in") question.value.answer(true);
});

// A page that comes back by Back must not show what a signed-out browser may not see.
addEventListener("pageshow", ({ persisted }) => {
    if (persisted && session.token() === null) leave();
});

/** How the list of sessions names this browser. */
function device(): string {
    const agent = navigator.userAgent;
    const browser = [/Firefox/, /Edg/, /Chrom/, /Safari/].find((each) => each.test(agent))?.source ?? "Browser";
    const names: Record<string, string> = { Edg: "Edge", Chrom: "Chromium" };
    const system = /Android|iPhone|iPad|Windows|Mac OS X|Linux/.exec(agent)?.[0] ?? "another system";
    return `Console, ${names[browser] ?? browser} on ${system.replace("Mac OS X", "macOS")}`;
}
