// What the console offers to each role. The table of rights in tests/api/access.rs says that it may do it.

const MEMBER = ["Overview", "Nodes", "API keys", "Projects", "Organization"];
const WORKSPACES = ["Overview", "Nodes", "API keys", "People", "Projects", "Organization"];
const ALL = ["Overview", "Keys", "Nodes", "API keys", "People", "Projects", "Webhooks", "Audit log", "Organization"];

const NOT_THEIRS = ["Owners and administrators can see this"];
const FOR_MEMBERS = {
    keys: NOT_THEIRS,
    nodes: ["Register a node", "Copy address", "Copy id"],
    "api-keys": ["Verify a key", "No API keys yet"],
    people: ["Owners, administrators and Workspaces can see this"],
    projects: ["No projects yet"],
    webhooks: NOT_THEIRS,
    audit: NOT_THEIRS,
    organization: [],
};
const FOR_MANAGERS = {
    keys: ["Import a public key", "New key", "Rotate", "Rename", "Delete"],
    nodes: ["Register a node", "Copy address", "Copy id", "Show in the log", "Delete"],
    "api-keys": ["Verify a key", "New API key", "Show", "Edit", "Rotate", "Delete"],
    people: ["Invite", "Password and sessions", "Change name", "Show in the log"],
    projects: ["New project", "No projects yet"],
    webhooks: ["New webhook", "No webhooks yet"],
    audit: ["Export this view", "Verify the chain"],
    organization: ["Edit", "Set a secret"],
};

/** The roles, lowest first. */
export const ROLES = [
    { name: "User", role: 0, email: "user@example.org", rail: MEMBER, offered: FOR_MEMBERS },
    { name: "Billing", role: 1, email: "billing@example.org", rail: MEMBER, offered: FOR_MEMBERS },
    {
        name: "Workspaces",
        role: 2,
        email: "workspaces@example.org",
        rail: WORKSPACES,
        offered: { ...FOR_MEMBERS, people: ["Invite", "Password and sessions"], projects: ["New project", "No projects yet"] },
    },
    { name: "Administrator", role: 254, email: "administrator@example.org", rail: ALL, offered: FOR_MANAGERS },
    { name: "Owner", role: 255, email: "owner2@example.org", rail: ALL, offered: FOR_MANAGERS },
];
