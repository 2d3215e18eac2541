// Ways to use the page: a mouse, a keyboard only, or touch. Each can press, write and choose.
import assert from "node:assert/strict";

export class Mouse {
    press(target) {
        return target.click();
    }
    write(target, text) {
        return target.fill(text);
    }
    choose(target, option) {
        return target.selectOption(option);
    }
}

/** Uses only Tab, Enter, arrows and letters. */
export class Keyboard {
    constructor(page) {
        this.page = page;
    }
    /** Presses with Enter, or with the key that the target takes. */
    async press(target, key = "Enter") {
        await this.#reach(target);
        await this.page.keyboard.press(key);
    }
    async write(target, text) {
        await this.#reach(target);
        await this.page.keyboard.press("Control+A");
        await this.page.keyboard.press("Delete");
        await this.page.keyboard.type(text);
    }
    async choose(target, option) {
        await this.#reach(target);
        if ((await target.inputValue()) !== option) await this.page.keyboard.press("Home");
        for (let steps = 0; (await target.inputValue()) !== option; steps++) {
            assert.ok(steps < 20, `arrows do not reach ${option}`);
            await this.page.keyboard.press("ArrowDown");
        }
    }
    async #reach(target) {
        await target.waitFor();
        for (let tabs = 0; ; tabs++) {
            assert.ok(tabs < 400, `Tab does not reach ${target}`);
            if (await target.evaluate((it) => it === document.activeElement)) break;
            await this.page.keyboard.press("Tab");
        }
        const shown = await target.evaluate((it) => {
            const { outlineStyle, outlineWidth } = getComputedStyle(it);
            const { top, bottom } = it.getBoundingClientRect();
            return { drawn: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2, there: bottom > 0 && top < innerHeight };
        });
        assert.deepEqual(shown, { drawn: true, there: true }, `the focus must be visible on ${target}`);
    }
}

export class Thumb {
    press(target) {
        return target.tap();
    }
    async write(target, text) {
        await target.tap();
        await target.fill(text);
    }
    async choose(target, option) {
        await target.tap();
        await target.selectOption(option);
    }
}
