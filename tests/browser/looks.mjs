// Accessibility checks that must pass whatever is open on the page, on every screen size.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core"), "utf8");

/** Swagger UI's own violations: missing or differing names in its markup, which settings and styles cannot fix. */
const THEIRS = [
    'button-name: <button type="button" class="close-modal">',
    'label-content-name-mismatch: <button type="submit" class="btn modal-btn auth authorize button"',
    'select-name: <select class=""><option value="">--</option>',
    'label: <textarea class="body-param__text"',
    // Chromium and Firefox make scrollable elements focusable by themselves.
    'scrollable-region-focusable: <pre class="',
];

/** The minimum size of text and of targets (WCAG 2.2, 2.5.8), in CSS pixels. */
const SMALLEST = { text: 12, target: 24 };

/** What is too wide or too small on the page in its current state. */
export async function sizes(page) {
    const sideways = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    const small = await page.evaluate(tooSmall, SMALLEST);
    return sideways > 0 ? [`the page scrolls sideways by ${sideways}`, ...small] : small;
}

/** The violations that axe rates serious or critical, except Swagger UI's own. */
export async function barriers(page) {
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => axe.run());
    return violations
        .filter(({ impact }) => ["serious", "critical"].includes(impact))
        .flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html}`))
        .filter((fault) => !THEIRS.some((known) => fault.startsWith(known)));
}

/** All violations that axe finds, whatever it rates them: best practice, too. */
export async function violations(page) {
    await page.evaluate(AXE);
    const { violations: found } = await page.evaluate(() =>
        axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], rules: { "target-size": { enabled: true } } }),
    );
    return found.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 160)} ${node.any[0]?.message ?? ""}`));
}

/** What moves although the person has asked the system for less motion. */
export function moves(page) {
    return page.evaluate(() => {
        if (!matchMedia("(prefers-reduced-motion: reduce)").matches) return [];
        const seconds = (list) => Math.max(...list.split(", ").map(parseFloat));
        const found = new Set();
        for (const it of document.querySelectorAll("*")) {
            for (const part of [undefined, "::before", "::after", "::backdrop"]) {
                const { animationName, animationDuration, transitionDuration } = getComputedStyle(it, part);
                const longest = Math.max(animationName === "none" ? 0 : seconds(animationDuration), seconds(transitionDuration));
                if (longest > 0.01) found.add(`${it.tagName.toLowerCase()}.${[...it.classList].join(".")}${part ?? ""} moves for ${longest} s`);
            }
        }
        return [...found];
    });
}

/** Runs in the page. */
function tooSmall({ text, target }) {
    const found = new Set();
    const shows = (it) => it.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    const named = (it) => `${it.tagName.toLowerCase()}.${[...it.classList].join(".")}`;
    const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (words.nextNode()) {
        const it = words.currentNode.parentElement;
        const size = parseFloat(getComputedStyle(it).fontSize);
        // Text of 0 px is for screen readers only.
        if (words.currentNode.data.trim() && shows(it) && size > 0 && size < text) found.add(`${named(it)} has text of ${size} px`);
    }
    for (const it of document.querySelectorAll("button, select, input, textarea, summary, a[download], a.btn, nav a, .menu a")) {
        // A box to tick is pressed by its label, too.
        const { width, height } = (it.closest("label") ?? it).getBoundingClientRect();
        const small = Math.min(width, height) < target && !it.closest('[aria-hidden="true"]');
        if (small && shows(it)) found.add(`${named(it)} is ${Math.round(width)} x ${Math.round(height)} px`);
    }
    return [...found];
}
