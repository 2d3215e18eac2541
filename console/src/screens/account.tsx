// One's own account: name, password, sessions and access tokens.
import { useState } from "preact/hooks";
import { api, call, type Schema } from "../api/client";
import { useCell } from "../cell";
import { roleName } from "../access";
import { changed, useAction, useLoad } from "../load";
import { leave, me, meet, mine } from "../me";
import { toast } from "../ui/banner";
import { Button, Field, Form, Input, Select, textOf } from "../ui/form";
import { showSecret } from "../ui/secret";
import { Shown, Table, type Column } from "../ui/table";
import { Time } from "../ui/text";
import { Page } from "./page";
import { SERVER } from "../session";

type Item = Schema["TokenItem"];

const NAME: Column<Item> = {
    name: "Name",
    show: (item) => (
        <>
            <span class="name">{item.name ?? item.deviceInfo ?? (item.type === "session" ? "A program" : "Access token")}</span>
            {item.current && <span class="sub">this one</span>}
        </>
    ),
};
const LAST: Column<Item> = { name: "Last used", show: (item) => <Time at={item.lastUsed} below /> };
const SINCE: Column<Item> = { name: "Since", show: (item) => <Time at={item.createdAt} />, kind: "opt" };
const ENDS: Column<Item> = { name: "Ends", show: (item) => <Time at={item.expiresAt} /> };

/** The screen of one's own account. */
export function Account({ part }: { part: string | undefined }) {
    const own = useCell(me);
    const items = useLoad("sessions", async (signal) => (await call(api.GET("/token", { signal }))).tokens);
    const ending = useAction();
    if (!own) return null;
    const end = (item: Item): void =>
        ending.run(async () => {
            await call(api.DELETE("/token/{tokenId}", { params: { path: { tokenId: item.id } } }));
            if (item.current) leave();
            else changed("sessions");
        });
    const others = (items.data ?? []).filter(({ type, current }) => type === "session" && !current);
    const endOthers = (): void =>
        ending.run(async () => {
            try {
                for (const { id } of others) await call(api.DELETE("/token/{tokenId}", { params: { path: { tokenId: id } } }));
                toast.set({ text: "You are signed out everywhere else." });
            } finally {
                changed("sessions");
            }
        });
    const button = (item: Item, name: string) => (
        <Button small busy={ending.busy} label={`${name}: ${item.name ?? item.deviceInfo ?? item.id}`} onClick={() => end(item)}>
            {name}
        </Button>
    );
    return (
        <Page
            title="Your account"
            about={`${own.email}, ${roleName(own.orgRole)}`}
            actions={
                <>
                    <a class="btn" href="#/account/password">
                        Change password
                    </a>
                    <a class="btn" href="#/account/name">
                        Change name
                    </a>
                </>
            }
            problem={ending.problem}
        >
            {part === "password" && <Password />}
            {part === "name" && <Name />}
            <Shown of={items}>
                {(tokens) => (
                    <>
                        <section aria-labelledby="sessions">
                            <div class="head">
                                <div>
                                    <h2 id="sessions">Sessions</h2>
                                    <p>A session of a browser ends after 12 hours without use, and after 30 days in any case.</p>
                                </div>
                                {others.length > 0 && (
                                    <div class="row">
                                        <Button busy={ending.busy} onClick={endOthers}>
                                            Sign out everywhere else
                                        </Button>
                                    </div>
                                )}
                            </div>
                            <Table
                                caption="Your sessions"
                                columns={[NAME, LAST, SINCE, ENDS]}
                                rows={tokens.filter(({ type }) => type === "session").slice(0, 100)}
                                id={({ id }) => id}
                                actions={(item) => button(item, item.current ? "Sign out" : "End")}
                            />
                        </section>
                        <section aria-labelledby="tokens">
                            <div class="head">
                                <div>
                                    <h2 id="tokens">Access tokens</h2>
                                    <p>
                                        A program that presents one acts as you, with your role. Give services <a href="#/api-keys">API keys</a> instead.
                                    </p>
                                </div>
                                <div class="row">
                                    <a class="btn" href="#/account/token">
                                        New access token
                                    </a>
                                </div>
                            </div>
                            {part === "token" && <NewToken />}
                            {tokens.some(({ type }) => type === "token") ? (
                                <Table
                                    caption="Your access tokens"
                                    columns={[NAME, LAST, SINCE, ENDS]}
                                    rows={tokens.filter(({ type }) => type === "token")}
                                    id={({ id }) => id}
                                    actions={(item) => button(item, "Revoke")}
                                />
                            ) : (
                                <p class="quiet">You have none.</p>
                            )}
                        </section>
                    </>
                )}
            </Shown>
        </Page>
    );
}

