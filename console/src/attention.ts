// What needs somebody. The overview lists it, and the rail counts it.
import { useApiKeys, useKeys, useMay, useNodes, usePeople, useWebhooks, type ApiKey, type Key, type Node, type Webhook } from "./data";
import { now, useCell } from "./cell";
import { of, timeOf } from "./format";

/** An API key that ends within this time is worth a look, in milliseconds. */
export const SOON = 30 * 24 * 3_600_000;

/** Whether an API key is valid now and ends soon. */
export function endsSoon(key: ApiKey, present: number): boolean {
    const end = key.hasExpireTime ? timeOf(key.expireDate) : null;
    return !key.disabled && end !== null && end > present && end - present < SOON;
}

/** Whether a webhook does not deliver although it should. */
export function failing(hook: Webhook): boolean {
    if (hook.disabled) return hook.disabledWhy !== "administrator";
    return hook.lastAt !== null && (hook.lastStatus === null || hook.lastStatus >= 300);
}

/** Everything that needs somebody, as far as the person may see it. */
export interface Attention {
    retiring: Key[];
    silent: Node[];
    silentTotal: number;
    ending: ApiKey[];
    failing: Webhook[];
    /** Whether everything that is looked at has been loaded. */
    known: boolean;
}

/** What needs somebody now. */
export function useAttention(): Attention {
    const present = useCell(now);
    const manager = useMay("manageKeys");
    const keys = useKeys();
    const silent = useNodes({ state: "silent", take: 20 });
    const apiKeys = useApiKeys();
    const hooks = useWebhooks();
    return {
        retiring: (keys.data ?? []).filter(({ state }) => state === "retiring"),
        silent: silent.data?.data ?? [],
        silentTotal: silent.data?.total ?? 0,
        ending: (apiKeys.data ?? []).filter((key) => endsSoon(key, present)),
        failing: (hooks.data ?? []).filter(failing),
        known: silent.data !== undefined && apiKeys.data !== undefined && (!manager || (keys.data !== undefined && hooks.data !== undefined)),
    };
}

/** The counts of the rail, by screen. */
export function useDue(): Record<string, { count: number; text: string }> {
    const { retiring, silentTotal, ending, failing: bad } = useAttention();
    return {
        keys: { count: retiring.length, text: `${of(retiring.length, "key")} retiring` },
        nodes: { count: silentTotal, text: `${of(silentTotal, "node")} silent` },
        "api-keys": { count: ending.length, text: `${of(ending.length, "API key")} expiring soon` },
        webhooks: { count: bad.length, text: `${of(bad.length, "webhook")} failing` },
    };
}

/** The invitations that nobody has taken yet. */
export function useOpenInvitations(): { open: number; expired: number } {
    const people = (usePeople().data ?? []).filter(({ validated, deletedAt }) => !validated && !deletedAt);
    const open = people.filter(({ invitedUntil }) => invitedUntil).length;
    return { open, expired: people.length - open };
}
