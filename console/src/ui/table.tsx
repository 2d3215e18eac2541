// The one table. It keeps its roles, because styles that make cards of it on phones would take them away.
import { Fragment, type ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Loaded } from "../load";
import { count } from "../format";
import { filter, to } from "../route";
import { ProblemBanner } from "./banner";
import { Button, useNoRoom } from "./form";
import { Icon } from "./icon";

/** A column: what stands above it, and what it shows of a row. */
export interface Column<Row> {
    name: string;
    show: (row: Row) => ComponentChildren;
    /** `n` numbers; `opt`, `opt-2` leave first when it is narrow; `state` and `bare` need no label on phones. */
    kind?: string;
}

/** A table of rows. The first column names the row. */
export function Table<Row>({ caption, columns, rows, id, actions, look = "", header = 0, rowClass, details, above }: {
    caption: string;
    columns: readonly Column<Row>[];
    rows: readonly Row[];
    id: (row: Row) => string;
    actions?: (row: Row) => ComponentChildren;
    /** A look of its own, such as that of a chain. */
    look?: "chain" | "";
    /** The column that names the row, if it is not the first. */
    header?: number;
    rowClass?: (row: Row) => string;
    /** What stands below a row that is open. */
    details?: (row: Row) => ComponentChildren;
    /** A line above the first row. */
    above?: ComponentChildren;
}) {
    return (
        <table role="table" class={`table ${look}`}>
            <caption class="vh">{caption}</caption>
            <thead role="rowgroup">
                <tr role="row">
                    {columns.map(({ name, kind = "" }) => (
                        <th key={name} role="columnheader" scope="col" class={kind.replace(/bare|state|corner/g, "").trim() || undefined}>
                            {name}
                        </th>
                    ))}
                    {actions && (
                        <th role="columnheader" scope="col">
                            <span class="vh">Actions</span>
                        </th>
                    )}
                </tr>
            </thead>
            <tbody role="rowgroup">
                {above && (
                    <tr role="row" class="missed">
                        <td role="cell" />
                        <td role="cell" colSpan={columns.length - 1}>
                            {above}
                        </td>
                    </tr>
                )}
                {rows.map((row) => {
                    const more = details?.(row);
                    return (
                        <Fragment key={id(row)}>
                            <tr role="row" class={[rowClass?.(row), more && "open"].filter(Boolean).join(" ") || undefined}>
                                {columns.map(({ name, kind, show }, at) =>
                                    at === header ? (
                                        <th key={name} role="rowheader" scope="row" class={kind}>
                                            {show(row)}
                                        </th>
                                    ) : (
                                        <td key={name} role="cell" class={kind} data-label={name}>
                                            {show(row)}
                                        </td>
                                    ),
                                )}
                                {actions && (
                                    <td role="cell" class="act">
                                        {actions(row)}
                                    </td>
                                )}
                            </tr>
                            {more && (
                                <tr role="row" class={`${rowClass?.(row) ?? ""} part`}>
                                    <td role="cell" />
                                    <td role="cell" colSpan={columns.length - 1}>
                                        {more}
                                    </td>
                                </tr>
                            )}
                        </Fragment>
                    );
                })}
            </tbody>
        </table>
    );
}

/** Something that can be done with a row. `writes` if it needs room on the server's disk. */
export type Action = { name: string; act?: () => void; href?: string; danger?: boolean; writes?: boolean } | null | false;

