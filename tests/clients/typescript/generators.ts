// A call through the client of each of the other generators: that their clients compile is half of the test.

import assert from "node:assert/strict";
import { client } from "./hey-api/client.gen.js";
import { verifyApiKey as verifyWithHeyApi } from "./hey-api/index.js";
import { verifyApiKey as verifyWithOrval } from "./orval.js";
import { Api } from "./swagger-typescript-api.js";

const baseUrl = process.env.URL!;
const headers = { Authorization: `Bearer ${process.env.TOKEN}` };
const question = { apiKey: "oka_unknown" };

// The requests of orval's client name no server, as pages of that server would want it.
const { fetch } = globalThis;
globalThis.fetch = (path, options) => fetch(typeof path === "string" ? new URL(path, baseUrl) : path, options);
const orval = await verifyWithOrval(question, { headers });
assert.ok(orval.status === 200, JSON.stringify(orval));
assert.equal(orval.data.result.code, "NOT_FOUND");
console.log("orval: the client compiles, and a call succeeds");

client.setConfig({ baseUrl, headers });
const heyApi = await verifyWithHeyApi({ body: question, throwOnError: true });
assert.equal(heyApi.data.result.code, "NOT_FOUND");
console.log("hey-api: the client compiles, and a call succeeds");

const swagger = await new Api({ baseUrl }).api.verifyApiKey(question, { headers });
assert.equal(swagger.data.result.code, "NOT_FOUND");
console.log("swagger-typescript-api: the client compiles, and a call succeeds");
