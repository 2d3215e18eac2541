// The list of webhooks.
import { useState } from "preact/hooks";
import { failing } from "../attention";
import { api, call } from "../api/client";
import { useMay, useWebhooks, type Webhook } from "../data";
import { list } from "../format";
import { changed, useAction } from "../load";
import { mine } from "../me";
import { to } from "../route";
import { toast } from "../ui/banner";
import { ConfirmDelete } from "../ui/dialog";
import { Badge } from "../ui/icon";
import { Empty, Menu, Shown, Table, type Column } from "../ui/table";
import { Command, Time } from "../ui/text";
import { NewLink, NotYours, Page } from "./page";
import { NewWebhook } from "./webhook-forms";

/** What a webhook can be about, by number. */
export const CONTEXTS = [
    [10, "keys"],
    [9, "nodes"],
    [6, "API keys"],
    [3, "people"],
    [0, "projects"],
    [5, "project members"],
    [4, "the organization"],
    [8, "webhooks and secrets"],
] as const;

/** What can happen to it, by number. */
export const EVENTS = [
    [0, "created"],
    [1, "updated"],
    [2, "deleted"],
] as const;

/** The filters of a webhook in words. */
export function sends({ contexts, events }: Webhook): string {
    const about = CONTEXTS.filter(([id]) => contexts.includes(id)).map(([, name]) => name);
    const what = EVENTS.filter(([id]) => events.includes(id)).map(([, name]) => name);
    if (contexts.length === 0 && events.length === 0) return "every event";
    return `${contexts.length === 0 ? "everything" : list(about)}: ${events.length === 0 ? "all events" : list(what)}`;
}

/** A URL without its scheme: what tells webhooks apart. */
export const place = (hook: Webhook): string => hook.name || hook.url.replace(/^https?:\/\//, "");

const WHY: Record<string, string> = {
    administrator: "by an administrator",
    gone: "the receiver is gone (410)",
    overfull: "too many deliveries were waiting",
};

/** The state of a webhook, and why. */
export function WebhookState({ of: hook }: { of: Webhook }) {
    const answer = hook.lastAt === null ? "nothing sent yet" : hook.lastStatus === null ? (hook.lastWhy ?? "no answer") : `answers ${hook.lastStatus}`;
    if (hook.disabled) {
        return (
            <>
                <Badge tone={hook.disabledWhy === "administrator" ? "off" : "bad"} glyph="slash">
                    Switched off
                </Badge>
                <span class="sub">{WHY[hook.disabledWhy ?? ""] ?? ""}</span>
            </>
        );
    }
    return failing(hook) ? (
        <>
            <Badge tone="bad" glyph="cross">
                Failing
            </Badge>
            <span class="sub">{answer}</span>
        </>
    ) : (
        <>
            <Badge tone="ok" glyph="on">
                {hook.lastAt === null ? "Waiting for events" : "Delivering"}
            </Badge>
            <span class="sub">{answer}</span>
        </>
    );
}

const COLUMNS: readonly Column<Webhook>[] = [
    {
        name: "Sends to",
        show: (hook) => (
            <>
                <a class="name" href={to(`webhooks/${hook.id}`)}>
                    {place(hook)}
                </a>
                <span class="sub">{sends(hook)}</span>
            </>
        ),
    },
    { name: "State", kind: "bare state", show: (hook) => <WebhookState of={hook} /> },
    { name: "Last attempt", show: (hook) => <Time at={hook.lastAt} below /> },
];

/** Sends an event that only this webhook gets. */
export async function sendTest(hook: Webhook): Promise<void> {
    await call(api.POST("/organization/{orgId}/webhooks/{webhookId}/test", { params: { path: { orgId: mine().orgId, webhookId: hook.id } } }));
    toast.set({ text: `A test event is being sent to ${place(hook)}.` });
    changed("webhook");
    // Its outcome is known a moment later.
    setTimeout(() => changed("webhook"), 1500);
}

/** Switches a webhook on or off. */
export async function toggle(hook: Webhook): Promise<void> {
    const params = { path: { orgId: mine().orgId, webhookId: hook.id } };
    await call(api.PUT("/organization/{orgId}/webhooks/{webhookId}", { params, body: { disabled: !hook.disabled } }));
    changed("webhook");
}

/** The screen of webhooks. */
export function Webhooks({ part }: { part: string | undefined }) {
    const manager = useMay("manageWebhooks");
    const hooks = useWebhooks();
    const acting = useAction();
    const [deleting, setDeleting] = useState<Webhook | null>(null);
    if (!manager) return <NotYours title="Webhooks" right="manageWebhooks" />;
    const create = <NewLink href="#/webhooks/new">New webhook</NewLink>;
    return (
        <Page
            title="Webhooks"
            about="Each event is sent to your URL, signed as Standard Webhooks says. An organization can have 10."
            actions={create}
            problem={acting.problem}
        >
            {part === "new" && <NewWebhook />}
            <Shown of={hooks}>
                {(all) =>
                    all.length === 0 ? (
                        part !== "new" && (
                            <Empty
                                icon="webhook"
                                title="No webhooks yet"
                                action={create}
                                command={<Command>orgkeys webhook create --url https://hooks.example.org/orgkeys</Command>}
                            >
                                Tell another system when something changes here: a chat, a ticket system, a SIEM.
                            </Empty>
                        )
                    ) : (
                        <Table
                            caption="Webhooks"
                            columns={COLUMNS}
                            rows={all}
                            id={({ id }) => id}
                            actions={(hook) => (
                                <Menu
                                    of={`Actions for ${place(hook)}`}
                                    actions={[
                                        !hook.disabled && { name: "Send a test event", act: () => acting.run(() => sendTest(hook)), writes: true },
                                        { name: "Edit", href: to(`webhooks/${hook.id}/edit`) },
                                        { name: "Rotate secret", href: to(`webhooks/${hook.id}/rotate`) },
                                        { name: hook.disabled ? "Switch on" : "Switch off", act: () => acting.run(() => toggle(hook)), writes: true },
                                        { name: "Delete", act: () => setDeleting(hook), danger: true },
                                    ]}
                                />
                            )}
                        />
                    )
                }
            </Shown>
            {deleting && <DeleteWebhook of={deleting} onClose={() => setDeleting(null)} />}
        </Page>
    );
}

/** Asks before a webhook is deleted. */
export function DeleteWebhook({ of: hook, onClose, done }: { of: Webhook; onClose: () => void; done?: () => void }) {
    return (
        <ConfirmDelete
            title={`Delete ${place(hook)}?`}
            about="Its pending deliveries are dropped and its history goes with it. To stop it for a while, switch it off."
            what="Delete webhook"
            act={async () => {
                await call(api.DELETE("/organization/{orgId}/webhooks/{webhookId}", { params: { path: { orgId: mine().orgId, webhookId: hook.id } } }));
                toast.set({ text: `${place(hook)} was deleted.` });
            }}
            refresh={["webhook"]}
            done={done}
            onClose={onClose}
        />
    );
}
