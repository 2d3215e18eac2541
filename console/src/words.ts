// What happened, in words: the actions of the audit log as sentences.
import { roleName } from "./access";
import type { Entry } from "./chain";
import { useApiKeys, useKeys, useNames, useProjects, useWebhooks, keyName } from "./data";
import { of, short } from "./format";

/** The details of an entry. */
export function detailOf(entry: Entry): Record<string, unknown> {
    try {
        const detail: unknown = JSON.parse(entry.detail ?? "{}");
        return typeof detail === "object" && detail !== null ? (detail as Record<string, unknown>) : {};
    } catch {
        return {};
    }
}

/** How ids are called: what is known of people, keys, API keys, projects and webhooks. */
export function useCalled(): (id: string | null | undefined) => string | null {
    const person = useNames();
    const keys = useKeys().data ?? [];
    const apiKeys = useApiKeys().data ?? [];
    const projects = useProjects().data ?? [];
    const hooks = useWebhooks().data ?? [];
    const names = new Map<string, string>([
        ...keys.map((key) => [key.id, keyName(key)] as const),
        ...apiKeys.map((key) => [String(key.apiKeyId), key.apiKeyName] as const),
        ...projects.map(({ publicId, name }) => [publicId, name] as const),
        ...hooks.map((hook) => [hook.id, hook.name || hook.url.replace(/^https?:\/\//, "")] as const),
    ]);
    return (id) => (id ? (person(id) ?? names.get(id) ?? null) : null);
}

/** The kinds of actors. */
export const ACTORS: Record<string, string> = { user: "Person", api_key: "API key", node: "Node", system: "Server" };

/** Who did it. */
export function actorOf(entry: Entry, called: (id: string) => string | null): string {
    return entry.actorName ?? called(entry.actorId) ?? (entry.actorId ? short(entry.actorId) : "unknown");
}

/** What an entry is about, in few words. */
export function aboutOf(entry: Entry, called: (id: string | null) => string | null): string {
    const detail = detailOf(entry);
    if (typeof detail.errorCode === "string") return `${detail.errorCode}${typeof detail.count === "number" && detail.count > 1 ? `, ${detail.count} times` : ""}`;
    if (typeof detail.rule === "string") return detail.rule;
    if (typeof detail.ip === "string") return detail.ip;
    if (entry.action === "node.register" && typeof detail.keyId === "string") return `with ${called(detail.keyId) ?? short(detail.keyId)}`;
    if (entry.contextId && entry.contextId !== entry.actorId && entry.contextId !== entry.org) return called(entry.contextId) ?? short(entry.contextId);
    return "";
}

type Sentence = (what: string, detail: Record<string, unknown>) => string;

/** What the actor did, by action. */
const SENTENCES: Record<string, Sentence> = {
    "org.create": () => "created the organization",
    "org.update": () => "changed the organization",
    "user.create": (what) => `added ${what}`,
    "user.invite": (what) => `invited ${what} again`,
    "user.verify": () => "accepted the invitation",
    "user.update": (what) => `changed the name of ${what}`,
    "user.activate": (what) => `activated ${what}`,
    "user.role": (what, { newRole }) => `made ${what} ${typeof newRole === "number" ? roleName(newRole) : "something else"}`,
    "user.password": () => "changed a password",
    "user.delete": (what) => `deleted ${what}`,
    "token.create": () => "created an access token",
    "token.revoke": () => "revoked an access token",
    "token.expiring": (what, { days }) => `reports that an access token of ${what} ends in ${of(Number(days), "day")}`,
    "session.begin": () => "signed in",
    "session.reuse": () => "used a refresh token twice: the session has ended",
    "project.create": (what) => `created the project ${what}`,
    "project.update": (what) => `renamed the project ${what}`,
    "project.delete": (what) => `deleted the project ${what}`,
    "member.put": () => "changed the members of a project",
    "member.remove": () => "removed a member of a project",
    "api_key.create": (what) => `created the API key ${what}`,
    "api_key.update": (what) => `changed the API key ${what}`,
    "api_key.rotate": (what) => `rotated the API key ${what}`,
    "api_key.delete": (what) => `deleted the API key ${what}`,
    "apikey.expiring": (what, { days }) => `reports that the API key ${what} ends in ${of(Number(days), "day")}`,
    "org_key.create": (what) => `created the key ${what}`,
    "org_key.rotate": (what) => `began to rotate the key ${what}`,
    "org_key.update": (what) => `changed the key ${what}`,
    "org_key.retiring": (what, { days }) => `reports that the key ${what} retires in ${of(Number(days), "day")}`,
    "org_key.unused": (what) => `reports that no node uses the key ${what} any more`,
    "org_key.retired": (what) => `retired the key ${what}`,
    "org_key.delete": (what) => `deleted the key ${what}`,
    "org_key.delete_all": () => "deleted all keys",
    "org_key.restore": (what) => `restored the key ${what}`,
    "node.register": (what) => `registered ${what}`,
    "node.unregister": () => "unregistered",
    "node.delete": (what) => `deleted the node ${what}`,
    "node.activate": (what) => `activated the node ${what}`,
    "node.silent": (what) => `has not heard from ${what}`,
    "secret.put": (_, { name }) => `set the secret ${String(name)}`,
    "secret.delete": (_, { name }) => `deleted the secret ${String(name)}`,
    "webhook.create": (what) => `created the webhook ${what}`,
    "webhook.update": (what) => `changed the webhook ${what}`,
    "webhook.delete": (what) => `deleted the webhook ${what}`,
    "webhook.rotate": (what) => `rotated the secret of the webhook ${what}`,
    "webhook.test": (what) => `sent a test event to ${what}`,
    "webhook.replay": (what) => `sent deliveries to ${what} again`,
    "webhook.failed": (what) => `could not deliver to ${what}`,
    "webhook.disabled": (what) => `switched off the webhook ${what}`,
};

/** What the actor of an entry did. */
export function sentenceOf(entry: Entry, called: (id: string | null) => string | null): string {
    const detail = detailOf(entry);
    const sentence = SENTENCES[entry.action];
    return sentence ? sentence(aboutOf(entry, called) || "it", detail).trim() : entry.action;
}

/** The actions that can be filtered by. */
export const ACTIONS: readonly string[] = [...Object.keys(SENTENCES), "access.denied", "node.refused", "session.refused", "secret.read"].sort();
