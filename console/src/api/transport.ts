// The only file that sends requests. It adds the session, waits where waiting helps, and asks for the password again
// over the same page where that helps, so that nothing on the page is lost.
import { Cell } from "../cell";
import * as session from "../session";
import { Problem } from "./problem";

/** How the server can be reached: null if it answers, else when it is asked again. */
export const offline = new Cell<{ since: number; retryAt: number } | null>(null);

/** When the server, which limits the rate of calls, may be asked again. */
export const slowedUntil = new Cell<number | null>(null);

/** Whether the server's disk is nearly full: then it accepts only calls that revoke or delete. */
export const storageFull = new Cell(false);

/** How often the server has said that the person's role does not permit a call. */
export const forbidden = new Cell(0);

/** A question that the page asks over whatever it shows. `answer` goes on with the call, or gives it up. */
export interface Question {
    readonly kind: "sign-in" | "confirm";
    answer(goOn: boolean): void;
}
export const question = new Cell<Question | null>(null);

let changedAt = 0;

/** Whether this page itself has just changed something, so that it knows of it already. */
export const justChanged = (): boolean => Date.now() - changedAt < 3000;

/** The waits between attempts while there is no connection, in seconds. */
const WAITS = [1, 2, 4, 8, 15, 30];

/** The time between attempts while the server's disk is full, in milliseconds. */
const FULL_WAIT = 30_000;

let asked: Promise<boolean> | null = null;

/** Asks once, however many calls wait for the answer. */
function ask(kind: Question["kind"]): Promise<boolean> {
    asked ??= new Promise<boolean>((resolve) => {
        question.set({
            kind,
            answer: (goOn) => {
                asked = null;
                question.set(null);
                resolve(goOn);
            },
        });
    });
    return asked;
}

let wake: (() => void) | null = null;

/** Ends the wait for the connection, or for room on the disk: asks the server now. */
export const tryNow = (): void => wake?.();
addEventListener("online", tryNow);

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
        const end = (): void => {
            clearTimeout(timer);
            signal.removeEventListener("abort", abandon);
            resolve();
        };
        const abandon = (): void => {
            clearTimeout(timer);
            reject(signal.reason);
        };
        const timer = setTimeout(end, milliseconds);
        const before = wake;
        wake = () => {
            before?.();
            end();
        };
        signal.addEventListener("abort", abandon);
    });
}

/** The code in an answer's body, which stays readable. */
async function codeOf(response: Response): Promise<string> {
    try {
        return Problem.of(response, await response.clone().json()).code;
    } catch {
        return "";
    }
}

/** Sends a request of the generated client. */
export async function send(request: Request): Promise<Response> {
    const repeatable = request.method === "GET";
    const needsNoRoom = request.method === "DELETE" || request.url.endsWith("/user/web-session/confirm");
    let refusedForRoom = false;
    for (let attempt = 0; ; attempt++) {
        const bearer = session.token();
        const copy = new Request(request.clone(), bearer ? { headers: withBearer(request, bearer) } : {});
        let response: Response;
        try {
            response = await fetch(copy);
        } catch (failure) {
            if (request.signal.aborted) throw failure;
            const wait = (WAITS[Math.min(attempt, WAITS.length - 1)] ?? 30) * 1000;
            offline.set({ since: offline.value?.since ?? Date.now(), retryAt: Date.now() + wait });
            if (!repeatable) throw Problem.noAnswer();
            await pause(wait, request.signal);
            continue;
        }
        offline.set(null);
        if (response.ok) {
            if (!repeatable) changedAt = Date.now();
            if (refusedForRoom || (!repeatable && !needsNoRoom)) storageFull.set(false);
            return response;
        }
        const code = await codeOf(response);
        if (code === "STORAGE_FULL") {
            storageFull.set(true);
            if (repeatable) {
                // Reads are recorded, so they fail as well. Once one succeeds, there is room again.
                refusedForRoom = true;
                await pause(FULL_WAIT, request.signal);
                continue;
            }
        }
        if (response.status === 401 && bearer) {
            // Another tab may have signed in meanwhile.
            if (session.token() !== bearer || (await ask("sign-in"))) continue;
            throw Problem.cancelled();
        }
        if (code === "PASSWORD_CONFIRMATION_REQUIRED") {
            if (await ask("confirm")) continue;
            throw Problem.cancelled();
        }
        if (response.status === 403) forbidden.set(forbidden.value + 1);
        const seconds = Number(response.headers.get("Retry-After") ?? NaN);
        if (repeatable && seconds > 0 && attempt < 5 && (response.status === 429 || response.status === 503)) {
            slowedUntil.set(Date.now() + seconds * 1000);
            await pause(seconds * 1000, request.signal);
            slowedUntil.set(null);
            continue;
        }
        return response;
    }
}

function withBearer(request: Request, bearer: string): Headers {
    const headers = new Headers(request.headers);
    headers.set("Authorization", `Bearer ${bearer}`);
    return headers;
}

/** Sends a request that has its own credential in its body: no session, no waiting, no questions. */
export async function sendPlain(request: Request): Promise<Response> {
    try {
        const response = await fetch(request);
        offline.set(null);
        return response;
    } catch {
        throw Problem.noAnswer();
    }
}
