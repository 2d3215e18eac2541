// Checks that the console calls every operation of the OpenAPI document, or says why it does not.
// usage: node console/operations.mjs DOCUMENT
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The operations that the console does not call, and why. */
const NOT_CALLED = {
    loginUser: "a browser signs in with createWebSession",
    refreshSession: "a web session needs no refresh token",
    logoutUser: "a browser signs out with deleteWebSession",
    getAccount: "getProfile answers the same for one's own account",
    getUser: "listUsers has every person",
    getWebhook: "listWebhooks has every webhook",
    findNodes: "listNodes has more filters",
    registerNode: "a node signs it; the console shows the lines",
    unregisterNode: "a node signs it",
    fetchSecrets: "a node signs it",
    verifyPresentedApiKey: "a reverse proxy calls it",
    listSystemEvents: "listAuditEntries has them, with the chain",
    markSystemEventsRead: "the console marks nothing as read",
    markSystemEventsUnread: "the console marks nothing as read",
    getHealth: "getReadiness says more",
    getMetrics: "it is for Prometheus",
};

const here = dirname(fileURLToPath(import.meta.url));
const source = readdirSync(join(here, "src"), { recursive: true })
    .filter((name) => /\.tsx?$/.test(name) && !name.endsWith(".d.ts"))
    .map((name) => readFileSync(join(here, "src", name), "utf8"))
    .join("\n");
const document = JSON.parse(readFileSync(process.argv[2], "utf8"));
const problems = [];
const known = new Set();
for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, { operationId }] of Object.entries(methods)) {
        if (!operationId) continue;
        known.add(operationId);
        const called = source.includes(`.${method.toUpperCase()}("${path}"`);
        if (called && NOT_CALLED[operationId]) problems.push(`${operationId} is called, but stands among those that are not`);
        if (!called && !NOT_CALLED[operationId]) problems.push(`${operationId} is not called, and nothing says why`);
    }
}
for (const name of Object.keys(NOT_CALLED)) if (!known.has(name)) problems.push(`there is no operation ${name}`);
for (const problem of problems) console.error(`console: ${problem}`);
process.exitCode = problems.length > 0 ? 1 : 0;
