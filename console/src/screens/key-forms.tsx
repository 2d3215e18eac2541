// Forms around organization keys: create, import, rotate, rename, change the end.
import { useState } from "preact/hooks";
import { api, call, json } from "../api/client";
import { keyName, type Key } from "../data";
import { date, timeOf } from "../format";
import { changed, useAction } from "../load";
import { mine } from "../me";
import { go } from "../route";
import { fingerprint } from "../sha256";
import { Banner, toast } from "../ui/banner";
import { Check, Field, Form, Input, Select, TextArea, textOf } from "../ui/form";
import { showSecret } from "../ui/secret";

const list = (): void => go("keys");
const refresh = (): void => changed("keys", "nodes", "impact");

/** Shows the private half of a key that was just made. */
function showPem(made: { id: string; publicKey: string; privateKey: string }, name: string): void {
    const file = `${made.id}.pem`;
    const print = fingerprint(made.publicKey);
    showSecret({
        title: "Store the private key",
        about: `${name} is ready. This is the only copy of its private half: orgkeys has not kept it, and nobody can get it again.`,
        label: "The private key",
        value: made.privateKey,
        file: { name: file, button: "Download PEM" },
        fileFirst: true,
        proof: {
            about: `Prove that the file is complete. It prints ${print.slice(0, 8)}…${print.slice(-8)}, the fingerprint in the list:`,
            command: `openssl pkey -in ${file} -pubout -outform DER | openssl dgst -sha256`,
        },
    });
}

/** What is said if the answer that held a private key was lost. */
const LOST = "The answer was lost. If the list shows the new key, its private half was never shown: delete that key.";

/** The form for a new key. */
export function NewKey() {
    const [name, setName] = useState("");
    const { busy, problem, run } = useAction();
    if (problem?.lost) problem.message = LOST;
    const submit = (): void =>
        run(async () => {
            const path = { idOrg: mine().orgId };
            try {
                const { data: made } = json(await call(api.POST("/organization/{idOrg}/key", { params: { path, query: { format: "json" } } })));
                list();
                showPem(made, name.trim() || "The key");
                if (name.trim()) {
                    const params = { path: { ...path, idKey: made.id } };
                    await call(api.PUT("/organization/{idOrg}/key/{idKey}", { params, body: { name: name.trim() } }));
                }
            } finally {
                refresh();
            }
        });
    return (
        <Form
            title="New key"
            about="orgkeys makes an RSA pair with 2,048 bits and keeps the public half. You download the private half once."
            submit="Create key"
            busy={busy}
            problem={problem}
            onSubmit={submit}
            onCancel={list}
        >
            <Field label="Name" help="Where its nodes are, and since when, such as “frankfurt-2026”.">
                <Input type="text" maxLength={100} autocomplete="off" value={name} onInput={(event) => setName(textOf(event))} />
            </Field>
        </Form>
    );
}

/** The field for a public key. */
function PublicKey({ value, set, help }: { value: string; set: (text: string) => void; help: string }) {
    const wrong = value.includes("PRIVATE KEY") ? "This is a private key. Never send it: it has to stay where it is." : null;
    return (
        <Field label="Public key (PEM)" help={help} error={wrong}>
            <TextArea rows={6} maxLength={8192} spellcheck={false} placeholder="-----BEGIN PUBLIC KEY-----" value={value} onInput={(event) => set(textOf(event))} />
        </Field>
    );
}

/** The form for a key whose private half was made elsewhere. */
export function ImportKey() {
    const [name, setName] = useState("");
    const [publicKey, setPublicKey] = useState("");
    const { busy, problem, run } = useAction();
    const submit = (): void => {
        if (publicKey.includes("PRIVATE KEY")) return;
        run(async () => {
            const params = { path: { idOrg: mine().orgId } };
            const { data } = await call(api.POST("/organization/{idOrg}/keys/import", { params, body: { publicKey: publicKey.trim(), name: name.trim() } }));
            toast.set({ text: `${keyName(data)} is in use.` });
            refresh();
            list();
        });
    };
    return (
        <Form
            title="Import a public key"
            about="The private half never leaves the machine where you made it."
            submit="Import key"
            busy={busy}
            problem={problem}
            onSubmit={submit}
            onCancel={list}
        >
            <Field label="Name">
                <Input type="text" maxLength={100} autocomplete="off" value={name} onInput={(event) => setName(textOf(event))} />
            </Field>
            <PublicKey value={publicKey} set={setPublicKey} help="RSA with 2,048, 3,072 or 4,096 bits, as “openssl pkey -in key.pem -pubout” prints it." />
        </Form>
    );
}

const OVERLAPS = [
    ["604800", "in 7 days"],
    ["2592000", "in 30 days"],
    ["86400", "in 24 hours"],
    ["3600", "in 1 hour"],
    ["0", "now: it may be in the wrong hands"],
] as const;

