// Times, numbers and ids in words. All times are UTC, because servers and their logs are.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** How far the server's clock may be ahead of the browser's without a word. */
const SKEW = 20_000;
const DAY = 24 * HOUR;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const two = (number: number): string => String(number).padStart(2, "0");

/** A number with separators, such as 18,402. */
export const count = (number: number): string => number.toLocaleString("en-US");

/** A number and its noun: `1 node`, `2 nodes`. */
export const of = (number: number, one: string, many = `${one}s`): string => `${count(number)} ${number === 1 ? one : many}`;

/** A span of time in its largest unit: `41 min`, `3 h`, `2 days`. */
export function span(milliseconds: number): string {
    const long = Math.abs(milliseconds);
    if (long < MINUTE) return `${Math.max(1, Math.round(long / 1000))} s`;
    if (long < HOUR) return `${Math.round(long / MINUTE)} min`;
    if (long < DAY) return `${Math.round(long / HOUR)} h`;
    return of(Math.round(long / DAY), "day");
}

/** A time as seen from now: `just now`, `5 min ago`, `in 5 days`, or its date if that is far away. */
export function relative(time: number, now: number): string {
    const ahead = time - now;
    if (Math.abs(ahead) < MINUTE) return ahead > SKEW ? "in a minute" : "just now";
    if (Math.abs(ahead) > 60 * DAY) return date(time);
    return ahead > 0 ? `in ${span(ahead)}` : `${span(ahead)} ago`;
}

/** `Dec 3, 2026`. */
export function date(time: number): string {
    const at = new Date(time);
    return `${MONTHS[at.getUTCMonth()]} ${at.getUTCDate()}, ${at.getUTCFullYear()}`;
}

/** `Dec 3`. */
export function day(time: number): string {
    const at = new Date(time);
    return `${MONTHS[at.getUTCMonth()]} ${at.getUTCDate()}`;
}

/** `14:31`, in UTC. */
export function hour(time: number): string {
    const at = new Date(time);
    return `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
}

/** `14:31:02`, in UTC. */
export const clock = (time: number): string => `${hour(time)}:${two(new Date(time).getUTCSeconds())}`;

/** `14:31:02 UTC` for a time today, else with its day. */
export function absolute(time: number, now: number): string {
    const today = new Date(time).toISOString().slice(0, 10) === new Date(now).toISOString().slice(0, 10);
    const year = new Date(time).getUTCFullYear() === new Date(now).getUTCFullYear();
    return `${today ? "" : `${year ? day(time) : date(time)}, `}${clock(time)} UTC`;
}

/** `2026-11-28 14:31:02 UTC`, for titles. */
export const full = (time: number): string => `${new Date(time).toISOString().slice(0, 19).replace("T", " ")} UTC`;

/** An id without its middle: its start is a time, and looks alike in all of them. */
export function short(id: string): string {
    return id.length <= 20 ? id : `${id.slice(0, 12)}…${id.slice(-4)}`;
}

/** The time of an RFC 3339 text in milliseconds, or null. */
export function timeOf(text: string | null | undefined): number | null {
    const time = text ? Date.parse(text) : NaN;
    return Number.isNaN(time) ? null : time;
}

/** Words in a row: `a, b and c`. */
export function list(words: readonly string[]): string {
    return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words[words.length - 1]}`;
}

/** The text with a capital at its start. */
export const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
