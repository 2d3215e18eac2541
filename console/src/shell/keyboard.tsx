// Keyboard shortcuts: `/` searches, `g` and a letter goes to a screen, `?` lists them.
import { useEffect, useState } from "preact/hooks";
import { Dialog } from "../ui/dialog";
import { Button } from "../ui/form";
import { to } from "../route";
import { Cell, useCell } from "../cell";
import { PLACES } from "./places";

/** Whether the list of shortcuts is shown. */
export const helpShown = new Cell(false);

/** The time within which the second letter has to follow, in milliseconds. */
const TOGETHER = 1500;

const typing = (target: EventTarget | null): boolean => target instanceof HTMLElement && target.matches("input, select, textarea, [contenteditable]");

/** Listens for the shortcuts, while no dialog is open. */
export function Shortcuts() {
    const shown = useCell(helpShown);
    const [, forget] = useState(0);
    useEffect(() => {
        let started = 0;
        const press = (event: KeyboardEvent): void => {
            if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || document.querySelector("dialog[open]")) return;
            if (event.key === "/") {
                event.preventDefault();
                document.querySelector<HTMLInputElement>(".top .find input")?.focus();
            } else if (event.key === "?") {
                helpShown.set(true);
            } else if (event.key === "g") {
                started = Date.now();
            } else if (Date.now() - started < TOGETHER) {
                const place = PLACES.find(({ letter }) => letter === event.key);
                started = 0;
                if (place) location.hash = to(place.path);
            }
        };
        addEventListener("keydown", press);
        return () => removeEventListener("keydown", press);
    }, [forget]);
    if (!shown) return null;
    const close = (): void => helpShown.set(false);
    return (
        <Dialog
            title="Keyboard shortcuts"
            onClose={close}
            onSubmit={close}
            foot={
                <>
                    <span />
                    <Button type="submit" kind="primary">
                        Close
                    </Button>
                </>
            }
        >
            <dl class="facts">
                <dt>
                    <kbd>/</kbd>
                </dt>
                <dd>Search everything</dd>
                {PLACES.map(({ name, letter }) => (
                    <>
                        <dt>
                            <kbd>g</kbd> <kbd>{letter}</kbd>
                        </dt>
                        <dd>{name}</dd>
                    </>
                ))}
                <dt>
                    <kbd>?</kbd>
                </dt>
                <dd>This list</dd>
            </dl>
        </Dialog>
    );
}
