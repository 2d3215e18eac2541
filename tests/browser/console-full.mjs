// What the console offers while the server's disk is full: what revokes, and nothing else.
import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { PASSWORD } from "./console-page.mjs";
import { apiKey, furnished, inspect, once, OWNER, refusal, signIn, visit } from "./console-visit.mjs";
import { serve } from "./world.mjs";

const SMALL = ["--disk-reserve", "256KiB", "--database-max", "800KiB", "--webhook-allow", "127.0.0.0/8"];
const LARGE = ["--disk-reserve", "256KiB", "--database-max", "20MiB", "--webhook-allow", "127.0.0.0/8"];

/** Reads, which are recorded, until there is no room for another record. */
async function fill({ url, token, org }) {
    const read = () => fetch(`${url}/organization/${org}/nodes`, { headers: { Authorization: `Bearer ${token}` } });
    for (const until = Date.now() + 60_000; Date.now() < until; ) {
        const answers = await Promise.all(Array.from({ length: 8 }, read));
        if (answers.some(({ status }) => status === 503)) return;
        // Reads, too, are limited to so many a second.
        if (answers.some(({ status }) => status === 429)) await setTimeout(100);
    }
    assert.fail("the database does not become full");
}

/** The database reaches its largest size while somebody looks at API keys, and gets more room later. */
export async function fullDisk(browser, name) {
    const world = await furnished(SMALL);
    let running = world;
    try {
        for (const name of ["first", "second"]) await apiKey(world, name);
        await world.api("POST", `/organization/${world.org}/webhooks`, { url: "http://127.0.0.1:9/", name: "SIEM" });
        await inspect(await signIn(browser, world.url, OWNER), name, async (it) => {
            await visit(it, "webhooks");
            await it.row("SIEM").waitFor();
            await visit(it, "api-keys/new");
            await it.write("Name", "third");
            await fill(world);
            await it.press("button", "Create API key");
            await it.page.getByText("only revocations are accepted").waitFor();
            const create = it.page.getByRole("button", { name: "Create API key" });
            assert.equal(await create.getAttribute("aria-disabled"), "true", "nothing can be created");
            assert.equal(await it.page.getByLabel("Name", { exact: true }).inputValue(), "third", "nothing in the form is lost");
            await it.look("full");

            // The password can be confirmed, too.
            await once(it.page, "DELETE", "**/api-keys/*", refusal(403, "PASSWORD_CONFIRMATION_REQUIRED", "Confirm the password"));
            await it.menu("first", "Delete");
            await it.press("button", "Delete API key", it.dialog());
            await it.page.getByRole("heading", { name: "Confirm your password" }).waitFor();
            await it.page.getByLabel("Password", { exact: true }).fill(PASSWORD);
            await it.press("button", "Confirm");
            await it.page.getByText("first was deleted").waitFor();
            await it.page.getByText("only revocations are accepted").waitFor();

            await visit(it, "webhooks");
            await it.page.getByText("only revocations are accepted").waitFor();
            await it.page.getByLabel("Actions for SIEM").click();
            const off = await it.page.locator("tbody .menu li > [aria-disabled=true]").allInnerTexts();
            assert.deepEqual(off, ["Send a test event", "Switch off"], "what cannot work is off, what revokes is not");
            await it.look("full, a menu");
            await it.page.locator("tbody .menu").getByRole("button", { name: "Delete" }).click();
            await it.confirm("Delete webhook");

            it.restarts = true;
            const before = await running.stop({ keep: true });
            running = await serve({ before, flags: LARGE, listen: new URL(world.url).host });
            await it.press("button", "Try now");
            await it.page.getByText("only revocations are accepted").waitFor({ state: "detached" });
            await visit(it, "api-keys");
            await it.row("second").waitFor();
            assert.equal(await it.row("first").count(), 0, "the deleted key is gone");
        });
    } finally {
        await running.stop();
    }
}
