// Every screen, form and dialog of the console, with something in it, in light and dark.
import { writeFileSync } from "node:fs";
import { register } from "./console-page.mjs";
import { apiKey, furnished, inspect, OWNER, person, signIn, visit } from "./console-visit.mjs";

/** An organization that has one of everything. */
async function furnish(world) {
    const { api, org, url } = world;
    const { data: old } = await api("POST", `/organization/${org}/key?format=json`);
    await api("PUT", `/organization/${org}/key/${old.id}`, { name: "old" });
    writeFileSync("console-tour.pem", old.privateKey);
    for (const address of ["203.0.113.7", "203.0.113.8"]) await register(url, org, "console-tour.pem", address);
    const { data: nodes } = await api("GET", `/organization/${org}/nodes`);
    await api("DELETE", `/organization/${org}/node/${nodes[1].id}`);
    const { data: young } = await api("POST", `/organization/${org}/key/${old.id}/rotate?format=json`, { name: "young", overlapSeconds: 432_000 });
    const { data: gone } = await api("POST", `/organization/${org}/key?format=json`);
    await api("DELETE", `/organization/${org}/key/${gone.id}`);
    const soon = { hasExpireTime: true, expireDateTime: new Date(Date.now() + 4 * 86_400_000).toISOString() };
    const key = await apiKey(world, "billing", soon);
    const grace = await person(world, "grace@example.org", 2);
    const left = await person(world, "left@example.org", 0, "Lin");
    await api("DELETE", `/organization/users/${left.id}`);
    const { result: project } = await api("POST", `/api/organizations/${org}/projects`, { name: "Build" });
    await api("PUT", `/api/projects/${project.publicId}/members/${grace.id}`, { role: "EDITOR" });
    const { data: hook } = await api("POST", `/organization/${org}/webhooks`, { url: "https://hooks.example.org/in", name: "SIEM" });
    await api("PUT", `/organization/${org}/webhooks/${hook.id}`, { disabled: true });
    await api("PUT", `/organization/${org}/secrets/s3`, { text: "KEY=1" });
    return { old: old.id, young: young.id, gone: gone.id, key: key.id, grace: grace.id, project: project.publicId, hook: hook.id };
}

/** What there is to see, by URL. */
const PLACES = ({ old, young, gone, key, grace, project, hook }) => [
    "",
    ...["keys", "keys/new", "keys/import", "keys?show=past"],
    ...[`keys/${old}`, `keys/${old}/end`, `keys/${young}/rename`, `keys/${young}/rotate`, `keys/${gone}`],
    ...["nodes", "nodes/register", "nodes?state=silent", "nodes?state=deleted", "nodes?search=nothing"],
    ...["api-keys", "api-keys/new", "api-keys/verify", "api-keys?search=nothing", "api-keys/999999"],
    ...[`api-keys/${key}`, `api-keys/${key}/edit`, `api-keys/${key}/rotate`],
    ...["people", "people/invite", `people/${grace}/role`, `people/${grace}/name`, "people?show=deleted", "people?search=nothing"],
    ...["projects", "projects/new", `projects/${project}`, `projects/${project}/rename`, `projects/${project}/add`],
    ...["webhooks", "webhooks/new", `webhooks/${hook}`, `webhooks/${hook}/edit`, `webhooks/${hook}/rotate`, "webhooks/webhook-none"],
    ...["audit", "audit?action=webhook.gone"],
    ...["organization", "organization/edit", "organization/secret"],
    ...["account", "account/password", "account/name", "account/token", "nowhere"],
];

/** The dialogs that ask before something is deleted: the screen, and what is pressed on it. */
const DIALOGS = ({ key, project, hook }) => [
    ["keys", (it) => it.menu("young", "Delete")],
    ["nodes", (it) => it.menu("203.0.113.8", "Delete")],
    [`api-keys/${key}`, (it) => it.press("button", "Delete")],
    ["people", (it) => it.menu("Grace Sample", "Delete")],
    [`projects/${project}`, (it) => it.press("button", "Delete project")],
    [`webhooks/${hook}`, (it) => it.press("button", "Delete webhook")],
    ["organization", (it) => it.press("button", /^Delete s3/)],
];

/** Looks at all of them. The motion that the system asks for is none. */
export async function tour(browser) {
    const world = await furnished();
    try {
        const ids = await furnish(world);
        await inspect(await signIn(browser, world.url, OWNER, { reducedMotion: "reduce" }), "every screen, form and dialog, in light and dark", async (it) => {
            for (const place of PLACES(ids)) {
                await visit(it, place);
                await it.look(place);
            }
            for (const [place, open] of DIALOGS(ids)) {
                await visit(it, place);
                await it.settled();
                await open(it);
                await it.dialog().waitFor();
                await it.look(`${place}, deletion`);
                await it.page.keyboard.press("Escape");
                await it.dialog().waitFor({ state: "detached" });
            }
        });
    } finally {
        await world.stop();
    }
}
