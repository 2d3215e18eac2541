// The lists that several screens show. Each has one name, so that each is loaded once and changed everywhere.
import { useMemo } from "preact/hooks";
import { may, type Right } from "./access";
import { api, call, type Schema } from "./api/client";
import { storageFull } from "./api/transport";
import { useCell } from "./cell";
import { changed, useLoad, type Loaded } from "./load";
import { me, mine } from "./me";

export type Key = Schema["OrganizationKey"];
export type Node = Schema["NodeInfo"];
export type ApiKey = Schema["ApiKey"];
export type Person = Schema["OrganizationUser"];
export type Project = Schema["Project"];
export type Webhook = Schema["Webhook"];

/** Whether the person who has signed in has a right. */
export function useMay(right: Right): boolean {
    const person = useCell(me);
    return person !== null && may(person.orgRole, right);
}

/** Pages through a list that the server gives in parts. */
async function all<Row>(page: (skip: number) => Promise<{ rows: Row[]; total: number | null }>): Promise<Row[]> {
    const rows: Row[] = [];
    for (;;) {
        const part = await page(rows.length);
        rows.push(...part.rows);
        if (part.rows.length < TAKE || (part.total !== null && rows.length >= part.total)) return rows;
    }
}
const TAKE = 1000;

/** The organization's keys, with retired and deleted ones. */
export function useKeys(): Loaded<Key[]> {
    return useLoad(useMay("manageKeys") ? "keys" : null, async (signal) => {
        const params = { path: { idOrg: mine().orgId }, query: { retired: true } };
        return (await call(api.GET("/organization/{idOrg}/key", { params, signal }))).data;
    });
}

/** What to ask of the list of nodes. */
export interface NodeQuery {
    state?: "active" | "silent" | "deleted";
    keyId?: string;
    region?: string;
    search?: string;
    skip?: number;
    take?: number;
}

/** A page of nodes, and how many there are. */
export function useNodes(query: NodeQuery | null): Loaded<{ data: Node[]; total: number }> {
    return useLoad(query && `nodes ${JSON.stringify(query)}`, async (signal) =>
        call(api.GET("/organization/{orgId}/nodes", { params: { path: { orgId: mine().orgId }, query: query ?? {} }, signal })),
    );
}

/** All API keys that the person may see. */
export function useApiKeys(): Loaded<ApiKey[]> {
    return useLoad("api-keys", (signal) =>
        all(async (skip) => {
            const params = { path: { organizationId: mine().orgId }, query: { skip, take: TAKE } };
            const { result } = await call(api.GET("/api/organizations/{organizationId}/api-keys", { params, signal }));
            return { rows: result, total: null };
        }),
    );
}

/** All people of the organization, with deleted ones. */
export function usePeople(): Loaded<Person[]> {
    return useLoad(useMay("seePeople") ? "people" : null, (signal) =>
        all(async (skip) => {
            const { data, total } = await call(api.GET("/organization/users", { params: { query: { skip, take: TAKE } }, signal }));
            return { rows: data, total };
        }),
    );
}

/** The projects that the person may see. */
export function useProjects(): Loaded<Project[]> {
    return useLoad("projects", async (signal) => {
        const params = { path: { organizationId: mine().orgId } };
        return (await call(api.GET("/api/organizations/{organizationId}/projects", { params, signal }))).result;
    });
}

/** A project with its members. */
export function useProject(id: string | null): Loaded<Schema["ProjectWithMembers"]> {
    return useLoad(id && `project ${id}`, async (signal) =>
        (await call(api.GET("/api/projects/{projectId}", { params: { path: { projectId: id ?? "" } }, signal }))).result,
    );
}

/** Whether the person may change an API key: all of them, or those of their own projects alone. */
export function useMayChange(): (key: ApiKey) => boolean {
    const manager = useMay("manageApiKeys");
    const own = useCell(me);
    const owned = useLoad(manager ? null : "projects owned", async (signal) => {
        const params = { path: { organizationId: mine().orgId } };
        const { result } = await call(api.GET("/api/organizations/{organizationId}/projects", { params, signal }));
        const all = await Promise.all(
            result.map(({ publicId }) => call(api.GET("/api/projects/{projectId}", { params: { path: { projectId: publicId } }, signal }))),
        );
        const ours = all.filter(({ result: { members } }) => members.some(({ userId, role }) => userId === mine().id && role === "OWNER"));
        return new Set(ours.map(({ result: { publicId } }) => publicId));
    }).data;
    return (key) =>
        manager ||
        (own !== null &&
            key.roleId <= own.orgRole &&
            key.projectsNameList.length > 0 &&
            key.projectsNameList.every(({ publicId }) => owned?.has(publicId)));
}

/** The organization's webhooks. */
export function useWebhooks(): Loaded<Webhook[]> {
    return useLoad(useMay("manageWebhooks") ? "webhooks" : null, async (signal) => {
        const params = { path: { orgId: mine().orgId } };
        return (await call(api.GET("/organization/{orgId}/webhooks", { params, signal }))).data;
    });
}

/** The organization. */
export function useOrganization(): Loaded<Schema["Organization"]> {
    return useLoad("organization", async (signal) => {
        const params = { path: { orgId: mine().orgId } };
        return (await call(api.GET("/organization/{orgId}", { params, signal }))).data;
    });
}

// A read that waits for room on the disk is what finds that there is some again.
storageFull.watch((full) => full && changed("organization"));

/** A person's name, or their address if they have none. */
export const fullName = ({ name, lastName, email }: { name: string; lastName: string; email: string }): string =>
    `${name} ${lastName}`.trim() || email;

/** The names of people by id, as far as the person may see them. */
export function useNames(): (id: string) => string | null {
    const { data } = usePeople();
    const own = useCell(me);
    return useMemo(() => {
        const names = new Map((data ?? []).map((person) => [person.id, fullName(person)]));
        if (own) names.set(own.id, fullName(own));
        return (id) => names.get(id) ?? null;
    }, [data, own]);
}

/** What a key is called: its name, or its id if it has none. */
export const keyName = (key: Pick<Key, "id" | "name">): string => key.name || `${key.id.slice(0, 12)}…${key.id.slice(-4)}`;
