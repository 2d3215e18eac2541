// The frame of a screen: its heading, one sentence, its actions, and what is the case on every screen.
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { whoMay, type Right } from "../access";
import type { Problem } from "../api/problem";
import { Conditions, ProblemBanner } from "../ui/banner";
import { Icon } from "../ui/icon";

/** A screen. */
export function Page({ title, about, crumb, actions, problem, children }: {
    title: string;
    about?: ComponentChildren;
    /** The list that the screen belongs to. */
    crumb?: { href: string; name: string };
    actions?: ComponentChildren;
    problem?: Problem | null;
    children: ComponentChildren;
}) {
    useEffect(() => {
        document.title = `${title} · orgkeys`;
    }, [title]);
    return (
        <>
            <Conditions />
            <div class="head">
                <div>
                    {crumb && (
                        <p class="crumb">
                            <a href={crumb.href}>{crumb.name}</a> / {title}
                        </p>
                    )}
                    <h1>{title}</h1>
                    {about && <p>{about}</p>}
                </div>
                {actions && <div class="row">{actions}</div>}
            </div>
            {problem && !problem.cancelled && <ProblemBanner problem={problem} />}
            {children}
        </>
    );
}

/** A screen that the person's role may not see: which roles may. */
export function NotYours({ title, right }: { title: string; right: Right }) {
    return (
        <Page title={title}>
            <div class="empty">
                <Icon name="info" />
                <h2>{whoMay(right)} can see this</h2>
                <p>Your role does not permit it. Ask one of them to show you, or to change your role.</p>
            </div>
        </Page>
    );
}

/** The main action of a screen, as a link to its form. */
export function NewLink({ href, children, primary = true }: { href: string; children: ComponentChildren; primary?: boolean }) {
    return (
        <a class={primary ? "btn primary" : "btn"} href={href}>
            {primary && <Icon name="plus" />}
            {children}
        </a>
    );
}
