// A secret is shown once. Its dialog closes only when the person says that it is stored, and forgets it then.
import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";
import { Cell, useCell } from "../cell";
import { useAction } from "../load";
import { ProblemBanner } from "./banner";
import { Dialog, useAskBeforeLeaving } from "./dialog";
import { Button, Check, Field, Input, textOf } from "./form";
import { Badge } from "./icon";
import { Command, copyText } from "./text";

/** A secret that was just made. */
export interface Secret {
    title: string;
    about: ComponentChildren;
    /** What it is, such as `The API key`. */
    label: string;
    value: string;
    /** A file to download it as; `text` if that is not the secret itself. */
    file?: { name: string; text?: string; button: string };
    /** Whether the downloaded file, rather than the clipboard, is where it belongs. */
    fileFirst?: boolean;
    /** A command that proves it, which does not contain it. */
    proof?: { about: string; command: string };
    /** Keeps where it was stored. */
    note?: { initial: string; save: (note: string) => Promise<void> };
    /** Called when the dialog has closed. */
    done?: () => void;
}

/** The secret that is shown now. It is nowhere else. */
const shown = new Cell<Secret | null>(null);

/** Shows a secret, until the person says that it is stored. */
export const showSecret = (secret: Secret): void => shown.set(secret);

/** The place of the dialog, once in the page. */
export function SecretPlace() {
    const secret = useCell(shown);
    return secret && <SecretDialog key={secret.value} secret={secret} />;
}

function SecretDialog({ secret }: { secret: Secret }) {
    const [copied, setCopied] = useState<"" | "yes" | "no">("");
    const [downloaded, setDownloaded] = useState(false);
    const [ticked, setTicked] = useState(false);
    const [note, setNote] = useState(secret.note?.initial ?? "");
    const { busy, problem, run } = useAction();
    const box = useRef<HTMLDivElement>(null);
    useAskBeforeLeaving();

    const stored = copied === "yes" || downloaded || ticked;
    const copy = async (): Promise<void> => setCopied((await copyText(secret.value)) ? "yes" : "no");
    const download = (): void => {
        if (!secret.file) return;
        saveFile(secret.file.name, secret.file.text ?? secret.value);
        setDownloaded(true);
    };
    const finish = (): void => {
        if (!stored) return;
        run(async () => {
            if (secret.note && note.trim() !== secret.note.initial) await secret.note.save(note.trim());
            if (box.current) box.current.textContent = "";
            shown.set(null);
            secret.done?.();
        });
    };
    const copyButton = (
        <Button kind={stored || secret.fileFirst ? undefined : "primary"} icon="copy" onClick={() => void copy()}>
            {copied === "yes" ? "Copy again" : "Copy"}
        </Button>
    );
    const fileButton = secret.file && (
        <Button kind={!stored && secret.fileFirst ? "primary" : undefined} icon="download" onClick={download}>
            {downloaded ? "Download again" : secret.file.button}
        </Button>
    );
    return (
        <Dialog
            title={secret.title}
            about={secret.about}
            onSubmit={finish}
            foot={
                <>
                    <Check checked={ticked} onChange={setTicked}>
                        I wrote it down some other way
                    </Check>
                    <Button type="submit" kind={stored ? "primary" : undefined} busy={busy} why={stored ? null : "Copy or download it first, or tick the box"}>
                        I have stored it
                    </Button>
                </>
            }
        >
            <div ref={box} class={secret.value.includes("\n") ? "secret lines" : "secret"} role="group" tabIndex={0} aria-label={secret.label} data-first>
                <code>{secret.value}</code>
            </div>
            <div class="row">
                {secret.fileFirst ? fileButton : copyButton}
                {secret.fileFirst ? copyButton : fileButton}
                <span role="status">
                    {copied === "yes" && (
                        <Badge tone="ok" glyph="check">
                            Copied to the clipboard
                        </Badge>
                    )}
                    {copied === "no" && (
                        <Badge tone="warn" glyph="tri">
                            Could not copy: select the text
                        </Badge>
                    )}
                    {downloaded && copied === "" && (
                        <Badge tone="ok" glyph="check">
                            Saved as {secret.file?.name}
                        </Badge>
                    )}
                </span>
            </div>
            {secret.proof && (
                <div class="field">
                    <span class="help">{secret.proof.about}</span>
                    <Command>{secret.proof.command}</Command>
                </div>
            )}
            {secret.note && (
                <Field label="Where did you store it?" help="Kept with the key, for whoever rotates it next. Do not write the secret here.">
                    <Input type="text" maxLength={250} autocomplete="off" value={note} onInput={(event) => setNote(textOf(event))} />
                </Field>
            )}
            {problem && <ProblemBanner problem={problem} title="The note was not kept." />}
        </Dialog>
    );
}

/** Saves a text as a file, with the browser's own download. */
export function saveFile(name: string, text: string): void {
    const url = URL.createObjectURL(new Blob([text], { type: "application/octet-stream" }));
    const link = document.createElement("a");
    link.href = url;
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