/** The form that replaces a key while its nodes go on registering. */
export function RotateKey({ of: key }: { of: Key }) {
    const [overlap, setOverlap] = useState("604800");
    const [early, setEarly] = useState(true);
    const [name, setName] = useState(key.name);
    const [own, setOwn] = useState(false);
    const [publicKey, setPublicKey] = useState("");
    const { busy, problem, run } = useAction();
    if (problem?.lost) problem.message = LOST;
    const nodes = key.nodeKeys.length;
    const submit = (): void => {
        if (own && publicKey.includes("PRIVATE KEY")) return;
        run(async () => {
            const params = { path: { idOrg: mine().orgId, idKey: key.id }, query: { format: "json" as const } };
            const body = {
                overlapSeconds: Number(overlap),
                retireWhenUnused: early,
                name: name.trim(),
                ...(own ? { publicKey: publicKey.trim() } : {}),
            };
            try {
                const { data: made } = json(await call(api.POST("/organization/{idOrg}/key/{idKey}/rotate", { params, body })));
                go(`keys/${key.id}`);
                if (made.privateKey) showPem({ ...made, privateKey: made.privateKey }, name.trim() || "The new key");
            } finally {
                refresh();
            }
        });
    };
    return (
        <Form
            title={`Rotate ${keyName(key)}`}
            about={
                nodes === 0
                    ? "A new key takes its place. No node uses the old one now."
                    : `A new key takes its place. ${nodes === 1 ? "1 node moves" : `${nodes} nodes move`} to it when they sign with the new private half; both keys are accepted until the old one ends.`
            }
            submit="Create the new key"
            busy={busy}
            problem={problem}
            onSubmit={submit}
            onCancel={() => go(`keys/${key.id}`)}
        >
            <div class="pair">
                <Field label="The old key ends">
                    <Select options={OVERLAPS} value={overlap} onChange={(event) => setOverlap(textOf(event))} />
                </Field>
                <Field label="Name of the new key">
                    <Input type="text" maxLength={100} autocomplete="off" value={name} onInput={(event) => setName(textOf(event))} />
                </Field>
            </div>
            {overlap === "0" && nodes > 0 && (
                <Banner tone="warn">
                    <b>Its nodes are refused from now on</b>, until each of them signs with the new key.
                </Banner>
            )}
            <Check checked={early} onChange={setEarly}>
                End it earlier, as soon as its last node has moved
            </Check>
            <Check checked={own} onChange={setOwn}>
                I made the new key pair myself
            </Check>
            {own && <PublicKey value={publicKey} set={setPublicKey} help="The public half of the new key." />}
        </Form>
    );
}

/** The form that changes a key's name. */
export function RenameKey({ of: key }: { of: Key }) {
    const [name, setName] = useState(key.name);
    const { busy, problem, run } = useAction();
    const back = (): void => go(`keys/${key.id}`);
    const submit = (): void =>
        run(async () => {
            await call(api.PUT("/organization/{idOrg}/key/{idKey}", { params: { path: { idOrg: mine().orgId, idKey: key.id } }, body: { name: name.trim() } }));
            refresh();
            back();
        });
    return (
        <Form title={`Rename ${keyName(key)}`} submit="Rename" busy={busy} problem={problem} onSubmit={submit} onCancel={back}>
            <Field label="Name">
                <Input type="text" maxLength={100} autocomplete="off" value={name} onInput={(event) => setName(textOf(event))} />
            </Field>
        </Form>
    );
}

/** The form that gives a retiring key more time, or ends it. */
export function ChangeEnd({ of: key }: { of: Key }) {
    const end = timeOf(key.retireAt);
    const [choice, setChoice] = useState("7");
    const [early, setEarly] = useState(key.retireWhenUnused);
    const { busy, problem, run } = useAction();
    const back = (): void => go(`keys/${key.id}`);
    const submit = (): void =>
        run(async () => {
            const retireAt = choice === "never" ? null : new Date(Date.now() + Number(choice) * 86_400_000).toISOString();
            const params = { path: { idOrg: mine().orgId, idKey: key.id } };
            await call(api.PUT("/organization/{idOrg}/key/{idKey}", { params, body: { retireAt, retireWhenUnused: early } as { retireAt: string } }));
            refresh();
            back();
        });
    const options = [
        ["0", "now"],
        ["1", "in 1 day"],
        ["7", "in 7 days"],
        ["30", "in 30 days"],
        ["90", "in 90 days"],
        ["never", "not by itself: it stays active"],
    ] as const;
    return (
        <Form
            title={`Change the end of ${keyName(key)}`}
            about={end === null ? "It does not end by itself." : `It ends on ${date(end)}.`}
            submit="Change the end"
            busy={busy}
            problem={problem}
            onSubmit={submit}
            onCancel={back}
        >
            <Field label="It ends">
                <Select options={options} value={choice} onChange={(event) => setChoice(textOf(event))} />
            </Field>
            <Check checked={early} onChange={setEarly}>
                End it earlier, as soon as its last node has moved
            </Check>
        </Form>
    );
}
