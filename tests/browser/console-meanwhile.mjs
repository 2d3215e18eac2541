// What must hold on the console when something changes while somebody looks at it.
import assert from "node:assert/strict";
import { apiKey, person, problemsOf, signIn, visit } from "./console-visit.mjs";

/** An administrator becomes a user while a form is open. */
export async function roleTakenAway(it, world, browser) {
    const { id } = await person(world, "grace@example.org", 254);
    const hers = await signIn(browser, it.url, "grace@example.org");
    await visit(hers, "api-keys/new");
    await hers.write("Name", "half written");
    await hers.write("Note", "of the billing team");
    await world.api("PUT", `/user/${id}/role`, { orgRole: 0 });
    await hers.page.getByText("Your role was changed from Administrator to User.").waitFor();
    await hers.press("button", "Create API key");
    await hers.page.getByRole("alert").waitFor();
    await hers.look("role taken away");
    const kept = [await hers.page.getByLabel("Name", { exact: true }).inputValue(), await hers.page.getByLabel("Note", { exact: true }).inputValue()];
    assert.deepEqual(kept, ["half written", "of the billing team"], "nothing in the form is lost");
    await hers.press("button", "Show what I may do now");
    await hers.page.getByText("Your role was changed").waitFor({ state: "detached" });
    await hers.page.getByRole("link", { name: "Keys", exact: true }).first().waitFor({ state: "detached" });
    assert.equal(await hers.page.getByRole("button", { name: "Create API key" }).count(), 0, "what a user may not do is offered no more");

    // Without the stream, a refusal is what says it.
    await world.api("PUT", `/user/${id}/role`, { orgRole: 254 });
    await hers.page.route("**/events/stream*", (route) => route.abort());
    await hers.page.reload();
    await visit(hers, "projects/new");
    await hers.write("Name", "half written");
    await world.api("PUT", `/user/${id}/role`, { orgRole: 1 });
    await hers.press("button", "Create project");
    await hers.page.getByText("Your role was changed from Administrator to Billing.").waitFor();
    assert.equal(await hers.page.getByLabel("Name", { exact: true }).inputValue(), "half written");
    assert.deepEqual(problemsOf(hers), []);
    await hers.page.context().close();
}

/** Somebody else rotates an API key first. The page does not hear of it by the stream. */
export async function conflict(it, world) {
    const { id } = await apiKey(world, "rotated meanwhile");
    await it.page.route("**/events/stream*", (route) => route.abort());
    await it.page.reload();
    await it.page.locator(".rail").waitFor();
    await visit(it, `api-keys/${id}/rotate`);
    await it.page.locator(".facts .badge", { hasText: "Active" }).waitFor();
    await it.choose("The old key ends", "3600");
    await world.api("POST", `/api/organizations/${world.org}/api-keys/${id}/rotate`, { overlapSeconds: 86_400 });
    await it.press("button", "Rotate");
    await it.page.getByRole("alert").getByText("What the page shows is how it is now").waitFor();
    await it.page.locator(".facts .badge", { hasText: "Ends in" }).waitFor();
    assert.equal(await it.page.getByLabel("The old key ends").inputValue(), "3600", "nothing in the form is lost");
    await it.look("conflict");
}

/** A change that the stream does not tell of, since it was not open: at first it is not yet, and never while the page is hidden. */
export async function unheard(it, world) {
    let open;
    const held = new Promise((resolve) => (open = resolve));
    await it.page.route("**/events/stream*", async (route) => {
        await held;
        await route.continue();
    });
    await apiKey(world, "at first");
    await visit(it, "api-keys");
    await it.page.reload();
    await it.row("at first").waitFor();
    await apiKey(world, "before the stream");
    open();
    await it.row("before the stream").waitFor();

    const become = (state) =>
        it.page.evaluate((state) => {
            Object.defineProperty(document, "visibilityState", { configurable: true, get: () => state });
            document.dispatchEvent(new Event("visibilitychange"));
        }, state);
    await become("hidden");
    await apiKey(world, "while hidden");
    await become("visible");
    await it.row("while hidden").waitFor();
}

/** The overview shows changes, however much was read since. */
export async function behindReads(it, { api, org }) {
    await api("POST", `/organization/${org}/key?format=json`);
    for (let read = 0; read < 120; read++) await api("GET", `/organization/${org}/nodes`);
    await it.page.reload();
    await it.heading("Overview");
    await it.page.locator(".timeline li").first().waitFor();
}
