// What must hold on the console when something goes wrong, and for people who may do less.
import assert from "node:assert/strict";
import { Console, inhabited, OWNER, PASSWORD } from "./console-page.mjs";
import { ROLES } from "./console-roles.mjs";
import { Mouse } from "./hands.mjs";

/** Signs in on a page of its own. */
async function signIn(browser, url, email, options = {}) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, acceptDownloads: true, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(60_000);
    const it = new Console({ page, hands: new Mouse(), name: "check", url, amiss: [], pictures: false });
    await it.signIn(email);
    return it;
}

/** Answers the next call that matches in the server's place. */
function once(page, method, pattern, answer) {
    let done = false;
    return page.route(pattern, async (route) => {
        if (done || route.request().method() !== method) return route.fallback();
        done = true;
        return answer(route);
    });
}

const refusal = (status, errorCode, message, headers = {}) => (route) =>
    route.fulfill({ status, headers: { "Content-Type": "application/json", "X-Request-Id": "req-1", ...headers }, body: JSON.stringify({ success: false, message, errorCode }) });

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
        await it.page.getByRole("button", { name: "Create API key" }).dblclick();
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
    "a full disk is said on every screen": async (it) => {
        await newApiKey(it, "full");
        await once(it.page, "POST", "**/api-keys", refusal(503, "STORAGE_FULL", "The disk is nearly full"));
        await it.press("button", "Create API key");
        await it.page.getByText("only revocations are accepted").waitFor();
        await it.open("Projects");
        await it.page.getByText("only revocations are accepted").waitFor();
        await it.look("full");
    },
    "without a connection the page says so, and goes on by itself": async (it) => {
        await it.page.context().setOffline(true);
        await it.page.goto(`${it.url}/console/#/nodes?search=again`);
        await it.page.getByText("No connection to").first().waitFor();
        await it.look("offline", { loading: true });
        await it.page.context().setOffline(false);
        await it.page.getByText("No connection to").first().waitFor({ state: "detached" });
    },
    "signing out in one tab ends all": async (it) => {
        const other = await it.page.context().newPage();
        await other.goto(`${it.url}/console/`);
        await other.locator(".rail").waitFor();
        await it.signOut();
        await other.getByRole("heading", { name: "Sign in" }).waitFor();
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
    "a log that was changed is found, wherever it was changed": async (it) => {
        let change = () => undefined;
        await it.page.route("**/audit?*", async (route) => {
            const response = await route.fetch();
            const page = await response.json();
            if (!new URL(route.request().url()).searchParams.has("order")) change(page.data, page);
            await route.fulfill({ response, json: page });
        });
        await it.open("Audit log");
        const entries = 6;
        for (const [what, tamper] of Object.entries(TAMPERINGS)) {
            change = (data, page) => data.length > entries && tamper(data, page);
            await it.press("button", "Verify the chain");
            await it.page.getByText(/^The chain breaks at entry/).waitFor();
            if (what === "action") await it.look("broken");
            change = () => undefined;
            await it.press("button", "Verify the chain");
            await it.page.getByText("Chain verified").waitFor();
        }
    },
};

/** Ways to change a log. Each must be found. */
const TAMPERINGS = {
    action: (data) => (data[3].action = "org.read"),
    time: (data) => (data[3].at += 1),
    actor: (data) => (data[3].actorId = data[3].actorId.replace(/.$/, "x")),
    name: (data) => (data[3].actorName = "somebody"),
    outcome: (data) => (data[3].outcome = "refused"),
    address: (data) => (data[3].address = null),
    request: (data) => (data[3].requestId = "x"),
    detail: (data) => (data[3].detail = '{"count":0}'),
    number: (data) => (data[3].id += 1),
    context: (data) => (data[3].contextId = null),
    hash: (data) => (data[3].hash = data[4].hash),
    "hash before": (data) => (data[3].prevHash = data[1].hash),
    removal: (data) => data.splice(3, 1),
    insertion: (data) => data.splice(3, 0, { ...data[3] }),
    order: (data) => data.splice(2, 2, data[3], data[2]),
    beginning: (data) => data.splice(0, 2),
    end: (data, page) => Object.assign(page, { last: data[4].seq, next: data[4].seq }) && data.splice(5),
};

/** What each role is offered. */
async function roles(browser, url, { api, org }) {
    await api("POST", `/organization/${org}/key?format=json`);
    const userApiKey = { apiName: "theirs", hasExpireTime: false };
    await api("POST", `/api/organizations/${org}/api-keys`, { listProjectsId: [], roleId: 0, userApiKey });
    for (const { name, role, email, rail, offered } of ROLES) {
        await api("POST", "/organization/users", { email, firstName: name, lastName: "Role", orgRole: role, password: PASSWORD });
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
        }
        assert.deepEqual(it.amiss, []);
        await it.page.context().close();
    }
}

/** All of them, on one server. */
export async function checks(browser) {
    const world = await inhabited();
    const { url, stop } = world;
    try {
        for (const [name, check] of Object.entries(CHECKS)) {
            const it = await signIn(browser, url, OWNER);
            try {
                await check(it, world);
                assert.deepEqual(it.amiss, []);
                assert.deepEqual(await it.leftovers(), []);
            } catch (error) {
                await it.page.screenshot({ path: "console-check-failed.png" });
                throw new Error(`console: ${name}: ${it.amiss.join("; ")}`, { cause: error });
            }
            await it.page.context().close();
            console.log(`console: ${name}`);
        }
        await roles(browser, url, world);
        console.log("console: each of the five roles is offered what it may do, and nothing else");
    } finally {
        await stop();
    }
}
