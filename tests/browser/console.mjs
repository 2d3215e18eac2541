// The console in Chromium: one story by mouse, in the dark, by keyboard, on a phone, at 320 px and behind two proxies; then
// what must hold however the browser reaches the server, and when something goes wrong.
import assert from "node:assert/strict";
import { Keyboard, Mouse, Thumb } from "./hands.mjs";
import { checks } from "./console-checks.mjs";
import { Console, PASSWORD, SECRETS } from "./console-page.mjs";
import { reach } from "./console-reach.mjs";
import { size } from "./console-size.mjs";
import { account, apiKeys, audit, keysAndNodes, people, setUp, webhooks } from "./console-story.mjs";
import { tour } from "./console-tour.mjs";
import { proxy } from "./fronts.mjs";
import { browse, profile, serve, watch } from "./world.mjs";

const DESK = { viewport: { width: 1280, height: 900 } };
const TELLINGS = [
    { name: "mouse", hands: Mouse, screen: DESK },
    { name: "dark", hands: Mouse, screen: { ...DESK, colorScheme: "dark" } },
    { name: "keyboard", hands: Keyboard, screen: { ...DESK, reducedMotion: "reduce" } },
    { name: "phone", hands: Thumb, screen: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true } },
    { name: "narrow", hands: Mouse, screen: { viewport: { width: 320, height: 700 } } },
    // The screens look the same as without a proxy.
    { name: "nginx", hands: Mouse, screen: DESK, behind: "nginx", looks: false },
    { name: "caddy", hands: Mouse, screen: DESK, behind: "caddy", looks: false },
];

/** What may be answered without anything being wrong: a request about what was just deleted. */
const EXPECTED = /^404: .*(\/webhooks\/|\/nodes\?keyId=|\/impact\?key=)/;

async function tell(browser, { name, hands: Hands, screen, behind, looks }) {
    const trust = behind ? ["--trusted-proxy", "127.0.0.1"] : [];
    const { url: server, link, log, stop } = await serve({ link: true, flags: ["--webhook-allow", "127.0.0.0/8", ...trust] });
    const front = behind ? await proxy(behind, server) : { url: server, stop: () => undefined };
    const { url } = front;
    const contexts = [];
    const amiss = [];
    const visit = async (who = "") => {
        const context = await profile(browser, { ...screen, ignoreHTTPSErrors: Boolean(behind) });
        contexts.push(context);
        const seen = await watch(context, url);
        const page = await context.newPage();
        page.setDefaultTimeout(60_000);
        const it = new Console({ page, hands: new Hands(page), name: who ? `${name}-${who}` : name, url, server, amiss, looks });
        it.seen = seen;
        return it;
    };
    const since = Date.now();
    const it = await visit();
    try {
        await setUp(it, link.replace(server, url));
        const org = await it.page.evaluate(async () => {
            const [, token] = Object.entries({ ...localStorage }).find(([key]) => key.endsWith("session"));
            const response = await fetch("../user/profile", { headers: { Authorization: `Bearer ${token}` } });
            return (await response.json()).data.orgId;
        });
        await keysAndNodes(it, org);
        await apiKeys(it, org);
        const hers = await people(it, visit);
        await audit(it, hers);
        await webhooks(it);
        await account(it, visit);
        const seen = contexts.length && [...it.seen, ...hers.seen].filter((problem) => !EXPECTED.test(problem));
        assert.deepEqual([...new Set([...amiss, ...seen])], [], "problems on the console");
        assert.deepEqual(await hers.leftovers(), [], "what is left behind in the other browser");
        assert.doesNotMatch(log(), SECRETS, "no secret is in the server's log");
        assert.ok(!log().includes(PASSWORD), "no password is in the server's log");
        console.log(`console, ${name}: the story passed in ${Math.round((Date.now() - since) / 1000)} s`);
    } catch (error) {
        await it.page.screenshot({ path: `console-${name}-failed.png` });
        throw new Error(`console, ${name} failed: ${[...new Set([...amiss, ...it.seen])].join("; ")}`, { cause: error });
    } finally {
        for (const context of contexts) await context.close();
        await front.stop();
        await stop();
    }
}

const OTHERS = { reach, checks, tour, size };
const known = [...TELLINGS.map(({ name }) => name), ...Object.keys(OTHERS)];
const wanted = process.argv.slice(2);
for (const name of wanted) assert.ok(known.includes(name), `there is no story named ${name}: ${known}`);
const browser = await browse();
try {
    for (const telling of TELLINGS) if (!wanted.length || wanted.includes(telling.name)) await tell(browser, telling);
    for (const [name, other] of Object.entries(OTHERS)) if (!wanted.length || wanted.includes(name)) await other(browser);
} finally {
    await browser.close();
}