const back = (): void => void (location.hash = "#/account");

function Password() {
    const own = mine();
    const [current, setCurrent] = useState("");
    const [next, setNext] = useState("");
    const { busy, problem, run } = useAction();
    return (
        <Form
            title="Change password"
            about="All your other sessions end. Access tokens stay valid."
            submit="Change password"
            busy={busy}
            problem={problem}
            onCancel={back}
            onSubmit={() =>
                run(async () => {
                    await call(api.PUT("/user/{id}", { params: { path: { id: own.id } }, body: { password: next, currentPassword: current } }));
                    toast.set({ text: "Your password was changed. Your other sessions have ended." });
                    changed("sessions");
                    back();
                })
            }
        >
            <input class="vh" type="email" autocomplete="username" readOnly tabIndex={-1} aria-hidden="true" value={own.email} />
            <Field label="Current password">
                <Input type="password" autocomplete="current-password" required value={current} onInput={(event) => setCurrent(textOf(event))} />
            </Field>
            <Field label="New password" help="12 characters or more, and none of the common ones. A sentence is fine.">
                <Input type="password" autocomplete="new-password" required value={next} onInput={(event) => setNext(textOf(event))} />
            </Field>
        </Form>
    );
}

function Name() {
    const own = mine();
    const [name, setName] = useState(own.name);
    const [lastName, setLastName] = useState(own.lastName);
    const { busy, problem, run } = useAction();
    return (
        <Form
            title="Change name"
            submit="Save"
            busy={busy}
            problem={problem}
            onCancel={back}
            onSubmit={() =>
                run(async () => {
                    await call(api.PUT("/user/{id}", { params: { path: { id: own.id } }, body: { name, lastName } }));
                    await meet();
                    changed("people");
                    back();
                })
            }
        >
            <div class="pair">
                <Field label="First name">
                    <Input type="text" autocomplete="given-name" required maxLength={100} value={name} onInput={(event) => setName(textOf(event))} />
                </Field>
                <Field label="Last name">
                    <Input type="text" autocomplete="family-name" maxLength={100} value={lastName} onInput={(event) => setLastName(textOf(event))} />
                </Field>
            </div>
        </Form>
    );
}

const LIFETIMES = [
    ["2592000", "30 days"],
    ["7776000", "90 days"],
    ["31536000", "1 year"],
] as const;

function NewToken() {
    const [name, setName] = useState("");
    const [seconds, setSeconds] = useState("7776000");
    const { busy, problem, run } = useAction();
    return (
        <Form
            title="New access token"
            submit="Create access token"
            busy={busy}
            problem={problem}
            onCancel={back}
            onSubmit={() =>
                run(async () => {
                    const made = await call(api.POST("/token", { body: { name: name.trim(), ttlSeconds: Number(seconds) } }));
                    changed("sessions");
                    back();
                    showSecret({
                        title: "Store the new access token",
                        about: `${made.name} is ready. This is the only time it is shown: orgkeys keeps a hash of it, and nobody can read it again.`,
                        label: "The access token",
                        value: made.token,
                        file: { name: "orgkeys-token.env", text: `ORGKEYS_TOKEN=${made.token}\n`, button: "Download .env line" },
                        proof: { about: "Prove that it works:", command: `curl -sS ${SERVER}user/profile -H "Authorization: Bearer $ORGKEYS_TOKEN"` },
                    });
                })
            }
        >
            <div class="pair">
                <Field label="Name" help="What it is for, such as “inventory script”.">
                    <Input type="text" required maxLength={100} value={name} onInput={(event) => setName(textOf(event))} />
                </Field>
                <Field label="Valid for">
                    <Select options={LIFETIMES} value={seconds} onChange={(event) => setSeconds(textOf(event))} />
                </Field>
            </div>
        </Form>
    );
}
