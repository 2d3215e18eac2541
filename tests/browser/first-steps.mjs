// The first steps of somebody new: starts the server as START says, gives the link that it prints to a browser, and ends
// signed in on the overview.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { openSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { Console } from "./console-page.mjs";
import { setUp } from "./console-story.mjs";
import { Mouse } from "./hands.mjs";
import { browse, watch } from "./world.mjs";

const { START, START_IN, START_PATH } = process.env;

/** How long the server may take to listen, in milliseconds. */
const PATIENCE = 60_000;

const LOG = "first-steps.log";

const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("START") && !name.startsWith("npm_")));
const server = spawn("sh", ["-c", `exec ${START}`], { cwd: START_IN, env: { ...env, PATH: START_PATH }, stdio: ["ignore", "pipe", openSync(LOG, "w")] });
const ended = new Promise((done) => server.once("exit", done));
const late = setTimeout(() => server.kill(), PATIENCE);
let link = null;
for await (const line of createInterface({ input: server.stdout })) {
    link = line.match(/^Open (http\S+#setup=\S+)/)?.[1] ?? link;
    if (line.startsWith("listening on ")) break;
}
clearTimeout(late);
try {
    assert.ok(link, `the server printed no link: ${readFileSync(LOG, "utf8")}`);
    const browser = await browse();
    try {
        const url = new URL(link).origin;
        const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
        const seen = await watch(context, url);
        const it = new Console({ page: await context.newPage(), hands: new Mouse(), name: "first-steps", url });
        await setUp(it, link);
        assert.equal(new URL(it.page.url()).pathname, "/console/");
        assert.equal((await it.page.locator(".rail [aria-current=page]").first().innerText()).trim(), "Overview");
        assert.deepEqual([...new Set([...it.amiss, ...seen])], [], "problems on the console");
        console.log("first steps: the printed link led to the overview");
    } finally {
        await browser.close();
    }
} finally {
    server.kill();
    await ended;
}
