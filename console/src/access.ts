// Who may do what: the page offers what the server would permit, and names the role that may do the rest.

/** The roles by number, lowest first. */
export const ROLES = [
    { id: 0, name: "User", about: "Sees the organization, its nodes and what they did themselves." },
    { id: 1, name: "Billing", about: "The same rights as User. The role exists for other systems." },
    { id: 2, name: "Workspaces", about: "Also creates projects, sees people and invites them, up to their own role." },
    { id: 254, name: "Administrator", about: "Manages everything in the organization, except owners." },
    { id: 255, name: "Owner", about: "Manages everything in the organization, including owners." },
] as const;

const WORKSPACES = 2;
const ADMINISTRATOR = 254;

/** The lowest role for each right. It mirrors the table of rights in the server. */
const LEAST = {
    manageOrganization: ADMINISTRATOR,
    manageKeys: ADMINISTRATOR,
    manageApiKeys: ADMINISTRATOR,
    manageNodes: ADMINISTRATOR,
    manageSecrets: ADMINISTRATOR,
    manageWebhooks: ADMINISTRATOR,
    readAudit: ADMINISTRATOR,
    managePeople: ADMINISTRATOR,
    seePeople: WORKSPACES,
    addPeople: WORKSPACES,
    addProjects: WORKSPACES,
} as const;

/** Something that only some roles may do. */
export type Right = keyof typeof LEAST;

/** Whether a role has a right. */
export const may = (role: number, right: Right): boolean => role >= LEAST[right];

/** The roles that have a right, in words. */
export function whoMay(right: Right): string {
    return LEAST[right] === ADMINISTRATOR ? "Owners and administrators" : "Owners, administrators and Workspaces";
}

/** The name of a role. */
export const roleName = (role: number): string => ROLES.find(({ id }) => id === role)?.name ?? `Role ${role}`;

/** The roles that somebody with `role` may give to people. */
export const rolesUpTo = (role: number): typeof ROLES[number][] => ROLES.filter(({ id }) => id <= role);
