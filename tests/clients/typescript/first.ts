import createClient from "openapi-fetch";
import type { paths } from "./orgkeys.js";

const { URL: baseUrl, TOKEN: token } = process.env;
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });
const profile = await client.GET("/user/profile");
if (profile.error) throw new Error(profile.error.message);
const path = { orgId: profile.data.data.orgId };
const nodes = await client.GET("/organization/{orgId}/nodes", { params: { path } });
if (nodes.error) throw new Error(nodes.error.message);
console.log("nodes:", nodes.data.total);
for (const node of nodes.data.data) console.log(node.ip, node.status);
