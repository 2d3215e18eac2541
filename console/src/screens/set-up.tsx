// The page behind a one-time link: the first owner sets up the server, and invited people choose a password.
import { useState } from "preact/hooks";
import { api, call, door } from "../api/client";
import { useAction } from "../load";
import { meet, mine, signIn } from "../me";
import { go, invitation } from "../route";
import { Field, Form, Input, textOf } from "../ui/form";
import { Door, useServer } from "./sign-in";

/** The shortest password, in bytes. */
const SHORTEST = 12;

/** Takes an invitation: sets the password, and signs in with it. */
export function SetUp({ kind, token }: { kind: "setup" | "invite"; token: string }) {
    const server = useServer();
    const [organization, setOrganization] = useState("");
    const [password, setPassword] = useState("");
    const [again, setAgain] = useState("");
    const [email, setEmail] = useState<string | null>(null);
    const [tried, setTried] = useState(false);
    const { busy, problem, run } = useAction();
    const first = kind === "setup";
    const bytes = new TextEncoder().encode(password).length;
    const short = bytes < SHORTEST ? `${SHORTEST} characters at least: ${SHORTEST - bytes} more` : null;
    const differs = again === password ? null : "The two are not the same.";
    const submit = (): void => {
        setTried(true);
        if (short || differs) return;
        run(async () => {
            // If a later step fails, the link is used up, so it must not be sent again.
            const address = email ?? (await call(door.POST("/user/verify-email", { body: { token, password } }))).email;
            setEmail(address);
            await signIn(address, password);
            await meet();
            if (first && organization.trim()) {
                const params = { path: { orgId: mine().orgId } };
                await call(api.PUT("/organization/{orgId}", { params, body: { name: organization.trim() } }));
            }
            invitation.set(null);
            go("");
        });
    };
    return (
        <Door version={server?.message}>
            <Form
                whole
                title={first ? "Set up this server" : "Welcome"}
                about={
                    first
                        ? "The link that the server printed brought you here. It works once, for 60 minutes."
                        : "You were invited. Choose a password: the link works once, within 72 hours."
                }
                submit={first ? "Set up and sign in" : "Set the password and sign in"}
                busy={busy}
                problem={problem}
                onSubmit={submit}
            >
                {first && (
                    <Field label="Organization" help="What it is called here. You can change it later.">
                        <Input type="text" autocomplete="organization" maxLength={100} value={organization} onInput={(event) => setOrganization(textOf(event))} />
                    </Field>
                )}
                {email && (
                    <Field label="E-mail" help="You sign in with it. Nothing is ever sent to it.">
                        <Input type="email" autocomplete="username" readOnly value={email} />
                    </Field>
                )}
                <Field label="Password" help="12 characters or more, and none of the common ones. A sentence is fine." error={tried ? short : null}>
                    <Input type="password" autocomplete="new-password" required value={password} onInput={(event) => setPassword(textOf(event))} />
                </Field>
                <Field label="The same again" error={tried && !short ? differs : null}>
                    <Input type="password" autocomplete="new-password" required value={again} onInput={(event) => setAgain(textOf(event))} />
                </Field>
            </Form>
        </Door>
    );
}
