// The story on the console: from the link that the first start prints, over keys, nodes, API keys, people, webhooks and
// the audit log, to signing out.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { fingerprintOf, PASSWORD, register } from "./console-page.mjs";

/** The server is set up by its link, and somebody has signed in. */
export async function setUp(it, link) {
    await it.page.goto(link);
    await it.heading("Set up this server");
    assert.equal(new URL(it.page.url()).hash, "", "the link has left the URL");
    await it.look("set-up");
    await it.write("Organization", "Example Research");
    await it.write("Password", "short");
    await it.write("The same again", "short");
    await it.press("button", "Set up and sign in");
    await it.page.getByText("7 more").waitFor();
    await it.look("set-up-error");
    await it.write("Password", PASSWORD);
    await it.write("The same again", PASSWORD);
    await it.press("button", "Set up and sign in");
    await it.heading(/^Welcome/);
    await it.page.getByText("Example Research").first().waitFor();
    await it.look("first-steps");
}

/** A key is made, a node registers with it, the key is rotated until no node is left on it, and the old one is deleted. */
export async function keysAndNodes(it, org) {
    await it.press("link", "New key");
    await it.look("new-key");
    await it.write("Name", "frankfurt-2024");
    await it.press("button", "Create key");
    const old = `console-${it.name}-old.pem`;
    await it.downloaded("private-key", old);
    const print = fingerprintOf(old);
    await it.row("frankfurt-2024").waitFor();
    assert.ok((await it.row("frankfurt-2024").locator(".chip").getAttribute("title")) === print, "the list shows the fingerprint");
    await it.look("keys");

    await it.open("Nodes");
    await it.page.getByText("No nodes yet").waitFor();
    await it.look("no-nodes");
    await register(it.server, org, old, "203.0.113.7");
    await it.open("Keys");
    await it.open("Nodes");
    await it.row("203.0.113.7").waitFor();
    await it.look("nodes");

    await it.open("Keys");
    await it.menu("frankfurt-2024", "Rotate");
    await it.write("Name of the new key", "frankfurt-2026");
    await it.tick("End it earlier, as soon as its last node has moved");
    await it.look("rotate");
    await it.press("button", "Create the new key");
    const young = `console-${it.name}-new.pem`;
    await it.downloaded("successor", young);
    await it.heading("Rotation of frankfurt-2024");
    await it.page.getByText("0 of 1 nodes moved").waitFor();
    await it.page.getByText("cannot be deleted yet").waitFor();
    await it.look("rotation");
    await register(it.server, org, young, "203.0.113.7");
    await it.page.getByText("1 of 1 nodes moved").waitFor();
    await it.look("rotation-done");
    await it.press("button", "Delete old key");
    await it.look("delete-key");
    await it.confirm("Delete key");
    await it.heading("Keys");
    await it.page.getByRole("button", { name: "Restore" }).waitFor();
    await it.look("deleted");
    await it.press("button", "Dismiss");

    await it.open("Nodes");
    await it.menu("203.0.113.7", "Delete");
    await it.look("delete-node");
    await it.confirm("Delete node");
    await it.press("button", "Activate");
    await it.row("203.0.113.7").waitFor();
    await it.write("Find a node", "198.51");
    await it.page.getByText("No node matches").waitFor();
    await it.look("no-match");
    await it.press("link", "Clear search and filters");
    await it.row("203.0.113.7").waitFor();
}

async function verdict(it, secret) {
    await it.open("API keys");
    await it.press("link", "Verify a key");
    await it.write("API key", secret);
    await it.press("button", "Verify");
    const said = it.page.locator(".facts .badge").first();
    await said.waitFor();
    await it.look("verdict");
    return (await said.innerText()).trim();
}

/** An API key is created, used, rotated with an overlap, verified, and deleted. */
export async function apiKeys(it, org) {
    await it.open("API keys");
    await it.look("no-api-keys");
    await it.press("link", "New API key");
    await it.press("button", "Create API key");
    await it.page.getByText("A key needs a name.").waitFor();
    await it.look("api-key-error");
    await it.write("Name", "billing-export");
    await it.choose("Ends", "30");
    await it.press("button", "Create API key");
    const first = await it.copied("api-key");
    await it.row("billing-export").waitFor();
    await it.look("api-keys");
    const used = await fetch(`${it.server}/organization/${org}/nodes`, { headers: { "x-api-key": first } });
    assert.equal(used.status, 200);

    await it.menu("billing-export", "Rotate");
    await it.choose("The old key ends", "3600");
    await it.press("button", "Rotate");
    const second = await it.copied("rotated");
    assert.notEqual(first, second);
    assert.equal(await verdict(it, first), "VALID");
    assert.equal(await verdict(it, second), "VALID");
    await it.press("button", "Cancel");
    const old = it.row(/Ends in (60|59) min/);
    await it.hands.press(old.locator("summary"));
    await it.hands.press(old.getByRole("button", { name: "Delete", exact: true }));
    await it.look("delete-api-key");
    const typed = await it.dialog().getByLabel(/To go on/).count();
    await it.confirm("Delete API key", typed ? "billing-export" : null);
    assert.equal(await verdict(it, first), "NOT_FOUND");
    assert.equal(await verdict(it, second), "VALID");
    await it.press("button", "Cancel");
}

