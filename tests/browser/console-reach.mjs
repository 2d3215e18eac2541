// What must hold however the browser reaches the server: in the clear by a name, over TLS, beside another server on the same
// host, and in a tab beside another tab.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Console, PASSWORD } from "./console-page.mjs";
import { setUp } from "./console-story.mjs";
import { furnished, OWNER } from "./console-visit.mjs";
import { certificate } from "./fronts.mjs";
import { Mouse } from "./hands.mjs";
import { NAME, serve, watch } from "./world.mjs";

/** The most that a browser loads until somebody can sign in: requests, and bytes with all headers. */
const MOST = { requests: 5, bytes: 90_000 };

const NOT_ENCRYPTED = "This connection is not encrypted.";
const HOUR = 3_600_000;

/** How a server on this machine is reached by its name. */
const byName = (url) => url.replace("127.0.0.1", NAME);

const open = (browser) => browser.newContext({ viewport: { width: 1280, height: 900 }, acceptDownloads: true, ignoreHTTPSErrors: true });

/** A new tab. */
async function tab(context, url, name) {
    const page = await context.newPage();
    page.setDefaultTimeout(60_000);
    return new Console({ page, hands: new Mouse(), name, url });
}

async function cookieOf(it) {
    const cookies = await it.page.context().cookies(it.url);
    assert.equal(cookies.length, 1, "the session has one cookie");
    const [{ secure, httpOnly, sameSite }] = cookies;
    return { secure, httpOnly, sameSite };
}

async function inTheClear(browser) {
    const { url: near, stop } = await furnished();
    const url = byName(near);
    const context = await open(browser);
    const it = await tab(context, url, "clear");
    const seen = await watch(context, url);
    try {
        await it.page.goto(`${url}/console/`);
        const missing = await it.page.evaluate(() => [isSecureContext, "clipboard" in navigator, "subtle" in crypto, "locks" in navigator]);
        assert.deepEqual(missing, [false, false, false, false], "the browser does not trust this address");
        await it.page.getByText(NOT_ENCRYPTED).waitFor();
        await it.look("sign-in");
        await it.signIn(OWNER);
        assert.deepEqual(await cookieOf(it), { secure: false, httpOnly: true, sameSite: "Strict" });

        await it.open("API keys");
        await it.press("link", "New API key");
        await it.write("Name", "billing-export");
        await it.press("button", "Create API key");
        const copied = await it.copied("api-key");
        await it.press("link", "Verify a key");
        await it.page.getByLabel("API key", { exact: true }).focus();
        await it.page.keyboard.press("Control+V");
        assert.equal(await it.page.getByLabel("API key", { exact: true }).inputValue(), copied, "the secret is in the clipboard");
        await it.press("button", "Verify");
        await it.page.locator(".facts .badge", { hasText: "VALID" }).waitFor();
        await it.press("button", "Cancel");
        await it.open("Keys");
        await it.press("link", "New key");
        await it.write("Name", "frankfurt-2026");
        await it.press("button", "Create key");
        await it.downloaded("private-key", "console-clear.pem");
        await it.open("Audit log");
        await it.page.locator(".live").waitFor();
        await it.press("button", "Verify the chain");
        await it.page.getByText("Chain verified").waitFor();
        assert.deepEqual([...new Set([...it.amiss, ...seen])], []);
    } finally {
        await context.close();
        await stop();
    }
}

async function overTls(browser) {
    const home = mkdtempSync(join(tmpdir(), "orgkeys-"));
    const { cert, key } = certificate(home);
    const { url: near, link, stop } = await serve({ link: true, home, flags: ["--tls-cert", cert, "--tls-key", key] });
    const url = byName(near);
    assert.match(url, /^https:/);
    const context = await open(browser);
    const it = await tab(context, url, "tls");
    it.looks = false;
    const seen = await watch(context, url);
    try {
        await setUp(it, byName(link));
        assert.deepEqual(await cookieOf(it), { secure: true, httpOnly: true, sameSite: "Strict" });
        await it.signOut();
        assert.deepEqual(await context.cookies(), [], "the cookie has gone with the session");
        await it.signIn("owner@localhost");
        assert.deepEqual(await cookieOf(it), { secure: true, httpOnly: true, sameSite: "Strict" });
        const page = await it.page.reload();
        assert.equal(page.headers()["cross-origin-opener-policy"], "same-origin");
        await it.page.locator(".rail").waitFor();
        assert.equal(await it.page.getByText(NOT_ENCRYPTED).count(), 0);
        assert.deepEqual([...new Set([...it.amiss, ...seen])], []);
    } finally {
        await context.close();
        await stop();
    }
}

async function besideAnother(browser) {
    const worlds = [await furnished(), await furnished()];
    const context = await open(browser);
    try {
        const tabs = [];
        for (const { url } of worlds) {
            tabs.push(await tab(context, byName(url), "beside"));
            await tabs.at(-1).signIn(OWNER);
        }
        for (const it of tabs) await signedIn(it);
        const [left, stays] = tabs;
        await left.signOut();
        await signedIn(stays);
    } finally {
        await context.close();
        for (const { stop } of worlds) await stop();
    }
}

