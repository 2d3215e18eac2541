// One webhook and its deliveries.
import { useEffect, useState } from "preact/hooks";
import { api, call, type Schema } from "../api/client";
import { useCell } from "../cell";
import { useMay, useWebhooks, type Webhook } from "../data";
import { count, timeOf } from "../format";
import { changed, useAction, useLoad } from "../load";
import { mine } from "../me";
import { go, route, to } from "../route";
import { Banner, ProblemBanner, toast } from "../ui/banner";
import { Pick, Toolbar } from "../ui/filters";
import { Button } from "../ui/form";
import { Badge } from "../ui/icon";
import { PAGE, Pager, pageOf, Shown, Table, type Column } from "../ui/table";
import { Chip, Time } from "../ui/text";
import { NotYours, Page } from "./page";
import { EditWebhook, RotateWebhook } from "./webhook-forms";
import { DeleteWebhook, place, sends, sendTest, toggle, WebhookState } from "./webhooks";

type Delivery = Schema["WebhookDelivery"];

const COLUMNS: readonly Column<Delivery>[] = [
    {
        name: "Event",
        show: ({ eventId, createdAt }) => (
            <>
                <span class="name">No. {count(eventId)}</span>
                <span class="sub">
                    <Time at={createdAt} />
                </span>
            </>
        ),
    },
    {
        name: "State",
        kind: "bare state",
        show: ({ state }) =>
            state === "delivered" ? (
                <Badge tone="ok" glyph="on">
                    Delivered
                </Badge>
            ) : state === "failed" ? (
                <Badge tone="bad" glyph="cross">
                    Failed
                </Badge>
            ) : (
                <Badge tone="plain" glyph="ring">
                    Waiting
                </Badge>
            ),
    },
    { name: "Tries", show: ({ attempts }) => `${attempts} of 10` },
    { name: "Next try", show: ({ nextAttemptAt }) => <Time at={nextAttemptAt} none="none" below /> },
    {
        name: "Answer",
        show: ({ lastStatus, lastWhy, attempts }) => (
            <>
                {lastStatus ?? (attempts === 0 ? "not tried yet" : "none")}
                {lastWhy && <span class="sub">{lastWhy}</span>}
            </>
        ),
    },
];

const DAY = 86_400_000;

/** The screen of a webhook. */
export function WebhookScreen({ id, part }: { id: string; part: string | undefined }) {
    const manager = useMay("manageWebhooks");
    const hooks = useWebhooks();
    const acting = useAction();
    const [deleting, setDeleting] = useState(false);
    if (!manager) return <NotYours title="Webhook" right="manageWebhooks" />;
    const hook = hooks.data?.find((each) => each.id === id);
    const again = (): void =>
        acting.run(async () => {
            const params = { path: { orgId: mine().orgId, webhookId: id } };
            const body = { since: new Date(Date.now() - 30 * DAY).toISOString() };
            const { data } = await call(api.POST("/organization/{orgId}/webhooks/{webhookId}/replay", { params, body }));
            toast.set({ text: data.count === 0 ? "No delivery has failed." : `${count(data.count)} deliveries are sent again.${data.more ? " More remain: press again." : ""}` });
            changed("webhook");
        });
    return (
        <Page
            title={hook ? place(hook) : "Webhook"}
            about={hooks.data && !hook ? "There is no such webhook, or it was deleted." : hook?.url}
            crumb={{ href: "#/webhooks", name: "Webhooks" }}
            problem={acting.problem}
            actions={
                hook && (
                    <>
                        <a class="btn" href={to(`webhooks/${id}/edit`)}>
                            Edit
                        </a>
                        <a class="btn" href={to(`webhooks/${id}/rotate`)}>
                            Rotate secret
                        </a>
                        <Button writes busy={acting.busy} why={hook.disabled ? "The webhook is switched off" : null} onClick={() => acting.run(() => sendTest(hook))}>
                            Send a test event
                        </Button>
                    </>
                )
            }
        >
            <Shown of={hooks}>
                {() =>
                    hook && (
                        <>
                            {part === "edit" && <EditWebhook key={id} of={hook} />}
                            {part === "rotate" && <RotateWebhook key={id} of={hook} />}
                            {hook.disabled && (
                                <Banner
                                    tone={hook.disabledWhy === "administrator" ? undefined : "bad"}
                                    action={
                                        <Button writes busy={acting.busy} onClick={() => acting.run(() => toggle(hook))}>
                                            Switch on
                                        </Button>
                                    }
                                >
                                    <b>This webhook is switched off.</b> Nothing is sent to it.
                                </Banner>
                            )}
                            <dl class="facts">
                                <dt>State</dt>
                                <dd>
                                    <WebhookState of={hook} />
                                </dd>
                                <dt>Sends</dt>
                                <dd>{sends(hook)}</dd>
                                <dt>Last attempt</dt>
                                <dd>
                                    <Time at={hook.lastAt} below />
                                </dd>
                                {hook.previousSecretUntil && (
                                    <>
                                        <dt>Old secret</dt>
                                        <dd>
                                            valid until <Time at={hook.previousSecretUntil} below />
                                        </dd>
                                    </>
                                )}
                                <dt>Created</dt>
                                <dd>
                                    <Time at={hook.createdAt} />
                                </dd>
                                <dt>Id</dt>
                                <dd>
                                    <Chip text={hook.id} what="webhook id" />
                                </dd>
                            </dl>
                            <Deliveries of={hook} again={again} busy={acting.busy} />
                            <div class="row">
                                {!hook.disabled && (
                                    <Button writes busy={acting.busy} onClick={() => acting.run(() => toggle(hook))}>
                                        Switch off
                                    </Button>
                                )}
                                <Button kind="danger" onClick={() => setDeleting(true)}>
                                    Delete webhook
                                </Button>
                            </div>
                            {deleting && <DeleteWebhook of={hook} onClose={() => setDeleting(false)} done={() => go("webhooks")} />}
                        </>
                    )
                }
            </Shown>
        </Page>
    );
}

