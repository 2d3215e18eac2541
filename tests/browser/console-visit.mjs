// How the checks on the console visit it: calls of the owner, a page on which somebody has signed in, and answers in the
// server's place.
import assert from "node:assert/strict";
import { Console, PASSWORD } from "./console-page.mjs";
import { Mouse } from "./hands.mjs";
import { profile, serve, watch } from "./world.mjs";

/** The owner of the servers that are set up before a browser comes. */
export const OWNER = "ada@example.org";

/** What the checks provoke. Everything else that happens on a page is a problem. */
const PROVOKED = /^(401|403|404|409|503): |net::ERR_(FAILED|INTERNET_DISCONNECTED|CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING)$/;

/** Calls of the owner, by the token of the first start. */
export async function owner(url, token) {
    const api = async (method, path, body) => {
        const headers = { Authorization: `Bearer ${token}`, ...(body ? { "Content-Type": "application/json" } : {}) };
        const response = await fetch(url + path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
        assert.ok(response.ok, `${method} ${path}: ${response.status}`);
        return response.json();
    };
    const { data: me } = await api("GET", "/user/profile");
    return { url, token, api, me, org: me.orgId };
}

/** A server whose owner has a password. */
export async function furnished(flags = []) {
    const server = await serve({ flags: ["--bootstrap-email", OWNER, "--bootstrap-org", "Example Research", ...flags] });
    const world = await owner(server.url, server.token);
    await world.api("PUT", `/user/${world.me.id}`, { name: "Ada", lastName: "Example", password: PASSWORD });
    return { ...server, ...world };
}

/** Somebody with a role. */
export async function person({ api }, email, role, name = "Grace") {
    const { data } = await api("POST", "/organization/users", { email, firstName: name, lastName: "Sample", orgRole: role, password: PASSWORD });
    return data;
}

/** A new API key. */
export async function apiKey({ api, org }, apiName, end = {}) {
    const body = { listProjectsId: [], roleId: 0, userApiKey: { apiName, hasExpireTime: false, ...end } };
    return (await api("POST", `/api/organizations/${org}/api-keys`, body)).result;
}

/** Signs in on a page of its own. */
export async function signIn(browser, url, email, { hands: Hands = Mouse, schemes = ["light", "dark"], name = "check", ...options } = {}) {
    const context = await profile(browser, { viewport: { width: 1280, height: 900 }, ...options });
    const seen = await watch(context, url);
    const page = await context.newPage();
    page.setDefaultTimeout(60_000);
    const it = new Console({ page, hands: new Hands(page), name, url, amiss: [], pictures: false, schemes });
    it.seen = seen;
    await it.signIn(email);
    return it;
}

/** What a restart of the server does to the page's stream of events, too. */
const RESET = /net::ERR_CONNECTION_RESET$/;

/** What was not in order on a page, besides what was provoked. */
export const problemsOf = ({ amiss, seen, restarts }) =>
    [...new Set([...amiss, ...seen.filter((problem) => !PROVOKED.test(problem) && !(restarts && RESET.test(problem)))])];

/** Runs a check on a page, and looks at what it leaves behind. */
export async function inspect(it, name, check) {
    try {
        await check(it);
        assert.deepEqual(problemsOf(it), []);
        assert.deepEqual(await it.leftovers(), []);
    } catch (error) {
        await it.page.screenshot({ path: "console-check-failed.png" });
        throw new Error(`console: ${name}: ${problemsOf(it).join("; ")}`, { cause: error });
    }
    await it.page.context().close();
    console.log(`console: ${name}`);
}

/** Goes to a screen by its URL, without loading the page again. */
export async function visit(it, path) {
    await it.page.evaluate((hash) => (location.hash = hash), `#/${path}`);
    await it.page.locator("main h1").waitFor();
}

/** Answers the next call that matches in the server's place. */
export function once(page, method, pattern, answer) {
    let done = false;
    return page.route(pattern, async (route) => {
        if (done || route.request().method() !== method) return route.fallback();
        done = true;
        return answer(route);
    });
}

/** An answer that says no. */
export const refusal = (status, errorCode, message, headers = {}) => (route) =>
    route.fulfill({ status, headers: { "Content-Type": "application/json", "X-Request-Id": "req-1", ...headers }, body: JSON.stringify({ success: false, message, errorCode }) });
