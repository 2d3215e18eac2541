// Makes the pictures of docs/console.md again: tests/browser/run pictures
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Console, PASSWORD, register } from "./console-page.mjs";
import { Mouse } from "./hands.mjs";
import { browse, serve } from "./world.mjs";

const FOLDER = process.env.PICTURES ?? join("..", "..", "..", "docs", "console");
const PICTURES = [
    { name: "overview", path: "" },
    { name: "rotation", path: "keys/OLD" },
    { name: "api-keys", path: "api-keys" },
    { name: "audit", path: "audit", verify: true },
];

/** An organization in which something goes on. */
async function furnish({ url, token }) {
    const api = async (method, path, body) => {
        const headers = { Authorization: `Bearer ${token}`, ...(body ? { "Content-Type": "application/json" } : {}) };
        const response = await fetch(url + path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
        if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`);
        return response.json();
    };
    const { data: me } = await api("GET", "/user/profile");
    const org = me.orgId;
    await api("PUT", `/user/${me.id}`, { name: "Ada", lastName: "Example", password: PASSWORD });
    const { data: old } = await api("POST", `/organization/${org}/key?format=json`);
    await api("PUT", `/organization/${org}/key/${old.id}`, { name: "frankfurt-2024" });
    writeFileSync("picture-old.pem", old.privateKey);
    let at = Date.now() - 100_000;
    for (let node = 1; node <= 20; node++) await register(url, org, "picture-old.pem", `203.0.113.${node}`, at++);
    const { data: young } = await api("POST", `/organization/${org}/key/${old.id}/rotate?format=json`, { name: "frankfurt-2026", overlapSeconds: 432_000 });
    writeFileSync("picture-new.pem", young.privateKey);
    for (let node = 1; node <= 8; node++) await register(url, org, "picture-new.pem", `203.0.113.${node}`, at++);
    for (const [apiName, days] of [["edge-gateway", 200], ["ci-runner", 90], ["partner-sync", 19], ["billing-export", 5]]) {
        const expireDateTime = new Date(Date.now() + days * 86_400_000).toISOString();
        const body = { listProjectsId: [], roleId: 0, userApiKey: { apiName, hasExpireTime: true, expireDateTime } };
        const { result } = await api("POST", `/api/organizations/${org}/api-keys`, body);
        await fetch(`${url}/api/api-keys/verify?organization=${org}`, { headers: { "x-api-key": result.apiKey } });
    }
    await api("POST", "/organization/users", { email: "grace@example.org", firstName: "Grace", lastName: "Sample", orgRole: 254, sendInvite: true });
    return old.id;
}

/** Counts what gateways asked and nodes sent in the last day, which nobody waits for. The server is stopped meanwhile. */
const DAY = `
import math, sqlite3, sys, time
database = sqlite3.connect(sys.argv[1])
org = database.execute("SELECT id FROM org").fetchone()[0]
now = int(time.time()) // 3600
for back in range(1, 24):
    busy = 1.3 + math.cos(((now - back) % 24 - 14) * math.pi / 12)
    counts = [("verification", "VALID", 410 * busy), ("verification", "EXPIRED", 9 * busy), ("node", "heard", 15)]
    if back in (6, 7):
        counts.append(("verification", "NOT_FOUND", 160))
    for kind, outcome, count in counts:
        database.execute("INSERT INTO hourly_count VALUES (?, ?, ?, ?, ?)", (org, (now - back) * 3_600_000, kind, outcome, int(count) + back * 7 % 5))
database.commit()
`;

let world = await serve({ flags: ["--bootstrap-org", "Example Research", "--bootstrap-email", "ada@example.org"] });
const browser = await browse();
try {
    const old = await furnish(world);
    const before = await world.stop({ keep: true });
    execFileSync("python3", ["-c", DAY, join(before.home, "orgkeys.db")]);
    world = await serve({ before });
    const page = await (await browser.newContext({ viewport: { width: 1120, height: 780 } })).newPage();
    const it = new Console({ page, hands: new Mouse(), name: "picture", url: world.url, amiss: [], pictures: false });
    await page.goto(`${world.url}/console/`);
    await it.write("E-mail", "ada@example.org");
    await it.write("Password", PASSWORD);
    await it.press("button", "Sign in");
    await page.locator(".rail").waitFor();
    mkdirSync(FOLDER, { recursive: true });
    for (const { name, path, verify } of PICTURES) {
        await page.goto(`${world.url}/console/#/${path.replace("OLD", old)}`);
        await page.locator("main h1").waitFor();
        if (verify) {
            await it.press("button", "Verify the chain");
            await page.getByText("Chain verified").waitFor();
        }
        await page.waitForTimeout(1500);
        await it.settled();
        await page.screenshot({ path: `${name}.png` });
        copyFileSync(`${name}.png`, join(FOLDER, `${name}.png`));
    }
} finally {
    await browser.close();
    await world.stop();
}
