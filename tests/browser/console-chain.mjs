// Whether the page finds every change to the audit log that `orgkeys audit verify` finds.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";

const COLUMNS = ["id", "org", "seq", "at", "actorKind", "actorId", "actorName", "action", "context", "contextId", "project", "change", "outcome", "address", "requestId", "detail"];

/** The hash of an entry, as src/crypto/chain.rs says. */
function hashOf(entry, prev) {
    const hash = createHash("sha256").update("orgkeys audit v1").update(Buffer.from(prev, "hex"));
    for (const column of COLUMNS.map((name) => entry[name] ?? null)) {
        const number = Buffer.alloc(8);
        if (column === null) hash.update("n");
        else if (typeof column === "number") number.writeBigInt64BE(BigInt(column)) && hash.update("i").update(number);
        else number.writeBigInt64BE(BigInt(Buffer.byteLength(column))) && hash.update("t").update(number).update(column);
    }
    return hash.digest("hex");
}

/** Ways to change a log. Each must be found. */
const TAMPERINGS = {
    action: (data) => (data[3].action = "org.read"),
    time: (data) => (data[3].at += 1),
    "kind of actor": (data) => (data[3].actorKind = data[3].actorKind === "system" ? "user" : "system"),
    actor: (data) => (data[3].actorId = data[3].actorId.replace(/.$/, "x")),
    name: (data) => (data[3].actorName = "somebody"),
    outcome: (data) => (data[3].outcome = "refused"),
    address: (data) => (data[3].address = null),
    request: (data) => (data[3].requestId = "x"),
    detail: (data) => (data[3].detail = '{"count":0}'),
    number: (data) => (data[3].id += 1),
    context: (data) => (data[3].contextId = null),
    project: (data) => (data[3].project = "project-x"),
    change: (data) => (data[3].change = data[3].change === 2 ? 1 : 2),
    hash: (data) => (data[3].hash = data[4].hash),
    "hash before": (data) => (data[3].prevHash = data[1].hash),
    removal: (data) => data.splice(3, 1),
    insertion: (data) => data.splice(3, 0, { ...data[3] }),
    order: (data) => data.splice(2, 2, data[3], data[2]),
    beginning: (data) => data.splice(0, 2),
    end: (data, page) => Object.assign(page, { last: data[4].seq, next: data[4].seq }) && data.splice(5),
    "everything from an entry on, with new hashes": (data) => {
        data[3].action = "org.read";
        for (let at = 3; at < data.length; at++) {
            data[at].prevHash = data[at - 1].hash;
            data[at].hash = hashOf(data[at], data[at].prevHash);
        }
    },
};

/** What `orgkeys audit verify` says of entries: 0 if they are whole, 1 if they are not. */
function commandLine(data, head) {
    writeFileSync("console-log.jsonl", data.map((entry) => `${JSON.stringify(entry)}\n`).join(""));
    writeFileSync("console-heads", `${JSON.stringify(head)}\n`);
    const { status, stderr } = spawnSync(process.env.PROGRAM, ["audit", "verify", "--file", "console-log.jsonl", "--head", "console-heads"], { encoding: "utf8" });
    assert.ok(status === 0 || status === 1, `audit verify: ${status} ${stderr}`);
    return status;
}

/** Changes the answers of the server in every way, and has each log verified by the page and by the command line. */
export async function chain(it) {
    let change = () => undefined;
    let entries = null;
    let head = null;
    await it.page.route("**/audit/head", async (route) => {
        const response = await route.fetch();
        head = await response.json();
        await route.fulfill({ response, json: head });
    });
    await it.page.route("**/audit?*", async (route) => {
        const response = await route.fetch();
        const page = await response.json();
        const query = new URL(route.request().url()).searchParams;
        if (query.get("after") === "0") {
            change(page.data, page);
            entries = page.data;
        }
        await route.fulfill({ response, json: page });
    });
    const verify = async (wanted) => {
        await it.press("button", "Verify the chain");
        await it.page.getByText(wanted).waitFor();
    };
    await it.open("Audit log");
    await verify("Chain verified");
    let found = 0;
    for (const [what, tamper] of Object.entries(TAMPERINGS)) {
        change = tamper;
        await verify(/^The chain breaks at entry/);
        if (what === "action") await it.look("broken");
        assert.equal(commandLine(entries, head), 1, `the command line finds the changed ${what}`);
        found++;
        change = () => undefined;
        await verify("Chain verified");
        if (found === 1) assert.equal(commandLine(entries, head), 0, "the command line finds nothing where nothing was changed");
    }
    console.log(`console: ${found} of ${found} changed logs were found by the page and by the command line`);
}