/** The menu of a row. What destroys stands last and apart. */
export function Menu({ of, actions, up }: { of: string; actions: readonly Action[]; up?: boolean }) {
    const menu = useRef<HTMLDetailsElement>(null);
    const noRoom = useNoRoom();
    const shown = actions.filter((action): action is Exclude<Action, null | false> => Boolean(action));
    useEffect(() => {
        const close = (event: Event): void => {
            const open = menu.current?.open && !(event.target instanceof Node && menu.current.contains(event.target));
            if (open && menu.current) menu.current.open = false;
        };
        addEventListener("pointerdown", close);
        addEventListener("focusin", close);
        return () => {
            removeEventListener("pointerdown", close);
            removeEventListener("focusin", close);
        };
    }, []);
    if (shown.length === 0) return null;
    const close = (): void => {
        if (menu.current) menu.current.open = false;
    };
    return (
        <details
            ref={menu}
            class={up ? "menu up" : "menu"}
            onKeyDown={(event) => {
                if (event.key !== "Escape" || !menu.current?.open) return;
                event.stopPropagation();
                close();
                menu.current.querySelector("summary")?.focus();
            }}
        >
            <summary class="icon-btn" aria-label={of}>
                <Icon name="dots" />
            </summary>
            <ul>
                {shown.map(({ name, act, href, danger, writes }, at) => (
                    <li key={name} class={danger && at > 0 ? "apart" : undefined}>
                        {href ? (
                            <a href={href} onClick={close}>
                                {name}
                            </a>
                        ) : (
                            <button
                                type="button"
                                class={danger ? "danger" : undefined}
                                aria-disabled={writes && noRoom ? "true" : undefined}
                                title={(writes && noRoom) || undefined}
                                onClick={() => {
                                    if (writes && noRoom) return;
                                    act?.();
                                    close();
                                }}
                            >
                                {name}
                            </button>
                        )}
                    </li>
                ))}
            </ul>
        </details>
    );
}

/** The rows of a page. There are never more of them in the document. */
export const PAGE = 50;

/** Which page of the list the URL names, from 0. */
export function pageOf(query: URLSearchParams): number {
    const page = Number(query.get("page") ?? 1);
    return Number.isInteger(page) && page > 0 ? page - 1 : 0;
}

/** `1 to 50 of 132`, and the way to the others. */
export function Pager({ page, total, note }: { page: number; total: number; note?: ComponentChildren }) {
    const last = Math.min(total, (page + 1) * PAGE);
    const turn = (by: number): void => {
        filter({ page: page + by === 0 ? null : page + by + 1 });
        scrollTo({ top: 0 });
    };
    return (
        <div class="pager">
            <span>
                {total > 0 && `${count(Math.min(page * PAGE + 1, total))} to ${count(last)} of ${count(total)}.`} {note}
            </span>
            {total > PAGE && (
                <span class="row">
                    <Button small why={page === 0 ? "This is the first page" : null} onClick={() => turn(-1)}>
                        Previous
                    </Button>
                    <Button small why={last >= total ? "This is the last page" : null} onClick={() => turn(1)}>
                        Next
                    </Button>
                </span>
            )}
        </div>
    );
}

/** Shows a load: what failed, lines where rows will be if it takes longer than a moment, and then the data. */
export function Shown<T>({ of, children }: { of: Loaded<T>; children: (data: T) => ComponentChildren }) {
    return (
        <>
            {of.problem && !of.problem.cancelled && (
                <div class="gap">
                    <ProblemBanner problem={of.problem} />
                </div>
            )}
            {of.data !== undefined ? children(of.data) : of.slow && !of.problem ? <Skeleton /> : null}
        </>
    );
}

function Skeleton() {
    return (
        <div class="skeleton gap" role="status">
            <span class="vh">Loading</span>
            {[0, 1, 2, 3, 4].map((line) => (
                <i key={line} />
            ))}
        </div>
    );
}

/** A list with nothing in it: what it is for, the action, and the same as a command line. */
export function Empty({ icon, title, children, action, command }: {
    icon: string;
    title: string;
    children: ComponentChildren;
    action?: ComponentChildren;
    command?: ComponentChildren;
}) {
    return (
        <div class="empty">
            <Icon name={icon} />
            <h2>{title}</h2>
            <p>{children}</p>
            {action && <div class="row">{action}</div>}
            {command}
        </div>
    );
}

/** A list whose filters hide everything. */
export function NothingMatches({ what, path }: { what: string; path: string }) {
    return (
        <Empty
            icon="search"
            title={`No ${what} matches`}
            action={
                <a class="btn" href={to(path)}>
                    Clear search and filters
                </a>
            }
        >
            The search or the filters hide the rest.
        </Empty>
    );
}
