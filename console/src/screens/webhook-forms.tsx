// Forms around webhooks: create, edit, rotate the secret.
import { useState } from "preact/hooks";
import { api, call } from "../api/client";
import type { Webhook } from "../data";
import { changed, useAction } from "../load";
import { mine } from "../me";
import { go } from "../route";
import { Check, Field, Form, Input, Select, textOf } from "../ui/form";
import { showSecret } from "../ui/secret";
import { CONTEXTS, EVENTS, place } from "./webhooks";

const refresh = (): void => changed("webhook");

function showWebhookSecret(hook: Webhook & { secret: string }): void {
    showSecret({
        title: "Store the webhook's secret",
        about: `The receiver of ${place(hook)} verifies with it that a delivery is from you. It is shown only now.`,
        label: "The secret",
        value: hook.secret,
        file: { name: `${hook.id}.env`, text: `ORGKEYS_WEBHOOK_SECRET=${hook.secret}\n`, button: "Download .env line" },
    });
}

/** The choices of what is sent. None means all. */
function Filters({ contexts, setContexts, events, setEvents }: {
    contexts: number[];
    setContexts: (contexts: number[]) => void;
    events: number[];
    setEvents: (events: number[]) => void;
}) {
    const choices = (label: string, all: string, options: readonly (readonly [number, string])[], chosen: number[], set: (chosen: number[]) => void) => (
        <fieldset class="form">
            <legend>{label}</legend>
            {chosen.length === 0 && <p class="help">{all}</p>}
            <div class="ticklist">
                {options.map(([id, name]) => (
                    <Check key={id} checked={chosen.includes(id)} onChange={(on) => set(on ? [...chosen, id] : chosen.filter((each) => each !== id))}>
                        {name}
                    </Check>
                ))}
            </div>
        </fieldset>
    );
    return (
        <>
            {choices("About", "Everything. Tick what to restrict it to.", CONTEXTS, contexts, setContexts)}
            {choices("When it was", "Created, updated or deleted.", EVENTS, events, setEvents)}
        </>
    );
}

/** The form for a new webhook. */
export function NewWebhook() {
    const [url, setUrl] = useState("https://");
    const [name, setName] = useState("");
    const [contexts, setContexts] = useState<number[]>([]);
    const [events, setEvents] = useState<number[]>([]);
    const { busy, problem, run } = useAction();
    if (problem?.lost) problem.message = "The answer was lost. If the list shows the new webhook, rotate its secret: it was never shown.";
    const submit = (): void =>
        run(async () => {
            try {
                const body = { url: url.trim(), name: name.trim(), contexts, events };
                const { data } = await call(api.POST("/organization/{orgId}/webhooks", { params: { path: { orgId: mine().orgId } }, body }));
                go(`webhooks/${data.id}`);
                showWebhookSecret(data);
            } finally {
                refresh();
            }
        });
    return (
        <Form title="New webhook" submit="Create webhook" busy={busy} problem={problem} onSubmit={submit} onCancel={() => go("webhooks")}>
            <div class="pair">
                <Field label="URL" help="https. Private addresses only if the server’s setting webhook_allow names them.">
                    <Input type="url" required maxLength={2048} autocomplete="off" value={url} onInput={(event) => setUrl(textOf(event))} />
                </Field>
                <Field label="Name" help="What receives it.">
                    <Input type="text" maxLength={100} autocomplete="off" value={name} onInput={(event) => setName(textOf(event))} />
                </Field>
            </div>
            <Filters contexts={contexts} setContexts={setContexts} events={events} setEvents={setEvents} />
        </Form>
    );
}

/** The form that changes a webhook. */
export function EditWebhook({ of: hook }: { of: Webhook }) {
    const [url, setUrl] = useState(hook.url);
    const [name, setName] = useState(hook.name);
    const [contexts, setContexts] = useState<number[]>([...hook.contexts]);
    const [events, setEvents] = useState<number[]>([...hook.events]);
    const { busy, problem, run } = useAction();
    const back = (): void => go(`webhooks/${hook.id}`);
    const submit = (): void =>
        run(async () => {
            const body = { url: url.trim(), name: name.trim(), contexts, events };
            await call(api.PUT("/organization/{orgId}/webhooks/{webhookId}", { params: { path: { orgId: mine().orgId, webhookId: hook.id } }, body }));
            refresh();
            back();
        });
    return (
        <Form title={`Edit ${place(hook)}`} submit="Save" busy={busy} problem={problem} onSubmit={submit} onCancel={back}>
            <div class="pair">
                <Field label="URL">
                    <Input type="url" required maxLength={2048} autocomplete="off" value={url} onInput={(event) => setUrl(textOf(event))} />
                </Field>
                <Field label="Name">
                    <Input type="text" maxLength={100} autocomplete="off" value={name} onInput={(event) => setName(textOf(event))} />
                </Field>
            </div>
            <Filters contexts={contexts} setContexts={setContexts} events={events} setEvents={setEvents} />
        </Form>
    );
}

const OVERLAPS = [
    ["86400", "for 24 hours"],
    ["604800", "for 7 days"],
    ["3600", "for 1 hour"],
    ["0", "not at all: it may be in the wrong hands"],
] as const;

/** The form that replaces a webhook's secret. */
export function RotateWebhook({ of: hook }: { of: Webhook }) {
    const [overlap, setOverlap] = useState("86400");
    const { busy, problem, run } = useAction();
    if (problem?.lost) problem.message = "The answer was lost. If the secret was rotated, the new one was never shown: rotate it again.";
    const back = (): void => go(`webhooks/${hook.id}`);
    const submit = (): void =>
        run(async () => {
            try {
                const params = { path: { orgId: mine().orgId, webhookId: hook.id } };
                const body = { overlapSeconds: Number(overlap) };
                const { data } = await call(api.POST("/organization/{orgId}/webhooks/{webhookId}/rotate-secret", { params, body }));
                back();
                showWebhookSecret(data);
            } finally {
                refresh();
            }
        });
    return (
        <Form
            title={`Rotate the secret of ${place(hook)}`}
            about="Deliveries are signed with both secrets meanwhile, so that the receiver can change over without losing one."
            submit="Rotate secret"
            busy={busy}
            problem={problem}
            onSubmit={submit}
            onCancel={back}
        >
            <Field label="The old secret stays valid">
                <Select options={OVERLAPS} value={overlap} onChange={(event) => setOverlap(textOf(event))} />
            </Field>
        </Form>
    );
}
