// The scenario, with the generated types: a user signs in and creates a key, and a node registers with it.

import assert from "node:assert/strict";
import { sign } from "node:crypto";
import createClient from "openapi-fetch";
import type { components, paths } from "./orgkeys.js";

const baseUrl = process.env.URL!;
const anybody = createClient<paths>({ baseUrl });
const as = (token: string) => createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });
const owner = as(process.env.TOKEN!);
const password = "five quiet owls";

/** The data of an answer that must have succeeded. */
function data<T>(answer: { data?: T; error?: unknown }): T {
  assert.equal(answer.error, undefined, JSON.stringify(answer.error));
  return answer.data!;
}

/** The error of an answer that must have failed. */
function error<E>(answer: { error?: E }): E {
  assert.notEqual(answer.error, undefined);
  return answer.error!;
}

// A user is added and signs in.
const org = data(await owner.GET("/user/profile")).data.orgId;
const body = { email: "ada@example.org", firstName: "Ada", lastName: "Ärzte", password, orgRole: 254 };
const added = data(await owner.POST("/organization/users", { body })).data;
assert.equal(added.lastName, "Ärzte");
const session = data(await anybody.POST("/user/login", { body: { email: "ADA@example.org", password } }));
const ada = as(session.accessToken);

// The user creates a key, and a node registers with it.
const idOrg = { path: { idOrg: org } };
const made = await ada.POST("/organization/{idOrg}/key", { params: { ...idOrg, query: { format: "json" } } });
const minted = data(made);
assert.ok(typeof minted !== "string", "JSON was asked for, not a PEM file");
const { id: keyId, privateKey } = minted.data;

function registration(privateKey: string): components["schemas"]["NodeRegistration"] {
  const [ip, region, timestamp] = ["203.0.113.7", "eu-central-1", Math.floor(Date.now() / 1000)];
  const signature = sign("sha256", Buffer.from(`${ip}|${region}|${timestamp}`), privateKey).toString("base64");
  return { ip, region, timestamp, signature, status: "active", version: "1.0.0", id_org: org, provider: "AWS" };
}

let signed = registration(privateKey);
const node = data(await anybody.POST("/register", { body: signed })).data;
assert.deepEqual([node.ip, node.keyId], ["203.0.113.7", keyId]);
const nodes = data(await ada.GET("/organization/{orgId}/nodes", { params: { path: { orgId: org } } }));
assert.deepEqual([nodes.total, nodes.data[0].id], [1, node.id]);
const keys = data(await ada.GET("/organization/{idOrg}/key", { params: idOrg })).data;
assert.deepEqual(keys[0].nodeKeys.map((beside) => [beside.keyId, beside.nodeId]), [[keyId, "203.0.113.7"]]);

// The key is rotated, and ends when the node has moved to the successor.
const rotated = data(
  await ada.POST("/organization/{idOrg}/key/{idKey}/rotate", {
    params: { path: { idOrg: org, idKey: keyId }, query: { format: "json" } },
    body: { overlapSeconds: 3600 },
  }),
);
assert.ok(typeof rotated !== "string", "JSON was asked for, not a PEM file");
signed = registration(rotated.data.privateKey!);
assert.equal(data(await anybody.POST("/register", { body: signed })).data.keyId, rotated.data.id);
const all = data(await ada.GET("/organization/{idOrg}/key", { params: { ...idOrg, query: { retired: true } } })).data;
assert.deepEqual(all.map((key) => [key.id, key.state]), [[rotated.data.id, "active"], [keyId, "retired"]]);

// A service gets an API key and has it verified.
const organizationId = { path: { organizationId: org } };
const { id: apiKeyId, apiKey, name } = data(
  await ada.POST("/api/organizations/{organizationId}/api-keys", {
    params: organizationId,
    body: { listProjectsId: [], roleId: 0, userApiKey: { apiName: "東京", hasExpireTime: false } },
  }),
).result;
assert.equal(name, "東京");
const verify = async () => data(await ada.POST("/api/api-keys/verify", { body: { apiKey } })).result;
let verdict = await verify();
assert.deepEqual([verdict.valid, verdict.code, verdict.apiKeyId, verdict.expireDate], [true, "VALID", apiKeyId, null]);

// The audit log has the events.
const { events } = data(await ada.POST("/systemevent", { body: { take: 100 } }));
const kinds = new Set(events.map((event) => `${event.context} ${event.event}`));
for (const wanted of ["user created", "orgkey created", "flashbacknode created", "apikey created"]) {
  assert.ok(kinds.has(wanted), wanted);
}

// Three refusals, read through their types.
const replayed = error(await anybody.POST("/register", { body: signed }));
assert.equal(replayed.errorCode, "SIGNATURE_REPLAYED");
assert.match(replayed.errorMessage!, /sign/i);
const wrong = { email: "ada@example.org", password: "not that one at all" };
const refused = error(await anybody.POST("/user/login", { body: wrong }));
assert.equal(refused.errorCode, "INVALID_CREDENTIALS");
const apiKeyOf = (id: number) => ({ params: { path: { organizationId: org, id: String(id) } } });
const missing = error(await ada.DELETE("/api/organizations/{organizationId}/api-keys/{id}", apiKeyOf(999999)));
assert.deepEqual([missing.statusCode, missing.resultInfo, missing.result], [404, "API_KEY_NOT_FOUND", null]);

// Everything is deleted again.
data(await ada.DELETE("/api/organizations/{organizationId}/api-keys/{id}", apiKeyOf(apiKeyId)));
verdict = await verify();
assert.deepEqual([verdict.valid, verdict.code], [false, "NOT_FOUND"]);
const done = data(await ada.DELETE("/organization/{idOrg}/key", { params: idOrg }));
assert.equal(done.message, "Successfully deleted 2 organization key(s)");
console.log("typescript: the scenario passed");
