// The environment of the scenario: a server of its own, and a monitored browser.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const { PROGRAM, CHROMIUM, NO_NAMES, CONSOLE } = process.env;

/** This machine by a name, as others on a network see it. Only the browser knows it. */
export const NAME = "keys.test";

/**
 * A server, and its owner's token. With `link`, nobody has a token yet, and its first start prints a link instead. The
 * database is in a new folder, or in `home`. `before` is what stopping another server with `keep` gave back, whose database
 * this one goes on with.
 */
export async function serve({ link = false, flags = [], listen = "127.0.0.1:0", before = null, home = before?.home ?? mkdtempSync(join(tmpdir(), "orgkeys-")) } = {}) {
    const token = before?.token ?? (link ? null : execFileSync(PROGRAM, ["token", "generate"], { encoding: "utf8" }).trim());
    const child = spawn(PROGRAM, ["serve", "--database", join(home, "orgkeys.db"), "--listen", listen, ...flags], {
        env: { ...process.env, ...(token && !before ? { ORGKEYS_BOOTSTRAP_TOKEN: token } : {}) },
        stdio: ["ignore", "pipe", openSync(join(home, "log"), "a")],
    });
    const exited = new Promise((done) => child.once("exit", done));
    const stop = async ({ keep = false } = {}) => {
        child.kill();
        await exited;
        if (!keep) rmSync(home, { recursive: true });
        return { home, token };
    };
    let url = null;
    let open = null;
    for await (const line of createInterface({ input: child.stdout })) {
        url ??= line.match(/^listening on (\S+)/)?.[1] ?? null;
        open ??= line.match(/(http\S+#setup=oki_\S+)/)?.[1] ?? null;
        if (url && (open || !link)) return { url, token, link: open, home, log: () => readFileSync(join(home, "log"), "utf8"), stop };
    }
    throw new Error(`the server did not start: ${readFileSync(join(home, "log"), "utf8")}`);
}

/** Debian's Chromium, with an empty profile. */
export async function browse() {
    const near = Object.keys(networkInterfaces()).join() === "lo";
    if (!near && !NO_NAMES) throw new Error("this machine's network can be reached from here");
    const names = `--host-resolver-rules=MAP ${NAME} 127.0.0.1${NO_NAMES ? ", MAP * ~NOTFOUND, EXCLUDE 127.0.0.1" : ""}`;
    return chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu", "--disable-quic", names] });
}

/** A browser profile of its own. With CONSOLE, it gets the console's files from that folder instead of from the server. */
export async function profile(browser, options = {}) {
    const context = await browser.newContext({ acceptDownloads: true, ...options });
    if (!CONSOLE) return context;
    await context.route(/\/console\/(app\.(js|css))?([?#].*)?$/, async (route) => {
        const response = await route.fetch();
        const file = new URL(route.request().url()).pathname.split("/").pop() || "index.html";
        const { "content-encoding": _, "content-length": __, ...headers } = response.headers();
        await route.fulfill({ status: response.status(), headers, body: readFileSync(join(CONSOLE, file)) });
    });
    return context;
}

/** Collects everything that must not happen on a page. */
export async function watch(context, origin) {
    const problems = [];
    await context.addInitScript(() => {
        addEventListener("securitypolicyviolation", (event) => {
            console.error(`${event.violatedDirective} forbids ${event.blockedURI}`);
        });
    });
    const ours = (url) => url.startsWith("data:") || url.replace(/^blob:/, "").startsWith(`${origin}/`);
    context.on("request", (request) => ours(request.url()) || problems.push(`request to another host: ${request.url()}`));
    context.on("requestfailed", (request) => {
        const why = request.failure()?.errorText;
        // The page gives up a request when its user leaves the screen that it was for.
        if (why !== "net::ERR_ABORTED") problems.push(`failed: ${request.url()}, ${why}`);
    });
    context.on("response", (answer) => answer.status() < 400 || problems.push(`${answer.status()}: ${answer.url()}`));
    context.on("weberror", (error) => problems.push(`thrown: ${error.error()}`));
    context.on("console", (message) => {
        // An answer that says no is among the responses above, with its URL.
        if (message.text().startsWith("Failed to load resource")) return;
        // Chromium's advice on forms, which it shows only to people who ask for it.
        if (message.text().startsWith("[DOM]")) return;
        problems.push(`console: ${message.text()}`);
    });
    return problems;
}
