// What a call can fail with, in the same form whether the server answered or not.

/** A failed call. `message` is the server's own, word for word. */
export class Problem extends Error {
    constructor(
        /** The HTTP status, or 0 if there was no answer. */
        readonly status: number,
        /** The server's error code, such as `KEY_LIMIT_REACHED`. */
        readonly code: string,
        message: string,
        /** The request's id, as in the server's log. */
        readonly requestId: string | null = null,
        /** When the call may be repeated, in milliseconds. */
        readonly retryAt: number | null = null,
    ) {
        super(message);
    }

    /** Whether no answer arrived, so that nobody knows whether the server did what it was asked. */
    get lost(): boolean {
        return this.code === "NO_ANSWER";
    }

    /** Whether the person gave up before anything was sent, so that there is nothing to tell. */
    get cancelled(): boolean {
        return this.code === "CANCELLED";
    }

    static noAnswer(): Problem {
        return new Problem(0, "NO_ANSWER", `No answer from ${location.host}.`);
    }

    static cancelled(): Problem {
        return new Problem(0, "CANCELLED", "Cancelled. Nothing was changed.");
    }

    /** Reads either envelope of the API. */
    static of(response: Response, body: unknown): Problem {
        const answer = (typeof body === "object" && body !== null ? body : {}) as Record<string, unknown>;
        const errors = Array.isArray(answer.errors) ? answer.errors : [];
        const message = String(answer.message ?? errors[0] ?? `The server answered ${response.status}.`);
        const code = String(answer.errorCode ?? answer.resultInfo ?? "");
        const seconds = Number(response.headers.get("Retry-After") ?? NaN);
        const retryAt = seconds > 0 ? Date.now() + seconds * 1000 : null;
        return new Problem(response.status, code, message, response.headers.get("X-Request-Id"), retryAt);
    }

    /** Whatever was thrown, as a problem. */
    static from(thrown: unknown): Problem {
        return thrown instanceof Problem ? thrown : new Problem(0, "", thrown instanceof Error ? thrown.message : String(thrown));
    }
}
