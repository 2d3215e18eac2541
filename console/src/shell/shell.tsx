// The frame of the console: the rail beside the page, or the bar below it on phones.
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { may, roleName } from "../access";
import { useCell } from "../cell";
import { fullName, useOrganization } from "../data";
import { me, signOut } from "../me";
import { route, to } from "../route";
import { useDue } from "../attention";
import { Icon } from "../ui/icon";
import { SearchEverything } from "../ui/search";
import { Menu } from "../ui/table";
import { helpShown } from "./keyboard";
import { PLACES, type Place } from "./places";

function Link({ place, here, due }: { place: Place; here: boolean; due: { count: number; text: string } | undefined }) {
    return (
        <a href={to(place.path)} aria-current={here ? "page" : undefined}>
            <Icon name={place.icon} />
            {place.name}
            {due && due.count > 0 && (
                <span class="num due">
                    <span aria-hidden="true">{due.count}</span>
                    <span class="vh">, {due.text}</span>
                </span>
            )}
        </a>
    );
}

/** The rail, the search, the person, and the page in `main`. */
export function Shell({ children }: { children: ComponentChildren }) {
    const own = useCell(me);
    const here = useCell(route);
    const organization = useOrganization();
    const due = useDue();
    const main = useRef<HTMLElement>(null);
    const sheet = useRef<HTMLDivElement>(null);
    const first = useRef(true);
    const place = here.path.join("/");
    useEffect(() => {
        sheet.current?.hidePopover();
        // A new screen starts at its top, and screen readers start there too.
        if (!first.current && here.path.length < 2) {
            scrollTo({ top: 0 });
            main.current?.focus({ preventScroll: true });
        }
        first.current = false;
    }, [place]);
    if (!own) return null;
    const places = PLACES.filter(({ right }) => !right || may(own.orgRole, right));
    const group = (wanted: number) =>
        places
            .filter((each) => each.group === wanted)
            .map((each) => (
                <li key={each.path}>
                    <Link place={each} here={(here.path[0] ?? "") === each.path} due={due[each.path]} />
                </li>
            ));
    const name = fullName(own);
    return (
        <>
            <a
                class="skip"
                href="#main"
                onClick={(event) => {
                    event.preventDefault();
                    main.current?.focus();
                }}
            >
                Skip to content
            </a>
            <div class="app">
                <div class="side">
                    <header class="top">
                        <a class="brand" href="#/">
                            <svg class="mark" aria-hidden="true">
                                <use href="#mark" />
                            </svg>
                            <span>
                                <b>{organization.data?.name ?? "orgkeys"}</b>
                                <span class="sub">{location.host}</span>
                            </span>
                        </a>
                        <SearchEverything />
                    </header>
                    <nav class="rail" aria-label="Main">
                        <ul>
                            {group(0)}
                            <li class="more">
                                <button type="button" {...{ popovertarget: "more" }}>
                                    <Icon name="more" />
                                    More
                                </button>
                            </li>
                        </ul>
                        <ul>{group(1)}</ul>
                        <ul>{group(2)}</ul>
                        <div id="more" class="sheet" ref={sheet} {...{ popover: "auto" }}>
                            <ul>
                                {group(1)}
                                {group(2)}
                                <li>
                                    <a href="#/account">
                                        <Icon name="people" />
                                        {name}, your account
                                    </a>
                                </li>
                                <li>
                                    <button type="button" onClick={() => void signOut()}>
                                        <Icon name="out" />
                                        Sign out
                                    </button>
                                </li>
                            </ul>
                        </div>
                    </nav>
                    <section class="me" aria-label="You">
                        <span class="avatar" aria-hidden="true">
                            {initials(name)}
                        </span>
                        <span>
                            <b>{name}</b>
                            <span class="sub">{roleName(own.orgRole)}</span>
                        </span>
                        <Menu
                            of="Your account"
                            up
                            actions={[
                                { name: "Password and sessions", href: "#/account" },
                                { name: "Keyboard shortcuts", act: () => helpShown.set(true) },
                                { name: "Sign out", act: () => void signOut(), danger: true },
                            ]}
                        />
                    </section>
                </div>
                <main id="main" class="page" tabIndex={-1} ref={main}>
                    {children}
                </main>
            </div>
        </>
    );
}

const initials = (name: string): string =>
    name
        .split(/[\s@.]+/)
        .slice(0, 2)
        .map((word) => word.charAt(0).toUpperCase())
        .join("");