/** Somebody is invited and takes the invitation in a browser of their own. `visit` opens one. */
export async function people(it, visit) {
    await it.open("People");
    await it.press("link", "Invite");
    await it.write("E-mail", "grace@example.org");
    await it.write("First name", "Grace");
    await it.write("Last name", "Sample");
    await it.choose("Role", "2");
    await it.look("invite");
    await it.press("button", "Create link");
    const link = await it.copied("invitation");
    await it.row("grace@example.org").getByText("Invited").waitFor();
    await it.look("people");

    const hers = await visit("grace");
    await hers.page.goto(link);
    await hers.heading("Welcome");
    await hers.write("Password", PASSWORD);
    await hers.write("The same again", PASSWORD);
    await hers.press("button", "Set the password and sign in");
    await hers.heading("Overview");
    await hers.look("overview-workspaces");

    await it.menu("Grace Sample", "Change role");
    await it.choose("Role", "254");
    await it.look("role");
    await it.press("button", "Change role");
    await it.row("grace@example.org").getByText("Administrator").waitFor();
    return hers;
}

/** When the log shows what somebody else did, in milliseconds. Machines are noisy: a test fails only after three times that. */
const LIVE = 2000;

/** The log shows what somebody else does within two seconds, and its chain holds. */
export async function audit(it, hers) {
    await it.open("Audit log");
    await it.page.locator("tbody tr").first().waitFor();
    await it.page.locator(".live").waitFor();
    await it.look("audit");
    await hers.page.reload();
    await hers.open("Projects");
    await hers.look("no-projects");
    await hers.press("link", "New project");
    await hers.write("Name", "Build");
    await hers.press("button", "Create project");
    const since = Date.now();
    await it.page.locator("tbody tr", { hasText: "project.create" }).waitFor({ timeout: 3 * LIVE });
    console.log(`console, ${it.name}: another's act appeared in the log after ${Date.now() - since} ms`);
    await hers.heading("Build");
    await hers.look("project");

    await it.press("button", "Verify the chain");
    await it.page.getByText("Chain verified").waitFor();
    await it.press("button", /^Entry /);
    await it.look("verified");
    await it.choose("Action", "api_key.create");
    await it.page.waitForFunction(() => [...document.querySelectorAll("tbody tr:not(.part)")].every((row) => row.textContent.includes("api_key.create")));
    await it.look("audit-filtered");
    await it.press("button", "Clear");
}

/** A webhook is created, tested, and its failed delivery is sent again. */
export async function webhooks(it) {
    let status = 410;
    const receiver = createServer((request, response) => {
        request.resume();
        response.writeHead(status).end();
    });
    await new Promise((ready) => receiver.listen(0, "127.0.0.1", ready));
    try {
        await it.open("Webhooks");
        await it.look("no-webhooks");
        await it.press("link", "New webhook");
        await it.write("URL", `http://127.0.0.1:${receiver.address().port}/in`);
        await it.write("Name", "SIEM");
        await it.tick("deleted");
        await it.look("new-webhook");
        await it.press("button", "Create webhook");
        await it.copied("webhook-secret");
        await it.heading("SIEM");
        await it.press("button", "Send a test event");
        await it.row("Failed").waitFor();
        await it.page.getByText("the receiver is gone (410)").waitFor();
        await it.look("failed-delivery");
        status = 204;
        await it.press("button", "Switch on");
        await it.page.getByText("This webhook is switched off").waitFor({ state: "detached" });
        await it.press("button", /^Send again: event/);
        await it.row("Delivered").waitFor();
        await it.look("webhook");
    } finally {
        receiver.close();
    }
}

/** The rest of the screens, the sessions, and the end of them. `visit` opens another browser. */
export async function account(it, visit) {
    await it.open("Organization");
    await it.look("organization");
    await it.open("Overview");
    await it.page.getByText("Latest events").waitFor();
    await it.look("overview");
    await it.page.goto(`${it.url}/console/#/account`);
    await it.heading("Your account");
    await it.row("this one").waitFor();
    await it.look("account");
    await it.page.goto(`${it.url}/console/#/nowhere`);
    await it.heading("Not here");
    const left = await it.leftovers();
    assert.deepEqual(left, [], "what is left behind");

    const elsewhere = await visit("elsewhere");
    await elsewhere.page.goto(`${it.url}/console/`);
    await elsewhere.write("E-mail", "owner@localhost");
    await elsewhere.write("Password", PASSWORD);
    await elsewhere.press("button", "Sign in");
    await elsewhere.heading("Overview");
    await it.page.goto(`${it.url}/console/#/account`);
    await it.page.reload();
    await it.heading("Your account");
    await it.press("button", "Sign out everywhere else");
    await it.page.getByText("You are signed out everywhere else").waitFor();
    await elsewhere.page.evaluate(() => (location.hash = "#/projects"));
    await elsewhere.page.getByRole("heading", { name: "Sign in again" }).waitFor();
    await it.hands.press(it.row("this one").getByRole("button"));
    await it.heading("Sign in");
    await it.page.goBack();
    await it.heading("Sign in");
    await it.page.goBack();
    await it.heading("Sign in");
    assert.ok(!(await it.page.evaluate(() => document.documentElement.outerHTML)).includes("Example Research"), "Back shows nothing");
    await it.look("sign-in");
    assert.deepEqual(await it.page.evaluate(() => Object.keys(localStorage).filter((name) => name.endsWith("session"))), []);
}
