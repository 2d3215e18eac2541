// The search over everything, which `/` focuses.
import { useId, useRef, useState } from "preact/hooks";
import { fullName, keyName, useApiKeys, useKeys, useMay, usePeople, useProjects, useWebhooks } from "../data";
import { to } from "../route";
import { PLACES } from "../shell/places";
import { useCell } from "../cell";
import { me } from "../me";
import { may } from "../access";
import { Icon } from "./icon";
import { textOf } from "./form";

interface Found {
    name: string;
    kind: string;
    href: string;
}

/** The most that is found at once. */
const MOST = 8;

/** Finds screens, and what they list, by name or id. */
function useFound(text: string): Found[] {
    const wanted = text.trim().toLowerCase();
    const own = useCell(me);
    const keys = useKeys().data ?? [];
    const apiKeys = useApiKeys().data ?? [];
    const people = usePeople().data ?? [];
    const projects = useProjects().data ?? [];
    const webhooks = useWebhooks().data ?? [];
    const audit = useMay("readAudit");
    if (!wanted) return [];
    const all: (Found & { also?: string })[] = [
        ...PLACES.filter(({ right }) => !right || (own && may(own.orgRole, right))).map(({ name, path }) => ({ name, kind: "Screen", href: to(path) })),
        ...keys.map((key) => ({ name: keyName(key), also: key.id, kind: "Key", href: to(`keys/${key.id}`) })),
        ...apiKeys.map((key) => ({ name: key.apiKeyName, also: key.apiKey, kind: "API key", href: to(`api-keys/${key.apiKeyId}`) })),
        ...people.map((person) => ({ name: fullName(person), also: `${person.email} ${person.id}`, kind: "Person", href: to("people", { search: person.email }) })),
        ...projects.map((project) => ({ name: project.name, also: project.publicId, kind: "Project", href: to(`projects/${project.publicId}`) })),
        ...webhooks.map((hook) => ({ name: hook.name || hook.url, also: hook.url, kind: "Webhook", href: to(`webhooks/${hook.id}`) })),
    ];
    const found: Found[] = all.filter(({ name, also }) => `${name} ${also ?? ""}`.toLowerCase().includes(wanted)).slice(0, MOST);
    found.push({ name: text.trim(), kind: "Search nodes", href: to("nodes", { search: text.trim() }) });
    if (audit && /^(user|node)-/.test(wanted)) found.push({ name: text.trim(), kind: "Search the audit log", href: to("audit", { actorId: text.trim() }) });
    return found;
}

/** The search field at the top, with what it finds below it. Nothing is loaded for it before something is typed. */
export function SearchEverything() {
    const id = useId();
    const [text, setText] = useState("");
    const [open, setOpen] = useState(false);
    const [at, setAt] = useState(0);
    const found = useRef<Found[]>([]);
    const shown = open && text.trim() !== "";
    const chosen = (): number => Math.min(at, found.current.length - 1);
    const follow = (target: Found | undefined): void => {
        if (!target) return;
        location.hash = target.href;
        setText("");
        setOpen(false);
        document.getElementById("main")?.focus();
    };
    return (
        <div
            class="find"
            role="search"
            aria-label="Everything"
            onFocusOut={(event) => {
                if (!(event.relatedTarget instanceof Node && event.currentTarget.contains(event.relatedTarget))) setOpen(false);
            }}
        >
            <Icon name="search" />
            <input
                type="search"
                role="combobox"
                list={undefined}
                aria-expanded={shown ? "true" : "false"}
                aria-controls={shown ? `${id}l` : undefined}
                aria-activedescendant={shown ? `${id}${chosen()}` : undefined}
                placeholder="Search"
                aria-label="Search everything"
                aria-keyshortcuts="/"
                autocomplete="off"
                value={text}
                onInput={(event) => {
                    setText(textOf(event));
                    setAt(0);
                    setOpen(true);
                }}
                onKeyDown={(event) => {
                    if (!shown) return;
                    if (event.key === "ArrowDown") setAt(Math.min(found.current.length - 1, chosen() + 1));
                    else if (event.key === "ArrowUp") setAt(Math.max(0, chosen() - 1));
                    else if (event.key === "Enter") follow(found.current[chosen()]);
                    else if (event.key === "Escape") setOpen(false);
                    else return;
                    event.preventDefault();
                }}
            />
            <kbd aria-hidden="true">/</kbd>
            {shown && <Results id={id} text={text} at={at} tell={(now) => (found.current = now)} follow={follow} />}
        </div>
    );
}

function Results({ id, text, at, tell, follow }: {
    id: string;
    text: string;
    at: number;
    tell: (found: Found[]) => void;
    follow: (target: Found) => void;
}) {
    const found = useFound(text);
    tell(found);
    return (
        <ul class="found" id={`${id}l`} role="listbox" aria-label="Found">
            {found.map((each, index) => (
                <li
                    key={each.href + each.kind}
                    id={`${id}${index}`}
                    role="option"
                    aria-selected={index === Math.min(at, found.length - 1) ? "true" : "false"}
                    onPointerDown={(event) => {
                        event.preventDefault();
                        follow(each);
                    }}
                >
                    <span>{each.name}</span>
                    <span class="sub">{each.kind}</span>
                </li>
            ))}
        </ul>
    );
}
