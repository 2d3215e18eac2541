// Forms around people: invite, and change a role or a name.
import { useState } from "preact/hooks";
import { ROLES, roleName, rolesUpTo } from "../access";
import { api, call } from "../api/client";
import { fullName, type Person } from "../data";
import { changed, useAction } from "../load";
import { mine } from "../me";
import { go } from "../route";
import { toast } from "../ui/banner";
import { Field, Form, Input, Select, textOf } from "../ui/form";
import { showSecret } from "../ui/secret";

const list = (): void => go("people");

const options = (rank: number): (readonly [string, string])[] => rolesUpTo(rank).map(({ id, name }) => [String(id), name] as const);
const aboutRole = (role: string): string => ROLES.find(({ id }) => String(id) === role)?.about ?? "";

/** Shows the link of an invitation, which its reader passes on. */
function showInvitation(token: string, name: string): void {
    const link = `${new URL(".", document.baseURI).href}#invite=${token}`;
    showSecret({
        title: "Pass on the invitation",
        about: `${name} chooses a password behind this link. It works once, within 72 hours, and is shown only now. No mail is sent: pass it on yourself.`,
        label: "The link",
        value: link,
        proof: { about: "The same without a browser:", command: `orgkeys api verifyEmail --token ${token.slice(0, 8)}… --password …` },
    });
}

/** Makes a new link, and voids the one before. */
export async function inviteAgain(person: Person): Promise<void> {
    const { invitationToken } = await call(api.POST("/organization/users/{userId}/resend-invitation", { params: { path: { userId: person.id } } }));
    changed("people");
    showInvitation(invitationToken, fullName(person));
}

/** The form that invites somebody. */
export function Invite() {
    const [email, setEmail] = useState("");
    const [firstName, setFirstName] = useState("");
    const [lastName, setLastName] = useState("");
    const [role, setRole] = useState("0");
    const [tried, setTried] = useState(false);
    const { busy, problem, run } = useAction();
    if (problem?.lost) problem.message = "The answer was lost. If the person is in the list, make a new invitation there.";
    const submit = (): void => {
        setTried(true);
        if (!email.includes("@") || !firstName.trim()) return;
        run(async () => {
            try {
                const body = { email: email.trim(), firstName: firstName.trim(), lastName: lastName.trim(), orgRole: Number(role), sendInvite: true };
                const { data, invitationToken } = await call(api.POST("/organization/users", { body }));
                list();
                if (invitationToken) showInvitation(invitationToken, fullName(data));
            } finally {
                changed("people");
            }
        });
    };
    return (
        <Form
            title="Invite somebody"
            about="You get a link that works once within 72 hours. No mail is sent: pass it on yourself."
            submit="Create link"
            busy={busy}
            problem={problem}
            onSubmit={submit}
            onCancel={list}
        >
            <Field label="E-mail" help="They sign in with it." error={tried && !email.includes("@") ? "This is no e-mail address." : null}>
                <Input type="email" autocomplete="off" maxLength={254} required value={email} onInput={(event) => setEmail(textOf(event))} />
            </Field>
            <div class="pair">
                <Field label="First name" error={tried && !firstName.trim() ? "Everybody has a first name here." : null}>
                    <Input type="text" autocomplete="off" maxLength={100} required value={firstName} onInput={(event) => setFirstName(textOf(event))} />
                </Field>
                <Field label="Last name">
                    <Input type="text" autocomplete="off" maxLength={100} value={lastName} onInput={(event) => setLastName(textOf(event))} />
                </Field>
            </div>
            <Field label="Role" help={aboutRole(role)}>
                <Select options={options(mine().orgRole)} value={role} onChange={(event) => setRole(textOf(event))} />
            </Field>
        </Form>
    );
}

/** The form that changes a person's role, or their name. */
export function EditPerson({ person, role: roleOnly }: { person: Person; role: boolean }) {
    const [role, setRole] = useState(String(person.orgRole));
    const [name, setName] = useState(person.name);
    const [lastName, setLastName] = useState(person.lastName);
    const { busy, problem, run } = useAction();
    const submit = (): void =>
        run(async () => {
            try {
                if (roleOnly) {
                    await call(api.PUT("/user/{id}/role", { params: { path: { id: person.id } }, body: { orgRole: Number(role) } }));
                    toast.set({ text: `${fullName(person)} is ${roleName(Number(role))} from now on.` });
                } else {
                    const body = { name: name.trim(), lastName: lastName.trim() };
                    await call(api.PUT("/organization/users/{userId}", { params: { path: { userId: person.id } }, body }));
                }
                list();
            } finally {
                // Somebody else may have changed it meanwhile: the list then shows the newer state.
                changed("people");
            }
        });
    return roleOnly ? (
        <Form title={`Change the role of ${fullName(person)}`} submit="Change role" busy={busy} problem={problem} onSubmit={submit} onCancel={list}>
            <Field label="Role" help={aboutRole(role)}>
                <Select options={options(mine().orgRole)} value={role} onChange={(event) => setRole(textOf(event))} />
            </Field>
        </Form>
    ) : (
        <Form title={`Change the name of ${fullName(person)}`} submit="Save" busy={busy} problem={problem} onSubmit={submit} onCancel={list}>
            <div class="pair">
                <Field label="First name">
                    <Input type="text" autocomplete="off" maxLength={100} required value={name} onInput={(event) => setName(textOf(event))} />
                </Field>
                <Field label="Last name">
                    <Input type="text" autocomplete="off" maxLength={100} value={lastName} onInput={(event) => setLastName(textOf(event))} />
                </Field>
            </div>
        </Form>
    );
}
