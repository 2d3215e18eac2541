// The console in a browser: what the stories do on it, and what must hold on each of its screens.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { moves, sizes, violations } from "./looks.mjs";

/** The secrets of the API, by their first letters, and private keys. */
export const SECRETS = /\b(?:ok[apirwc]_[A-Za-z0-9]{20,}|whsec_[A-Za-z0-9+/=]{20,})|BEGIN (?:RSA )?PRIVATE KEY/;

/** What the session's own half looks like, and where it is. */
const OWN = /^orgkeys:\S+:session=okw_[A-Za-z0-9]+$/;

/** The password of everybody in the stories. */
export const PASSWORD = "a cat on 3 roofs";

/** A page of the console, and the way in which it is used. */
export class Console {
    #pictures = 0;

    /** `server` is the server's own address, if the browser reaches it by another one. */
    constructor({ page, hands, name, url, server = url, amiss = [], pictures = true, looks = true, schemes = [] }) {
        Object.assign(this, { page, hands, name, url, server, amiss, pictures, looks, schemes });
    }

    /** Signs in on the page that the browser's address leads to. */
    async signIn(email) {
        await this.page.goto(`${this.url}/console/`);
        await this.write("E-mail", email);
        await this.write("Password", PASSWORD);
        await this.press("button", "Sign in");
        await this.page.locator("main h1").waitFor();
        await this.page.locator(".rail").waitFor();
    }

    async signOut() {
        await this.hands.press(this.page.getByLabel("Your account").first());
        await this.press("button", "Sign out");
        await this.heading("Sign in");
    }

    /** Looks at the screen as it is now: a picture, its sizes, what moves, and what axe finds, in light and dark if `schemes` says so. */
    async look(what, { loading = false } = {}) {
        if (!this.looks) return;
        if (!loading) await this.settled();
        if (this.pictures) await this.page.screenshot({ path: `console-${this.name}-${String(++this.#pictures).padStart(2, "0")}-${what}.png` });
        const found = [...(await sizes(this.page)), ...(await moves(this.page))];
        if (this.schemes.length === 0) found.push(...(await violations(this.page)));
        for (const colorScheme of this.schemes) {
            await this.page.emulateMedia({ colorScheme });
            await this.still();
            found.push(...(await violations(this.page)).map((each) => `${colorScheme}: ${each}`));
        }
        this.amiss.push(...found.map((each) => `${what}: ${each}`));
    }

    /** Waits until nothing moves, and no colour is on its way to another, after what has just changed was drawn. */
    async still() {
        await this.page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
        await this.page.waitForFunction(
            () => !document.getAnimations().some(({ effect, playState }) => playState === "running" && effect.getTiming().iterations !== Infinity),
        );
    }

    /** Waits until, besides, nothing is loaded any more. */
    async settled() {
        await this.page.waitForFunction(() => !document.querySelector(".skeleton"));
        await this.still();
    }

    async heading(text) {
        await this.page.getByRole("heading", { level: 1, name: text }).waitFor();
    }

    /** Goes to a screen by the rail, or on a phone by the bar and its sheet. */
    async open(name) {
        await this.page.locator(".rail").waitFor();
        const place = this.page.locator(".rail a:visible", { hasText: new RegExp(`^${name}`) });
        if ((await place.count()) === 0) await this.press("button", "More");
        await this.hands.press(place.first());
        await this.heading(name);
    }

    press(role, name, within = this.page) {
        return this.hands.press(within.getByRole(role, { name, exact: typeof name === "string" }).first());
    }

    write(label, text, within = this.page) {
        return this.hands.write(within.getByLabel(label, { exact: true }).first(), text);
    }

    choose(label, value) {
        return this.hands.choose(this.page.getByLabel(label, { exact: true }).first(), value);
    }

    /** Ticks or unticks a box. */
    async tick(label) {
        const box = this.page.getByLabel(label);
        await this.hands.press(box, "Space");
    }

    /** Chooses from the menu of a row. */
    async menu(of, choice) {
        const menu = this.page.locator(".menu", { has: this.page.getByLabel(`Actions for ${of}`, { exact: true }) });
        await this.hands.press(menu.locator("summary").first());
        await this.hands.press(menu.getByRole("listitem").getByText(choice, { exact: true }));
    }

    row(text) {
        return this.page.locator("tbody tr", { hasText: text }).first();
    }

    dialog() {
        return this.page.getByRole("dialog");
    }

