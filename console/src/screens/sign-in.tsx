// Signing in: as a page of its own, and over a page whose session has ended.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { api, call, door } from "../api/client";
import type { Question } from "../api/transport";
import { useCell } from "../cell";
import { useAction, useLoad } from "../load";
import { me, leave, signIn } from "../me";
import { Banner, inTheClear, ProblemBanner, useCountdown } from "../ui/banner";
import { Button, Field, Input, textOf } from "../ui/form";
import { SmallForm } from "../ui/dialog";
import { Command } from "../ui/text";

/** The frame of what is shown to people who have not signed in. */
export function Door({ version, children }: { version?: string | undefined; children: ComponentChildren }) {
    return (
        <main class="door" id="main" tabIndex={-1}>
            <header class="brand">
                <svg class="mark" aria-hidden="true">
                    <use href="#mark" />
                </svg>
                <span>
                    <b>orgkeys</b>
                    <span class="sub">{location.host}</span>
                </span>
            </header>
            {inTheClear && (
                <Banner tone="warn" icon="unlock" role="status">
                    <b>This connection is not encrypted.</b> Others on the network can read what you type. Set <code>tls_cert</code> or use a TLS proxy.
                </Banner>
            )}
            {children}
            <footer class="quiet">
                Self-hosted, nothing leaves this server
                <br />
                {version}
            </footer>
        </main>
    );
}

/** The server's version, and whether it is new. */
export function useServer(): { message: string; setup?: boolean | null } | undefined {
    return useLoad("server", (signal) => call(door.GET("/", { headers: { Accept: "application/json" }, signal }))).data;
}

/** The page on which people sign in. */
export function SignIn() {
    const server = useServer();
    const [email, setEmail] = useState("");
    const [password, setPassword] = useState("");
    const { busy, problem, run } = useAction();
    const wait = useCountdown(problem?.retryAt ?? null);
    return (
        <Door version={server?.message}>
            <section class="panel" aria-labelledby="sign-in">
                <h1 id="sign-in">Sign in</h1>
                {problem && <ProblemBanner problem={problem} />}
                <form
                    class="form"
                    onSubmit={(event) => {
                        event.preventDefault();
                        if (wait === 0) run(() => signIn(email.trim(), password));
                    }}
                >
                    <Field label="E-mail">
                        <Input type="email" autocomplete="username" required autofocus value={email} onInput={(event) => setEmail(textOf(event))} />
                    </Field>
                    <Field label="Password">
                        <Input type="password" autocomplete="current-password" required value={password} onInput={(event) => setPassword(textOf(event))} />
                    </Field>
                    <Button type="submit" kind="primary" busy={busy} why={wait > 0 ? `Wait ${wait} s` : null}>
                        Sign in
                    </Button>
                </form>
                {server?.setup ? (
                    <>
                        <Banner>
                            <b>This server is new.</b> Its first start printed a link. If it is lost, run this on the server:
                        </Banner>
                        <Command>orgkeys user reset-password --user owner@localhost</Command>
                    </>
                ) : (
                    <p class="help">No password, or forgotten? An administrator can invite you again.</p>
                )}
            </section>
        </Door>
    );
}

/** What the page asks over whatever it shows: to sign in again, or for the password once more. */
export function Ask({ question }: { question: Question }) {
    const own = useCell(me);
    const [password, setPassword] = useState("");
    const { busy, problem, run } = useAction();
    const again = question.kind === "sign-in";
    const submit = (): void =>
        run(async () => {
            if (again) await signIn(own?.email ?? "", password);
            else await call(api.POST("/user/web-session/confirm", { body: { password } }));
            question.answer(true);
        });
    return (
        <SmallForm
            title={again ? "Sign in again" : "Confirm your password"}
            about={
                again
                    ? "Your session has ended. Nothing on the page is lost: after you have signed in, what you did goes on."
                    : "This is hard to undo, and you last gave your password more than 15 minutes ago."
            }
            submit={again ? "Sign in" : "Confirm"}
            problem={problem}
            busy={busy}
            onSubmit={submit}
            onClose={() => (again ? leave() : question.answer(false))}
        >
            <Field label="E-mail">
                <Input type="email" autocomplete="username" readOnly value={own?.email ?? ""} />
            </Field>
            <Field label="Password">
                <Input type="password" autocomplete="current-password" required value={password} onInput={(event) => setPassword(textOf(event))} data-first />
            </Field>
        </SmallForm>
    );
}
