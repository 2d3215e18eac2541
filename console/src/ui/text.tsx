// Small pieces of text: times, ids, commands, and what copies them.
import { useEffect, useRef, useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { now, useCell } from "../cell";
import { absolute, full, relative, short, timeOf } from "../format";
import { Icon } from "./icon";

/** A time as seen from now. With `below`, the absolute time stands under it. */
export function Time({ at, below, none = "never", as }: { at: string | number | null | undefined; below?: boolean; none?: string; as?: (time: number) => string }) {
    const present = useCell(now);
    const time = typeof at === "number" ? at : timeOf(at);
    if (time === null) return <span class="quiet">{none}</span>;
    return (
        <>
            <time dateTime={new Date(time).toISOString()} title={full(time)}>
                {as ? as(time) : relative(time, present)}
            </time>
            {below && <span class="sub">{absolute(time, present)}</span>}
        </>
    );
}

/** Copies a text, also where the page is not encrypted and the browser has no clipboard for it. */
export async function copyText(text: string): Promise<boolean> {
    try {
        await navigator.clipboard.writeText(text);
        return true;
    } catch {
        // Not there in the clear, or refused: the older way follows.
    }
    const field = document.createElement("textarea");
    field.value = text;
    field.readOnly = true;
    field.className = "vh";
    field.setAttribute("aria-hidden", "true");
    const focused = document.activeElement;
    const place = document.querySelector("dialog[open] form") ?? document.body;
    place.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.value = "";
    field.remove();
    if (focused instanceof HTMLElement) focused.focus();
    return done;
}

/** A button with an icon that copies a text, and says that it did. */
export function Copy({ text, what }: { text: string; what: string }) {
    const [state, setState] = useState<"" | "done" | "failed">("");
    const timer = useRef(0);
    useEffect(() => () => clearTimeout(timer.current), []);
    const press = async (): Promise<void> => {
        setState((await copyText(text)) ? "done" : "failed");
        clearTimeout(timer.current);
        timer.current = window.setTimeout(() => setState(""), 2000);
    };
    return (
        <>
            <button type="button" class="icon-btn" aria-label={`Copy ${what}`} title={`Copy ${what}`} onClick={() => void press()}>
                <Icon name={state === "done" ? "check" : state === "failed" ? "bad" : "copy"} />
            </button>
            <span class="vh" role="status">
                {state === "done" ? "Copied" : state === "failed" ? "Could not copy: select the text instead" : ""}
            </span>
        </>
    );
}

/** An id or hash to compare, cut in the middle, with a button that copies all of it. */
export function Chip({ text, what, cut = short }: { text: string; what: string; cut?: (text: string) => string }) {
    return (
        <span class="copy">
            <code class="chip" title={text}>
                {cut(text)}
            </code>
            <Copy text={text} what={what} />
        </span>
    );
}

/** A command line, with a button that copies it. */
export function Command({ children }: { children: string }) {
    return (
        <div class="cmd">
            <code>{children}</code>
            <Copy text={children} what="command" />
        </div>
    );
}

/** A whole fingerprint in groups of four. */
export function Fingerprint({ hex }: { hex: string }) {
    return (
        <code class="print">
            {(hex.match(/.{4}/g) ?? []).map((group, at) => (
                <span key={at}>{group}</span>
            ))}
        </code>
    );
}

/** A link with an arrow. */
export function Onward({ href, children }: { href: string; children: ComponentChildren }) {
    return (
        <a class="link" href={href}>
            {children}
            <Icon name="arrow" />
        </a>
    );
}