/** Loads the page again. Whoever has no session then sees the page for signing in. */
async function signedIn(it) {
    await it.page.reload();
    await it.page.locator("main h1").waitFor();
    assert.notEqual(await it.page.locator("main h1").innerText(), "Sign in", `${it.url} has signed somebody out`);
    await it.page.locator(".rail").waitFor();
}

async function inTwoTabs(browser) {
    let world = await furnished();
    const context = await open(browser);
    const tabs = [await tab(context, world.url, "first"), await tab(context, world.url, "second")];
    const session = async () => (await world.api("GET", "/token")).tokens.find(({ type }) => type === "session");
    // The server must not be running while its database is changed.
    const endAt = async (end) => {
        const before = await world.stop({ keep: true });
        const change = "UPDATE token SET expires_at = :end, refresh_until = :end, last_used = last_used - 120000 WHERE id IN (SELECT token FROM web_session)";
        const script = "import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); print(d.execute(sys.argv[2], {'end': int(sys.argv[3])}).rowcount); d.commit()";
        const changed = execFileSync("python3", ["-c", script, join(world.home, "orgkeys.db"), change, String(end)], { encoding: "utf8" });
        assert.equal(changed.trim(), "1", "one session");
        const { stop } = await serve({ before, listen: new URL(world.url).host });
        world = { ...world, stop };
    };
    try {
        await tabs[0].signIn(OWNER);
        await tabs[1].page.goto(`${world.url}/console/`);
        await tabs[1].page.locator(".rail").waitFor();

        // Before the end: whoever goes on using it moves it.
        await endAt(Date.now() + 60_000);
        for (const it of tabs) await signedIn(it);
        const { expiresAt } = await session();
        assert.ok(Date.parse(expiresAt) > Date.now() + 11 * HOUR, `a use moves the end: ${expiresAt}`);

        // After the end: the password is asked for in both, and typed in one.
        for (const it of tabs) await it.page.goto(`${world.url}/console/#/api-keys/new`);
        for (const it of tabs) await it.write("Name", `from-${it.name}`);
        await endAt(Date.now() - 1000);
        for (const it of tabs) await it.page.getByRole("heading", { name: "Sign in again" }).waitFor();
        const [first, second] = tabs;
        await first.look("sign-in-again");
        await first.write("Password", PASSWORD, first.dialog());
        await first.press("button", "Sign in", first.dialog());
        for (const it of tabs) await it.dialog().waitFor({ state: "detached" });
        for (const it of tabs) {
            await it.press("button", "Create API key");
            await it.copied(it.name);
            await it.row(`from-${it.name}`).waitFor();
        }
        assert.deepEqual([...first.amiss, ...second.amiss], []);
    } finally {
        await context.close();
        await world.stop();
    }
}

async function thrifty(browser) {
    const { url, stop } = await furnished();
    const context = await open(browser);
    try {
        const { page } = await tab(context, url, "thrifty");
        const loaded = { requests: 0, bytes: 0 };
        const network = await context.newCDPSession(page);
        network.on("Network.requestWillBeSent", ({ request, redirectResponse }) => {
            if (!request.url.startsWith("data:")) loaded.requests++;
            loaded.bytes += redirectResponse?.encodedDataLength ?? 0;
        });
        network.on("Network.loadingFinished", ({ encodedDataLength }) => (loaded.bytes += encodedDataLength));
        await network.send("Network.enable");
        await page.goto(`${url}/`, { waitUntil: "networkidle" });
        await page.getByLabel("Password", { exact: true }).fill("it takes input");
        assert.ok(loaded.requests >= 3 && loaded.bytes > 10_000, `all of it is counted: ${JSON.stringify(loaded)}`);
        assert.ok(loaded.requests <= MOST.requests && loaded.bytes <= MOST.bytes, `until sign-in: ${JSON.stringify(loaded)}`);
        return `${loaded.requests} requests, ${loaded.bytes} bytes`;
    } finally {
        await context.close();
        await stop();
    }
}

const REACHES = {
    "sign-in is usable after few requests and bytes": thrifty,
    "in the clear, by a name, secrets are copied, and the page warns": inTheClear,
    "over TLS, the cookie is Secure": overTls,
    "two servers on one host leave each other's sessions alone": besideAnother,
    "two tabs go through the end of their session together": inTwoTabs,
};

/** All of them, each with servers of its own. */
export async function reach(browser) {
    for (const [name, check] of Object.entries(REACHES)) {
        const since = Date.now();
        try {
            const said = await check(browser);
            console.log(`console: ${name}${said ? `: ${said}` : ""}, in ${Math.round((Date.now() - since) / 1000)} s`);
        } catch (error) {
            throw new Error(`console: ${name}`, { cause: error });
        }
    }
}
