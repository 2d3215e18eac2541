// Filters of a list. All of them are in the URL.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { count } from "../format";
import { filter, to } from "../route";
import { Button, textOf } from "./form";
import { Icon } from "./icon";

/** The filter that everybody uses, as tabs with counts. */
export function Segments({ label, path, name, value, options }: {
    label: string;
    path: string;
    name: string;
    value: string;
    options: readonly { value: string; text: string; count?: number | undefined }[];
}) {
    return (
        <nav class="seg" aria-label={label}>
            {options.map((option) => (
                <a key={option.value} href={to(path, { [name]: option.value })} aria-current={option.value === value ? "true" : undefined}>
                    {option.text}
                    {option.count !== undefined && <span class="num"> {count(option.count)}</span>}
                </a>
            ))}
        </nav>
    );
}

/** A choice among the values that occur; `any` if nothing is chosen. */
export function Pick({ label, any, name, value, options }: {
    label: string;
    any: string;
    name: string;
    value: string;
    options: readonly (readonly [string, string])[];
}) {
    return (
        <select class={value ? "pick on" : "pick"} aria-label={label} value={value} onChange={(event) => filter({ [name]: textOf(event) || null })}>
            <option value="" selected={!value}>
                {any}
            </option>
            {options.map(([each, text]) => (
                <option key={each} value={each} selected={each === value}>
                    {text}
                </option>
            ))}
        </select>
    );
}

/** The time to wait for the next letter before a search is sent, in milliseconds. */
const LETTER = 250;

/** A text to search for. */
export function Search({ label, placeholder, name, value }: { label: string; placeholder: string; name: string; value: string }) {
    const [text, setText] = useState(value);
    const timer = useRef(0);
    useEffect(() => {
        setText(value);
    }, [value]);
    useEffect(() => () => clearTimeout(timer.current), []);
    return (
        <div class="find">
            <Icon name="search" />
            <input
                type="search"
                aria-label={label}
                placeholder={placeholder}
                value={text}
                onInput={(event) => {
                    const typed = textOf(event);
                    setText(typed);
                    clearTimeout(timer.current);
                    timer.current = window.setTimeout(() => filter({ [name]: typed.trim() || null }, false), LETTER);
                }}
            />
        </div>
    );
}

/** The filters of a list beside each other, and what clears them once one is set. */
export function Toolbar({ label, path, keep, set, children, end }: {
    label: string;
    path: string;
    /** What stays when the filters are cleared. */
    keep?: Record<string, string>;
    set: boolean;
    children: ComponentChildren;
    end?: ComponentChildren;
}) {
    return (
        <div class="toolbar" role="search" aria-label={label}>
            {children}
            {set && (
                <Button kind="plain" small onClick={() => (location.hash = to(path, keep))}>
                    Clear
                </Button>
            )}
            {end && <span class="row push">{end}</span>}
        </div>
    );
}
