// A value that is shared by parts of the page: whoever shows it is drawn again when it changes.
import { useEffect, useState } from "preact/hooks";

/** A shared value. */
export class Cell<T> {
    #value: T;
    readonly #watchers = new Set<(value: T) => void>();

    constructor(value: T) {
        this.#value = value;
    }

    get value(): T {
        return this.#value;
    }

    set(value: T): void {
        if (Object.is(value, this.#value)) return;
        this.#value = value;
        for (const watcher of [...this.#watchers]) watcher(value);
    }

    /** Calls back on each change, until the returned function is called. */
    watch(watcher: (value: T) => void): () => void {
        this.#watchers.add(watcher);
        return () => this.#watchers.delete(watcher);
    }
}

/** The value of a cell, in a component. */
export function useCell<T>(cell: Cell<T>): T {
    const [value, setValue] = useState(() => cell.value);
    useEffect(() => {
        setValue(() => cell.value);
        return cell.watch((now) => setValue(() => now));
    }, [cell]);
    return value;
}

/** The present time in milliseconds, which moves on every ten seconds, and every second while something counts down. */
export const now = new Cell(Date.now());
setInterval(() => now.set(Date.now()), 10_000);
