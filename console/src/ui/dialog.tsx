// Dialogs are for secrets, for deletion, and for the password: for what must be decided before anything else.
import type { ComponentChildren } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Problem } from "../api/problem";
import { changed, useAction } from "../load";
import { ProblemBanner } from "./banner";
import { Button, Field, Input, textOf } from "./form";

/** A modal dialog. The focus goes back to what opened it. Without `onClose`, nothing but its own buttons closes it. */
export function Dialog({ title, about, onClose, onSubmit, children, foot }: {
    title: string;
    about?: ComponentChildren;
    onClose?: () => void;
    onSubmit: () => void;
    children?: ComponentChildren;
    foot: ComponentChildren;
}) {
    const id = useId();
    const dialog = useRef<HTMLDialogElement>(null);
    const closing = useRef(false);
    useLayoutEffect(() => {
        const shown = dialog.current;
        if (!shown) return;
        const opener = document.activeElement;
        shown.showModal();
        shown.querySelector<HTMLElement>("[data-first]")?.focus();
        return () => {
            closing.current = true;
            shown.close();
            giveBackFocus(opener);
        };
    }, []);
    return (
        <dialog
            ref={dialog}
            class="dialog"
            {...{ closedby: "none" }}
            aria-labelledby={`${id}t`}
            aria-describedby={about ? `${id}d` : undefined}
            onKeyDown={(event) => {
                if (event.key !== "Escape") return;
                event.preventDefault();
                event.stopPropagation();
                onClose?.();
            }}
            onCancel={(event) => {
                // Esc arrives here if nothing in the dialog has the focus.
                event.preventDefault();
                onClose?.();
            }}
            onClose={() => {
                // Some browsers close a dialog however often it is refused.
                if (!closing.current) dialog.current?.showModal();
            }}
        >
            <form
                onSubmit={(event) => {
                    event.preventDefault();
                    onSubmit();
                }}
                noValidate
            >
                <hgroup>
                    <h2 id={`${id}t`}>{title}</h2>
                    {about && <p id={`${id}d`}>{about}</p>}
                </hgroup>
                {children && <div class="form">{children}</div>}
                <div class="foot">{foot}</div>
            </form>
        </dialog>
    );
}

/** Focuses what opened a dialog, or the button of its menu, or the page if that is gone. */
function giveBackFocus(opener: Element | null): void {
    const menu = opener?.closest("details")?.querySelector("summary");
    const visible = [opener, menu].find((it) => it instanceof HTMLElement && it.isConnected && it !== document.body && it.checkVisibility());
    const target = visible ?? document.getElementById("main");
    if (target instanceof HTMLElement) target.focus();
}

/** Asks before something is deleted: says what breaks, and has a name typed if much does. */
export function ConfirmDelete({ title, about, what, typed, children, act, refresh, done, onClose }: {
    title: string;
    about: ComponentChildren;
    /** The name of the button. */
    what: string;
    /** The text that has to be typed, if it is more than a single thing that breaks. */
    typed?: string | null;
    children?: ComponentChildren;
    act: () => Promise<void>;
    /** The loads that are different then. */
    refresh: readonly string[];
    /** Leaves the screen of what is gone. */
    done?: (() => void) | undefined;
    onClose: () => void;
}) {
    const [text, setText] = useState("");
    const { busy, problem, run } = useAction();
    const why = typed && text.trim() !== typed ? `Type ${typed} first` : null;
    useEffect(() => {
        // The field goes when it turns out that little breaks, and the focus with it.
        const open = document.querySelector("dialog[open]");
        if (!open?.contains(document.activeElement)) open?.querySelector<HTMLElement>("[data-first], .foot button")?.focus();
    }, [typed]);
    return (
        <Dialog
            title={title}
            about={about}
            onClose={onClose}
            onSubmit={() => {
                if (why) return;
                run(async () => {
                    await act();
                    onClose();
                    done?.();
                    // The screen of what is gone must not load it again.
                    setTimeout(() => changed(...refresh));
                });
            }}
            foot={
                <>
                    <Button onClick={onClose} autofocus={!typed}>
                        Cancel
                    </Button>
                    <Button type="submit" kind="danger" busy={busy} why={why}>
                        {what}
                    </Button>
                </>
            }
        >
            {children}
            {typed && (
                <Field label={`To go on, type ${typed}`}>
                    <Input type="text" autocomplete="off" spellcheck={false} value={text} onInput={(event) => setText(textOf(event))} data-first />
                </Field>
            )}
            {problem && <ProblemBanner problem={problem} />}
        </Dialog>
    );
}

/** A dialog that asks for something small and sends it. */
export function SmallForm({ title, about, submit, why, problem, busy, children, onSubmit, onClose }: {
    title: string;
    about?: ComponentChildren;
    submit: string;
    why?: string | null;
    problem: Problem | null;
    busy: boolean;
    children: ComponentChildren;
    onSubmit: () => void;
    onClose: () => void;
}) {
    return (
        <Dialog
            title={title}
            about={about}
            onClose={onClose}
            onSubmit={() => {
                if (!busy && !why) onSubmit();
            }}
            foot={
                <>
                    <Button onClick={onClose}>Cancel</Button>
                    <Button type="submit" kind="primary" busy={busy} why={why ?? null}>
                        {submit}
                    </Button>
                </>
            }
        >
            {children}
            {problem && <ProblemBanner problem={problem} />}
        </Dialog>
    );
}

/** Calls back before the page is left, which asks the person first. */
export function useAskBeforeLeaving(): void {
    useEffect(() => {
        const ask = (event: BeforeUnloadEvent): void => event.preventDefault();
        addEventListener("beforeunload", ask);
        return () => removeEventListener("beforeunload", ask);
    }, []);
}