    /** The secret that the dialog shows. Tries to lose it first, in every way that comes to mind. */
    async secret(what) {
        const dialog = this.dialog();
        await dialog.waitFor();
        await this.look(`secret-${what}`);
        await this.page.keyboard.press("Escape");
        await this.page.keyboard.press("Escape");
        await this.page.mouse.click(4, 4);
        assert.ok(await dialog.isVisible(), `the dialog of ${what} stays until its secret is stored`);
        await dialog.getByRole("button", { name: "I have stored it" }).evaluate((button) => button.click());
        assert.ok(await dialog.isVisible(), `the dialog of ${what} stays until its secret is stored`);
        return dialog.locator(".secret code").innerText();
    }

    /** Says that the secret is stored, by copying it. What was copied must be the secret. */
    async copied(what) {
        const secret = await this.secret(what);
        await this.press("button", "Copy", this.dialog());
        await this.dialog().getByText("Copied to the clipboard").waitFor();
        await this.#stored(secret);
        return secret;
    }

    /** Says that the secret is stored, by downloading it. */
    async downloaded(what, file) {
        const secret = await this.secret(what);
        const [download] = await Promise.all([this.page.waitForEvent("download"), this.press("button", /^Download/, this.dialog())]);
        await download.saveAs(file);
        assert.equal(readFileSync(file, "utf8").trim(), secret.trim(), "the file is the secret");
        await this.#stored(secret);
        return secret;
    }

    async #stored(secret) {
        await this.press("button", "I have stored it", this.dialog());
        await this.dialog().waitFor({ state: "detached" });
        const there = await this.page.evaluate(() => document.documentElement.outerHTML);
        assert.ok(!there.includes(secret.trim().slice(30, 60) || secret), "the secret has left the page");
    }

    /** Confirms the deletion that a dialog asks about. */
    async confirm(button, typed) {
        await this.dialog().waitFor();
        if (typed) await this.write(`To go on, type ${typed}`, typed);
        await this.press("button", button, this.dialog());
        await this.dialog().waitFor({ state: "detached" });
    }

    /** Everything that the browser keeps: nothing of it may be a secret, but for the session's own half. */
    async leftovers() {
        const kept = await this.page.evaluate(async () => ({
            local: Object.entries({ ...localStorage }).map((entry) => entry.join("=")),
            session: Object.entries({ ...sessionStorage }),
            url: location.href,
            page: document.documentElement.outerHTML,
            fields: [...document.querySelectorAll("input, textarea")].map(({ value }) => value).join("\n"),
            databases: (await indexedDB.databases()).length,
        }));
        const browser = await this.page.context().newCDPSession(this.page);
        const { entries } = await browser.send("Page.getNavigationHistory");
        await browser.detach();
        const history = entries.map(({ url, title }) => `${url} ${title}`).join("\n");
        const found = [];
        if (kept.session.length > 0) found.push("something is in sessionStorage");
        if (kept.databases > 0) found.push("something is in IndexedDB");
        const local = kept.local.filter((entry) => !OWN.test(entry));
        if (kept.local.length - local.length > 1) found.push("localStorage has more than one session");
        const places = { localStorage: local.join("\n"), history, "the URL": kept.url, "the page": kept.page, "a field": kept.fields };
        for (const [where, text] of Object.entries(places)) {
            if (SECRETS.test(text)) found.push(`a secret is left in ${where}: ${SECRETS.exec(text)[0].slice(0, 12)}`);
        }
        return found;
    }
}

/** Registers a node as a machine would, with openssl. */
export async function register(url, org, pem, ip, at = Date.now()) {
    const signed = `${ip}|eu-central-1|${at}`;
    const signature = execFileSync("openssl", ["dgst", "-sha256", "-sign", pem], { input: signed }).toString("base64");
    const body = { ip, region: "eu-central-1", timestamp: at, signature, id_org: org, provider: "AWS", status: "active", version: "2.4.1" };
    const response = await fetch(`${url}/register`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    assert.equal(response.status, 200, await response.text());
}

/** The fingerprint of the public half of a key, as openssl computes it. */
export function fingerprintOf(pem) {
    const der = execFileSync("openssl", ["pkey", "-in", pem, "-pubout", "-outform", "DER"]);
    return execFileSync("openssl", ["dgst", "-sha256", "-r"], { input: der, encoding: "utf8" }).slice(0, 64);
}
