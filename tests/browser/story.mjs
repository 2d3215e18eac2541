// The scenario on /docs: authorize, create a key and download it, list the keys, delete them, create an API key as the
// example shows, and read the events. Nowhere is an organization's id typed.
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
        const profile = this.page.waitForResponse((response) => response.url().endsWith("/user/profile"));
        await this.hands.press(box.getByRole("button", { name: "Apply credentials" }));
        await profile;
        await this.hands.press(box.getByRole("button", { name: "Close" }));
        await box.waitFor({ state: "detached" });
    }

    block(operation) {
        return this.page.locator(`[id$="-${operation}"]`);
    }

    /** The ids of the operations that the page shows. */
    operations() {
        return this.page.locator(".opblock").evaluateAll((blocks) => blocks.map((block) => block.id.split("-").pop()));
    }

    /** Opens or closes an operation. */
    toggle(operation) {
        return this.hands.press(this.block(operation).locator(".opblock-summary-control"));
    }

    /** Opens an operation, fills in its fields, and executes it. */
    async execute(operation, { filledIn = {}, body, mediaType, status = "200" } = {}) {
        const block = this.block(operation);
        await this.toggle(operation);
        await block.locator(".execute").waitFor();
        for (const [name, value] of Object.entries(filledIn)) {
            assert.equal(await block.getByPlaceholder(name).inputValue(), value, `${operation} fills in ${name}`);
        }
        if (body) await this.hands.write(block.locator("textarea"), JSON.stringify(body));
        const mediaTypes = block.locator(`tr[data-code='${status}'] .content-type`);
        if (mediaType) await this.hands.choose(mediaTypes, mediaType);
        const sent = this.page.waitForRequest((request) => request.resourceType() === "fetch");
        await this.hands.press(block.locator(".execute"));
        const live = block.locator(".live-responses-table");
        await live.waitFor();
        assert.equal((await live.locator("tbody .response-col_status").innerText()).trim(), status, operation);
        assert.equal((await sent).headers().accept, await mediaTypes.inputValue(), `${operation} asks for what it shows`);
        await this.picture(operation, block);
        return live;
    }

    async json(operation, input) {
        const live = await this.execute(operation, input);
        return JSON.parse(await live.locator(".highlight-code code").first().innerText());
    }
}

async function story(docs, token, file) {
    const all = await docs.operations();
    assert.equal(all[0], "createOrganizationKey", "the page starts with what is used first");
    // Fields that are open already are filled in as well.
    await docs.toggle("getOrganization");
    await docs.authorize(`Bearer ${token} `);
    const { data: me } = await docs.json("getProfile");
    const filledIn = { idOrg: me.orgId };
    assert.equal(await docs.block("getOrganization").getByPlaceholder("orgId").inputValue(), me.orgId);
    await docs.toggle("getOrganization");

    const filter = docs.page.getByLabel("Filter operations");
    for (const [text, found] of [["rotate", ["rotateOrganizationKey", "rotateApiKey", "rotateWebhookSecret"]], ["OWN PROFILE", ["getProfile"]]]) {
        await docs.hands.write(filter, text);
        await docs.block(all[0]).waitFor({ state: "detached" });
        assert.deepEqual(await docs.operations(), found);
    }
    await docs.picture("filter");
    await docs.hands.write(filter, "");
    await docs.block(all[0]).waitFor();
    assert.deepEqual(await docs.operations(), all);

    const { data: first } = await docs.json("createOrganizationKey", { filledIn });
    assert.match(first.privateKey, /^-----BEGIN RSA PRIVATE KEY-----/);
    await docs.toggle("createOrganizationKey");
    const minted = await docs.execute("createOrganizationKey", { filledIn, mediaType: "application/x-pem-file" });
    const [download] = await Promise.all([
        docs.page.waitForEvent("download"),
        docs.hands.press(minted.getByRole("link", { name: /download/i })),
    ]);
    await download.saveAs(file);
    assert.match(execFileSync("openssl", ["pkey", "-in", file, "-check", "-noout"], { encoding: "utf8" }), /is valid/);

    const { data: keys } = await docs.json("listOrganizationKeys", { filledIn });
    const ours = createPublicKey(readFileSync(file)).export({ type: "spki", format: "pem" });
    assert.deepEqual(new Set(keys.map((key) => key.publicKey)), new Set([first.publicKey, ours]));

    await docs.execute("deleteOrganizationKeys", { filledIn });
    const { result: apiKey } = await docs.json("createApiKey", { filledIn: { organizationId: me.orgId }, status: "201" });
    assert.match(apiKey.apiKey, /^oka_/);
    await docs.toggle("streamEvents");
    await docs.block("streamEvents").locator(".opblock-body").waitFor();
    assert.equal(await docs.block("streamEvents").locator(".execute").count(), 0, "a stream cannot be executed");
    const { events } = await docs.json("listSystemEvents", { body: {} });
    const keyEvents = events.filter((event) => event.context === "orgkey").map((event) => event.event);
    assert.deepEqual(keyEvents, ["deleted", "created", "created"]);
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
