// What needs somebody, as a list of things to do: what fails now first, then what comes due.
import type { ComponentChildren } from "preact";
import { useOpenInvitations, type Attention } from "../attention";
import { now, useCell } from "../cell";
import { keyName, useKeys, useMay } from "../data";
import { date, hour, list, of, span, timeOf } from "../format";
import { to } from "../route";
import { Time } from "../ui/text";
import { place } from "./webhooks";

/** A thing to do: a fact, its consequence, and where to go. */
export interface Todo {
    icon: string;
    mark: "bad" | "warn" | "go";
    title: string;
    about: ComponentChildren;
    href: string;
    link: string;
}

/** What needs somebody, worst first. */
export function useTodos(attention: Attention): Todo[] {
    const present = useCell(now);
    const keys = useKeys().data ?? [];
    const invitations = useOpenInvitations();
    const adds = useMay("addPeople");
    const todos: Todo[] = [];
    for (const hook of attention.failing) {
        const why = hook.disabled ? "It was switched off" : hook.lastStatus === null ? (hook.lastWhy ?? "No answer") : `It answers ${hook.lastStatus}`;
        todos.push({
            icon: "bad",
            mark: "bad",
            title: `${place(hook)} refuses deliveries`,
            about: (
                <>
                    {why}. Last attempt <Time at={hook.lastAt} />.
                </>
            ),
            href: to(`webhooks/${hook.id}`),
            link: "Show deliveries",
        });
    }
    if (attention.silentTotal > 0) {
        todos.push({
            icon: "warn",
            mark: "warn",
            title: `${of(attention.silentTotal, "node")} ${attention.silentTotal === 1 ? "is" : "are"} silent`,
            about: (
                <>
                    {attention.silent.slice(0, 3).map((node, at) => (
                        <span key={node.id}>
                            {at > 0 && ", "}
                            <code>{node.ip}</code> for {span(present - (timeOf(node.lastUpdated) ?? present))}
                        </span>
                    ))}
                    {attention.silentTotal > 3 && `, and ${of(attention.silentTotal - 3, "other")}`}
                </>
            ),
            href: to("nodes", { state: "silent" }),
            link: "Show nodes",
        });
    }
    for (const key of attention.retiring) {
        const successor = keys.find(({ id }) => id === key.successorId);
        const end = timeOf(key.retireAt);
        const moved = successor?.nodeKeys.length ?? 0;
        const all = moved + key.nodeKeys.length;
        todos.push({
            icon: "rotate",
            mark: "go",
            title: successor ? `${moved} of ${of(all, "node")} ${moved === 1 ? "has" : "have"} moved to ${keyName(successor)}` : `${keyName(key)} retires`,
            about: (
                <>
                    {keyName(key)} retires {end === null ? "when you end it" : <>in {span(end - present)}, on {date(end)} at {hour(end)} UTC</>}.
                    {successor && all > 0 && (
                        <progress max={all} value={moved} aria-label={`Nodes that have moved to ${keyName(successor)}`}>
                            {moved} of {all}
                        </progress>
                    )}
                </>
            ),
            href: to(`keys/${key.id}`),
            link: "See who is left",
        });
    }
    if (attention.ending.length > 0) {
        const soonest = [...attention.ending].sort((a, b) => (timeOf(a.expireDate) ?? 0) - (timeOf(b.expireDate) ?? 0)).slice(0, 3);
        todos.push({
            icon: "clock",
            mark: "warn",
            title: `${of(attention.ending.length, "API key")} ${attention.ending.length === 1 ? "ends" : "end"} within 30 days`,
            about: `${list(soonest.map((key) => `${key.apiKeyName} in ${span((timeOf(key.expireDate) ?? present) - present)}`))}.`,
            href: to("api-keys", { show: "soon" }),
            link: "Rotate",
        });
    }
    if (adds && invitations.expired > 0) {
        todos.push({
            icon: "people",
            mark: "warn",
            title: `${of(invitations.expired, "invitation")} ${invitations.expired === 1 ? "has" : "have"} expired`,
            about: "Nobody took it in time. Make a new link, or withdraw it.",
            href: to("people"),
            link: "Show people",
        });
    }
    return todos;
}
