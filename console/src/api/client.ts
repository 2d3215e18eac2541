// The client that is generated from the OpenAPI document, and the two ways to call it.
import createClient from "openapi-fetch";
import { SERVER } from "../session";
import { Problem } from "./problem";
import type { components, paths } from "./schema";
import { send, sendPlain } from "./transport";

/** Calls of the person who has signed in. */
export const api = createClient<paths>({ baseUrl: SERVER, fetch: send });

/** Calls that carry a credential of their own, before somebody has signed in. */
export const door = createClient<paths>({ baseUrl: SERVER, fetch: sendPlain });

/** The schemas of the document. */
export type Schema = components["schemas"];

/** Awaits a call, and throws a `Problem` unless it succeeded. */
export async function call<T>(result: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
    const { data, error, response } = await result;
    if (error !== undefined || data === undefined) throw Problem.of(response, error);
    return data;
}

/** The answer as JSON, of an operation that can also answer with a text. */
export function json<T>(answer: T): Exclude<T, string> {
    if (typeof answer === "string") throw new TypeError("The server answered with a text instead of JSON.");
    return answer as Exclude<T, string>;
}
