// Facts that concern the whole page, failures, and what just happened.
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import type { Problem } from "../api/problem";
import { roleName } from "../access";
import { offline, slowedUntil, storageFull, tryNow } from "../api/transport";
import { Cell, now, useCell } from "../cell";
import { hour } from "../format";
import { me, meet, newRole } from "../me";
import { Button } from "./form";
import { Icon } from "./icon";
import { copyText } from "./text";

/** A fact: information, a limit (`warn`), or a failure (`bad`). */
export function Banner({ tone, icon, role, action, children }: {
    tone?: "warn" | "bad";
    icon?: string;
    role?: "alert" | "status";
    action?: ComponentChildren;
    children: ComponentChildren;
}) {
    return (
        <div class={tone ? `banner ${tone}` : "banner"} role={role}>
            <Icon name={icon ?? tone ?? "info"} />
            <div>{children}</div>
            {action}
        </div>
    );
}

/** A call that failed: the server's message word for word, what to tell its administrator, and when to try again. */
export function ProblemBanner({ problem, title }: { problem: Problem; title?: string }) {
    const left = useCountdown(problem.retryAt);
    const details = [problem.message, problem.code, problem.requestId].filter(Boolean).join(" · ");
    return (
        <Banner
            tone="bad"
            role="alert"
            action={
                problem.requestId && (
                    <Button icon="copy" onClick={() => void copyText(details)}>
                        Copy details
                    </Button>
                )
            }
        >
            {title && <b>{title} </b>}
            {title ? problem.message : <b>{problem.message}</b>}
            {left > 0 && <> Try again in {minutes(left)}.</>}
            {problem.status === 409 && <> What the page shows is how it is now.</>}
            {problem.lost && <> It is not known whether the server did it. Look before you try again.</>}
            {(problem.code || problem.requestId) && (
                <span class="sub">
                    {problem.code && <code>{problem.code}</code>} {problem.requestId && <>request <code>{problem.requestId}</code></>}
                </span>
            )}
        </Banner>
    );
}

/** The seconds until a time, counting down. */
export function useCountdown(until: number | null): number {
    const present = useCell(now);
    useEffect(() => {
        if (until === null) return;
        now.set(Date.now());
        const timer = setInterval(() => now.set(Date.now()), 1000);
        return () => clearInterval(timer);
    }, [until]);
    return until === null ? 0 : Math.max(0, Math.ceil((until - present) / 1000));
}

/** `4:12`, or `12 s`. */
function minutes(seconds: number): string {
    return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** What is the case on every screen: no connection, a full disk, a limited rate, another role. */
export function Conditions() {
    const lost = useCell(offline);
    const slowed = useCell(slowedUntil);
    const full = useCell(storageFull);
    const role = useCell(newRole);
    const own = useCell(me);
    const retry = useCountdown(lost?.retryAt ?? null);
    const wait = useCountdown(slowed);
    return (
        <>
            {lost && (
                <Banner role="status" action={<Button onClick={tryNow}>Try now</Button>}>
                    <b>No connection to {location.host}.</b> What you see is from {hour(lost.since)} UTC. {retry > 0 ? `Next try in ${retry} s.` : "Trying now."}
                </Banner>
            )}
            {full && (
                <Banner tone="warn" role="status" action={<Button onClick={tryNow}>Try now</Button>}>
                    <b>The server’s disk is nearly full: only revocations are accepted.</b> Deleting keys, API keys, nodes and people still works. Everything
                    else waits for room, and what you delete stays in the lists until then.
                    <span class="sub">
                        <code>STORAGE_FULL</code>
                    </span>
                </Banner>
            )}
            {role !== null && own && (
                <Banner tone="warn" role="status" action={<Button onClick={() => void meet().catch(() => undefined)}>Show what I may do now</Button>}>
                    <b>
                        Your role was changed from {roleName(own.orgRole)} to {roleName(role)}.
                    </b>{" "}
                    What you have typed is still here, but the server decides by your new role.
                </Banner>
            )}
            {slowed && wait > 0 && (
                <Banner role="status" icon="clock">
                    <b>The server limits the rate of calls.</b> Next try in {wait} s.
                </Banner>
            )}
        </>
    );
}

/** Whether others on the network can read what this page sends. */
export const inTheClear = location.protocol === "http:" && !["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);

/** What just happened, with its undo. Never an error. */
export const toast = new Cell<{ text: ComponentChildren; undo?: { name: string; act: () => void } } | null>(null);

/** Shows what just happened, until it is dismissed or something else happens. */
export function Toast() {
    const shown = useCell(toast);
    useEffect(() => {
        if (!shown) return;
        const timer = setTimeout(() => toast.set(null), shown.undo ? 20_000 : 8000);
        return () => clearTimeout(timer);
    }, [shown]);
    return (
        <div role="status">
            {shown && (
                <div class="toast">
                    <span>{shown.text}</span>
                    {shown.undo && (
                        <Button
                            small
                            writes
                            onClick={() => {
                                toast.set(null);
                                shown.undo?.act();
                            }}
                        >
                            {shown.undo.name}
                        </Button>
                    )}
                    <button type="button" class="icon-btn" aria-label="Dismiss" onClick={() => toast.set(null)}>
                        <Icon name="x" />
                    </button>
                </div>
            )}
        </div>
    );
}
