// Icons come from the sprite in the page, so they cost no request.

/** A line icon of the sprite, by its name without `i-`. */
export function Icon({ name, mark }: { name: string; mark?: "bad" | "warn" | "go" }) {
    return (
        <svg class={mark ? `i ${mark}-mark` : "i"} aria-hidden="true">
            <use href={`#i-${name}`} />
        </svg>
    );
}

/** The states that a badge can show. Each has a shape of its own, so that colour is never the only sign. */
export type Tone = "ok" | "go" | "warn" | "bad" | "off" | "plain";

/** The shape in a badge. */
export type Glyph = "on" | "half" | "ring" | "tri" | "cross" | "slash" | "check" | "square";

/** A state: a shape and a word. */
export function Badge({ tone, glyph, children, live }: { tone: Tone; glyph: Glyph; children: preact.ComponentChildren; live?: boolean }) {
    return (
        <span class={tone === "plain" ? "badge" : `badge ${tone}`} role={live ? "status" : undefined}>
            <svg aria-hidden="true">
                <use href={`#g-${glyph}`} />
            </svg>
            {children}
        </span>
    );
}