const STATES = [
    ["pending", "Waiting"],
    ["failed", "Failed"],
    ["delivered", "Delivered"],
] as const;

function Deliveries({ of: hook, again, busy }: { of: Webhook; again: () => void; busy: boolean }) {
    const { query } = useCell(route);
    const state = STATES.map(([value]) => value).find((value) => value === query.get("state"));
    const page = pageOf(query);
    const acting = useAction();
    const path = { orgId: mine().orgId, webhookId: hook.id };
    const deliveries = useLoad(`webhook ${hook.id} ${state ?? ""} ${page}`, (signal) =>
        call(
            api.GET("/organization/{orgId}/webhooks/{webhookId}/deliveries", {
                params: { path, query: { skip: page * PAGE, take: PAGE, ...(state ? { state } : {}) } },
                signal,
            }),
        ),
    );
    // An outcome is known a moment after its attempt.
    const next = Math.min(...(deliveries.data?.data ?? []).map(({ nextAttemptAt }) => timeOf(nextAttemptAt) ?? Infinity));
    useEffect(() => {
        if (next === Infinity) return;
        const timer = setTimeout(() => changed("webhook"), Math.max(2000, next - Date.now() + 1000));
        return () => clearTimeout(timer);
    }, [next, deliveries.at]);
    const replay = (delivery: Delivery): void =>
        acting.run(async () => {
            const params = { path: { ...path, deliveryId: delivery.id } };
            await call(api.POST("/organization/{orgId}/webhooks/{webhookId}/deliveries/{deliveryId}/replay", { params }));
            changed("webhook");
            setTimeout(() => changed("webhook"), 1500);
        });
    return (
        <section aria-labelledby="deliveries">
            <div class="head">
                <h2 id="deliveries">Deliveries</h2>
                <div class="row">
                    <Button writes busy={busy} onClick={again}>
                        Send failed again
                    </Button>
                </div>
            </div>
            <Toolbar label="Filter deliveries" path={`webhooks/${hook.id}`} set={state !== undefined}>
                <Pick label="State" any="Any state" name="state" value={state ?? ""} options={STATES} />
            </Toolbar>
            {acting.problem && <ProblemBanner problem={acting.problem} />}
            <Shown of={deliveries}>
                {({ data, total }) =>
                    data.length === 0 ? (
                        <p class="quiet gap">None.</p>
                    ) : (
                        <>
                            <Table
                                caption="Deliveries"
                                columns={COLUMNS}
                                rows={data}
                                id={({ id }) => id}
                                actions={(delivery) =>
                                    delivery.state === "failed" || delivery.state === "delivered" ? (
                                        <Button writes small busy={acting.busy} label={`Send again: event ${delivery.eventId}`} onClick={() => replay(delivery)}>
                                            Send again
                                        </Button>
                                    ) : null
                                }
                            />
                            <Pager page={page} total={total} note="Answers are kept as a status only, never their text." />
                        </>
                    )
                }
            </Shown>
        </section>
    );
}
