// Forms: one kind of field, one kind of button.
import {
    createContext,
    type ComponentChildren,
    type InputHTMLAttributes,
    type SelectHTMLAttributes,
    type TextareaHTMLAttributes,
} from "preact";
import { useContext, useEffect, useId, useRef } from "preact/hooks";
import type { Problem } from "../api/problem";
import { storageFull } from "../api/transport";
import { useCell } from "../cell";
import { Icon } from "./icon";
import { ProblemBanner } from "./banner";

/** How a field's control is tied to its label, its help and its error. */
interface Tied {
    id: string;
    "aria-describedby": string | undefined;
    "aria-invalid": "true" | undefined;
}
const Ties = createContext<Tied | null>(null);

/** A label, a control, what helps before anything is typed, and what is wrong with it. */
export function Field({ label, help, error, children }: { label: string; help?: ComponentChildren; error?: string | null; children: ComponentChildren }) {
    const id = useId();
    const described = [help && `${id}h`, error && `${id}e`].filter(Boolean).join(" ");
    const tied: Tied = { id, "aria-describedby": described || undefined, "aria-invalid": error ? "true" : undefined };
    return (
        <div class="field">
            <label for={id}>{label}</label>
            <Ties.Provider value={tied}>{children}</Ties.Provider>
            {help && (
                <span class="help" id={`${id}h`}>
                    {help}
                </span>
            )}
            {error && (
                <span class="error" id={`${id}e`}>
                    <Icon name="bad" />
                    {error}
                </span>
            )}
        </div>
    );
}

/** An input of a field. */
export function Input(props: InputHTMLAttributes<HTMLInputElement>) {
    const tied = useContext(Ties);
    return <input {...props} {...tied} />;
}

/** A longer text of a field. */
export function TextArea(props: TextareaHTMLAttributes<HTMLTextAreaElement>) {
    const tied = useContext(Ties);
    return <textarea {...props} {...tied} />;
}

/** A choice of a field. */
export function Select({ options, ...props }: { options: readonly (readonly [string, string])[] } & SelectHTMLAttributes<HTMLSelectElement>) {
    const tied = useContext(Ties);
    return (
        <select {...props} {...tied}>
            {options.map(([value, name]) => (
                <option key={value} value={value} selected={value === props.value}>
                    {name}
                </option>
            ))}
        </select>
    );
}

/** A box to tick, with its label. */
export function Check({ checked, onChange, children }: { checked: boolean; onChange: (checked: boolean) => void; children: ComponentChildren }) {
    return (
        <label class="check">
            <input type="checkbox" checked={checked} onChange={(event) => onChange(event.currentTarget.checked)} />
            <span>{children}</span>
        </label>
    );
}

/** Why nothing can be added or changed now: the disk is full. Revoking and deleting still work. Null if everything can. */
export const useNoRoom = (): string | null => (useCell(storageFull) ? "The server’s disk is nearly full" : null);

/** A button. While it runs it says so and takes no second press; what cannot be done stays, with its reason. */
export function Button({ kind, busy, why: given, writes, icon, small, type = "button", label, autofocus, children, onClick }: {
    kind?: "primary" | "plain" | "danger";
    busy?: boolean;
    /** Why it cannot be pressed now. */
    why?: string | null;
    /** Whether it adds or changes something, which needs room on the server's disk. */
    writes?: boolean;
    icon?: string;
    small?: boolean;
    children: ComponentChildren;
    onClick?: () => void;
    type?: "button" | "submit";
    /** Its name for screen readers, if the text in it is not enough. */
    label?: string;
    autofocus?: boolean;
}) {
    const id = useId();
    const noRoom = useNoRoom();
    const why = given || (writes && noRoom) || null;
    const off = busy || Boolean(why);
    return (
        <>
            <button
                type={type}
                aria-label={label}
                autofocus={autofocus}
                class={["btn", kind, small && "small"].filter(Boolean).join(" ")}
                aria-busy={busy ? "true" : undefined}
                aria-disabled={off ? "true" : undefined}
                aria-describedby={why ? id : undefined}
                title={why || undefined}
                onClick={(event) => {
                    if (off) event.preventDefault();
                    else onClick?.();
                }}
            >
                {icon && !busy && <Icon name={icon} />}
                {children}
            </button>
            {why && (
                <span class="vh" id={id}>
                    {why}
                </span>
            )}
        </>
    );
}

/** A form in a panel over the list that it adds to. What was typed stays when the call fails. */
export function Form({ title, whole, about, submit, busy, problem, why: given, asks, onSubmit, onCancel, children }: {
    title?: string;
    /** Whether the form is the whole page, so that its title is that of the page. */
    whole?: boolean;
    about?: ComponentChildren;
    submit: string;
    busy: boolean;
    problem: Problem | null;
    why?: string | null;
    /** Whether it only asks something, and changes nothing. */
    asks?: boolean;
    onSubmit: () => void;
    onCancel?: () => void;
    children: ComponentChildren;
}) {
    const id = useId();
    const noRoom = useNoRoom();
    const why = given || (asks ? null : noRoom);
    const panel = useRef<HTMLElement>(null);
    useEffect(() => panel.current?.querySelector<HTMLElement>("input:not([readonly]), select, textarea")?.focus(), []);
    return (
        <section class="panel" aria-labelledby={title && id} ref={panel}>
            {title && (whole ? <h1 id={id}>{title}</h1> : <h2 id={id}>{title}</h2>)}
            {about && <p class="quiet">{about}</p>}
            <form
                class="form"
                noValidate
                onSubmit={(event) => {
                    event.preventDefault();
                    if (!busy && !why) onSubmit();
                }}
            >
                {children}
                {problem && <ProblemBanner problem={problem} />}
                <div class="row end">
                    {onCancel && (
                        <Button kind="plain" onClick={onCancel}>
                            Cancel
                        </Button>
                    )}
                    <Button type="submit" kind="primary" busy={busy} why={why ?? null}>
                        {submit}
                    </Button>
                </div>
            </form>
        </section>
    );
}

/** The text of an input, for its handlers. */
export const textOf = (event: { currentTarget: EventTarget & { value: string } }): string => event.currentTarget.value;
