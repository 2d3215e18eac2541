// The scenario on /docs: authorize, create a key and download it, list the keys, delete them, and read the events.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { Keyboard, Mouse, Thumb } from "./hands.mjs";
import { barriers, sizes } from "./looks.mjs";
import { browse, serve, watch } from "./world.mjs";

const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };
const TELLINGS = [
    { name: "mouse", hands: Mouse, screen: { viewport: { width: 1280, height: 900 } } },
    { name: "dark", hands: Mouse, screen: { viewport: { width: 1280, height: 900 }, colorScheme: "dark" } },
    { name: "keyboard", hands: Keyboard, screen: { viewport: { width: 1280, height: 900 } } },
    { name: "phone", hands: Thumb, screen: PHONE },
];

/** A page of /docs, and the way in which it is used. */
class Docs {
    constructor(page, hands, picture, amiss) {
        Object.assign(this, { page, hands, picture, amiss });
    }

    async authorize(token) {
        await this.hands.press(this.page.locator(".auth-wrapper .authorize"));
        const box = this.page.locator(".auth-container", { hasText: "bearerAuth" });
        await box.waitFor();
        await this.picture("authorize");
        this.amiss.push(...(await barriers(this.page)));
        await this.hands.write(box.getByLabel("auth-bearer-value"), token);
        await this.hands.press(box.getByRole("button", { name: "Apply credentials" }));
        await this.hands.press(box.getByRole("button", { name: "Close" }));
        await box.waitFor({ state: "detached" });
    }

    /** Opens an operation, fills in its fields, and executes it. */
    async execute(operation, { fields = {}, body, mediaType } = {}) {
        const block = this.page.locator(`[id$="-${operation}"]`);
        await this.hands.press(block.locator(".opblock-summary-control"));
        await block.locator(".execute").waitFor();
        for (const [name, value] of Object.entries(fields)) await this.hands.write(block.getByPlaceholder(name), value);
        if (body) await this.hands.write(block.locator("textarea"), JSON.stringify(body));
        if (mediaType) await this.hands.choose(block.locator("tr[data-code='200'] .content-type"), mediaType);
        await this.hands.press(block.locator(".execute"));
        const live = block.locator(".live-responses-table");
        await live.waitFor();
        assert.equal((await live.locator("tbody .response-col_status").innerText()).trim(), "200", operation);
        await this.picture(operation, block);
        return live;
    }

    async json(operation, input) {
        const live = await this.execute(operation, input);
        return JSON.parse(await live.locator(".highlight-code code").first().innerText());
    }
}

async function story(docs, token, file) {
    await docs.authorize(token);
    const { data: me } = await docs.json("getProfile");
    const fields = { idOrg: me.orgId };

    const minted = await docs.execute("createOrganizationKey", { fields, mediaType: "application/x-pem-file" });
    const [download] = await Promise.all([
        docs.page.waitForEvent("download"),
        docs.hands.press(minted.getByRole("link", { name: /download/i })),
    ]);
    await download.saveAs(file);
    assert.match(execFileSync("openssl", ["pkey", "-in", file, "-check", "-noout"], { encoding: "utf8" }), /is valid/);

    const { data: keys } = await docs.json("listOrganizationKeys", { fields });
    const ours = createPublicKey(readFileSync(file)).export({ type: "spki", format: "pem" });
    assert.deepEqual(keys.map((key) => key.publicKey), [ours]);

    await docs.execute("deleteOrganizationKeys", { fields });
    const { events } = await docs.json("listSystemEvents", { body: {} });
    const keyEvents = events.filter((event) => event.context === "orgkey").map((event) => event.event);
    assert.deepEqual(keyEvents, ["deleted", "created"]);
}

async function tell(browser, { name, hands: Hands, screen }) {
    const { url, token, stop } = await serve();
    const context = await browser.newContext({ ...screen, acceptDownloads: true });
    const amiss = await watch(context, url);
    const page = await context.newPage();
    page.setDefaultTimeout(60_000);
    const since = Date.now();
    let number = 0;
    const picture = async (what, of = page) => {
        await of.screenshot({ path: `${name}-${++number}-${what}.png` });
        amiss.push(...(await sizes(page)));
    };
    try {
        await page.goto(`${url}/docs`);
        await page.locator(".opblock").first().waitFor();
        await picture("start");
        await story(new Docs(page, new Hands(page), picture, amiss), token, `${name}.pem`);
        amiss.push(...(await barriers(page)));
        assert.deepEqual([...new Set(amiss)], [], "problems on the page");
        console.log(`${name}: the scenario passed in ${Math.round((Date.now() - since) / 1000)} s`);
    } catch (error) {
        await page.screenshot({ path: `${name}-failed.png` });
        throw new Error(`${name} failed: ${amiss.join("; ")}`, { cause: error });
    } finally {
        await context.close();
        await stop();
    }
}

const wanted = process.argv.slice(2);
for (const name of wanted) assert.ok(TELLINGS.some((telling) => telling.name === name), `there is no scenario named ${name}`);
const browser = await browse();
try {
    for (const telling of TELLINGS) if (!wanted.length || wanted.includes(telling.name)) await tell(browser, telling);
} finally {
    await browser.close();
}
