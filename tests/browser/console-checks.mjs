// What must hold on the console when something goes wrong, and for people who may do less.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { chain } from "./console-chain.mjs";
import { fullDisk } from "./console-full.mjs";
import { behindReads, conflict, roleTakenAway, unheard } from "./console-meanwhile.mjs";
import { PASSWORD, register, SECRETS } from "./console-page.mjs";
import { ROLES } from "./console-roles.mjs";
import { apiKey, furnished, inspect, once, OWNER, person, problemsOf, refusal, signIn, visit } from "./console-visit.mjs";

async function newApiKey(it, name) {
    await it.page.goto(`${it.url}/console/#/api-keys/new`);
    await it.write("Name", name);
}

const CHECKS = {
    "an answer that is cut off is told, and the list shows the key": async (it) => {
        await once(it.page, "POST", "**/api-keys", async (route) => {
            await route.fetch();
            await route.abort();
        });
        await newApiKey(it, "lost");
        await it.press("button", "Create API key");
        await it.page.getByText("its secret was never shown").waitFor();
        await it.row("lost").waitFor();
        await it.look("lost");
    },
    "a double click makes one key": async (it, { api, org }) => {
        await newApiKey(it, "twice");
        let sent = 0;
        it.page.on("request", (request) => (sent += request.method() === "POST" && request.url().endsWith("/api-keys")));
        await it.look("new API key");
        await it.page.getByRole("button", { name: "Create API key" }).dblclick();
        await it.dialog().waitFor();
        assert.equal(sent, 1, "the form is sent once");
        await it.copied("twice");
        const { result } = await api("GET", `/api/organizations/${org}/api-keys`);
        assert.equal(result.filter(({ apiKeyName }) => apiKeyName === "twice").length, 1);
    },
    "leaving the page while a secret is shown asks first": async (it) => {
        await newApiKey(it, "left");
        await it.press("button", "Create API key");
        await it.dialog().waitFor();
        const asked = new Promise((resolve) => it.page.once("dialog", (dialog) => resolve(dialog.type()) || dialog.dismiss()));
        await it.page.keyboard.press("Enter");
        await Promise.all([asked, it.page.evaluate(() => setTimeout(() => location.reload()))]);
        assert.equal(await asked, "beforeunload");
        await it.copied("left");
    },
    "a session that has ended asks for the password over the form, and goes on": async (it) => {
        await newApiKey(it, "ended");
        await once(it.page, "POST", "**/api-keys", refusal(401, "TOKEN_EXPIRED", "The session has expired"));
        await it.press("button", "Create API key");
        await it.page.getByRole("heading", { name: "Sign in again" }).waitFor();
        await it.look("sign-in-again");
        await it.write("Password", PASSWORD, it.dialog());
        await it.press("button", "Sign in", it.dialog());
        await it.copied("ended");
        await it.row("ended").waitFor();
    },
    "what destroys asks for the password again if it was given long ago": async (it, { api, org }) => {
        const { data } = await api("POST", `/organization/${org}/key?format=json`);
        await it.page.goto(`${it.url}/console/#/keys/${data.id}`);
        await it.press("button", "Delete key");
        await once(it.page, "DELETE", "**/key/*", refusal(403, "PASSWORD_CONFIRMATION_REQUIRED", "Confirm your password"));
        await it.press("button", "Delete key", it.dialog());
        await it.page.getByRole("heading", { name: "Confirm your password" }).waitFor();
        await it.look("confirm-password");
        await it.page.getByLabel("Password", { exact: true }).last().fill(PASSWORD);
        await it.press("button", "Confirm");
        await it.page.getByText("was deleted.").waitFor();
    },
    "a refusal is shown word for word, with its code and the request's id": async (it) => {
        await newApiKey(it, "refused");
        await once(it.page, "POST", "**/api-keys", refusal(409, "QUOTA_REACHED", "There are too many API keys"));
        await it.press("button", "Create API key");
        const alert = it.page.getByRole("alert");
        await alert.getByText("There are too many API keys").waitFor();
        assert.match(await alert.innerText(), /QUOTA_REACHED request req-1/);
        assert.equal(await it.page.getByLabel("Name", { exact: true }).inputValue(), "refused", "nothing in the form is lost");
        await it.look("refused");
    },
    "without a connection the page says so, and goes on by itself": async (it) => {
        await it.page.context().setOffline(true);
        await it.page.goto(`${it.url}/console/#/nodes?search=again`);
        await it.page.getByText("No connection to").first().waitFor();
        await it.look("offline", { loading: true });
        await it.page.context().setOffline(false);
        await it.page.getByText("No connection to").first().waitFor({ state: "detached" });
    },
    "signing out in one tab ends all, and the server knows neither half any more": async (it) => {
        const half = await it.page.evaluate(() => Object.entries({ ...localStorage }).find(([name]) => name.endsWith(":session"))[1]);
        const cookies = (await it.page.context().cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");
        const ask = (headers) => fetch(`${it.url}/user/profile`, { headers }).then(({ status }) => status);
        const both = { Authorization: `Bearer ${half}`, Cookie: cookies };
        assert.deepEqual([await ask(both), await ask({ Authorization: both.Authorization }), await ask({ Cookie: cookies })], [200, 401, 401]);
        const other = await it.page.context().newPage();
        await other.goto(`${it.url}/console/`);
        await other.locator(".rail").waitFor();
        await it.signOut();
        await other.getByRole("heading", { name: "Sign in" }).waitFor();
        assert.equal(await ask(both), 401);
    },
    "the shortcuts search, go to screens, and list themselves": async (it) => {
        await it.page.locator("main").focus();
        await it.page.keyboard.press("g");
        await it.page.keyboard.press("a");
        await it.heading("API keys");
        await it.page.keyboard.press("?");
        await it.page.getByRole("heading", { name: "Keyboard shortcuts" }).waitFor();
        await it.look("shortcuts");
        await it.page.keyboard.press("Escape");
        await it.dialog().waitFor({ state: "detached" });
        await it.page.keyboard.press("/");
        await it.page.keyboard.type("webh");
        await it.page.locator(".found [role=option]").first().waitFor();
        await it.look("search");
        await it.page.keyboard.press("Enter");
        await it.heading("Webhooks");
    },
    "the focus goes back to what opened a dialog": async (it, world) => {
        await apiKey(world, "focus");
        await visit(it, "api-keys");
        const menu = it.page.getByLabel("Actions for focus");
        const focused = (target) => target.evaluate((element) => element === document.activeElement);
        for (const close of [() => it.page.keyboard.press("Escape"), () => it.press("button", "Cancel", it.dialog())]) {
            await it.menu("focus", "Delete");
            await it.dialog().waitFor();
            await close();
            await it.dialog().waitFor({ state: "detached" });
            assert.ok(await focused(menu), "the menu of the row has the focus again");
        }
        const link = it.page.getByRole("link", { name: "New API key" });
        await link.focus();
        await it.page.keyboard.press("?");
        await it.dialog().waitFor();
        await it.page.keyboard.press("Escape");
        await it.dialog().waitFor({ state: "detached" });
        assert.ok(await focused(link), "the link has the focus again");
        await link.press("Enter");
        assert.ok(await focused(it.page.getByLabel("Name", { exact: true })), "the first field of a form has the focus");
        await it.write("Name", "focused");
        await it.press("button", "Create API key");
        await it.dialog().waitFor();
        assert.ok(await focused(it.dialog().getByRole("group")), "the secret has the focus");
        await it.copied("focused");
        assert.ok(await focused(it.page.locator("main")), "the form has gone, so the page has the focus");
    },
    "a log that was changed is found, wherever it was changed": chain,
    "a role that was taken away is told, and nothing in the form is lost": roleTakenAway,
    "the overview shows changes, however much was read since": behindReads,
    "what changed while the page did not hear of it is shown": unheard,
    "what somebody else was faster to do is told, with how it is now": conflict,
};

/** What each role is offered. */
async function roles(browser, world) {
    const { url, api, org } = world;
    const { data: key } = await api("POST", `/organization/${org}/key?format=json`);
    writeFileSync("console-check.pem", key.privateKey);
    await register(url, org, "console-check.pem", "203.0.113.7");
    await apiKey(world, "theirs");
    for (const { name, role, email, rail, offered } of ROLES) {
        await person(world, email, role, name);
        const it = await signIn(browser, url, email);
        assert.deepEqual((await it.page.locator(".rail > ul a").allInnerTexts()).map((text) => text.split("\n")[0]), rail, `the rail of ${name}`);
        for (const [screen, actions] of Object.entries(offered)) {
            await it.page.goto(`${url}/console/#/${screen}`);
            await it.page.locator("main h1").waitFor();
            await it.settled();
            const menu = it.page.locator("tbody .menu summary").first();
            if (await menu.count()) await menu.click();
            const found = await it.page.locator("main .head .btn, tbody tr:first-child .menu li, main > .empty h2").allInnerTexts();
            assert.deepEqual(found.map((text) => text.trim()), actions, `${screen} offers ${name}`);
            await it.look(`${screen} for ${name}`);
        }
        assert.deepEqual(problemsOf(it), []);
        await it.page.context().close();
    }
}

/** The use of an API key is seen on its screen, at most a minute later. */
async function lastUse(it, name) {
    await visit(it, "api-keys");
    const row = it.row(name);
    for (const until = Date.now() + 90_000; !(await row.innerText()).includes("127.0.0.1"); ) {
        assert.ok(Date.now() < until, "the list shows the last use of an API key");
        await it.page.waitForTimeout(1000);
        await it.page.reload();
        await row.waitFor();
    }
}

/** All of them, on one server, or those whose names contain the text ONLY. */
export async function checks(browser) {
    const wanted = (name) => name.includes(process.env.ONLY ?? "");
    const world = await furnished();
    const { url, org, log, stop } = world;
    try {
        const used = await apiKey(world, "used by curl");
        execFileSync("curl", ["-sSf", "-o", "console-curl", "-H", `x-api-key: ${used.apiKey}`, `${url}/organization/${org}/nodes`]);
        for (const [name, check] of Object.entries(CHECKS)) {
            if (wanted(name)) await inspect(await signIn(browser, url, OWNER), name, (it) => check(it, world, browser));
        }
        const offered = "each of the five roles is offered what it may do, and nothing else";
        if (wanted(offered)) {
            await roles(browser, world);
            console.log(`console: ${offered}`);
        }
        // It takes the longest until it holds, so it comes last.
        const seen = "the last use of an API key is seen after curl has used it";
        if (wanted(seen)) await inspect(await signIn(browser, url, OWNER), seen, (it) => lastUse(it, "used by curl"));
        assert.doesNotMatch(log(), SECRETS, "no secret is in the server's log");
        assert.ok(!log().includes(PASSWORD), "no password is in the server's log");
    } finally {
        await stop();
    }
    const full = "on a full disk, what revokes is offered, and nothing else";
    if (wanted(full)) await fullDisk(browser, full);
}
