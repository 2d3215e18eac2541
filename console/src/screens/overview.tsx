// The overview: what needs somebody comes first.
import { api, call } from "../api/client";
import { useAttention } from "../attention";
import { now, useCell } from "../cell";
import { lastCheck, type Entry } from "../chain";
import { useKeys, useMay, useNodes } from "../data";
import { count, of } from "../format";
import { useLoad } from "../load";
import { live } from "../live";
import { me, mine } from "../me";
import { Icon } from "../ui/icon";
import { Onward, Time } from "../ui/text";
import { actorOf, sentenceOf, useCalled } from "../words";
import { Tiles, Verifications } from "./overview-figures";
import { useTodos } from "./overview-todos";
import { NewLink, Page } from "./page";

/** A check that is older than this is worth repeating, in milliseconds. */
const MONTH = 30 * 86_400_000;

/** The changes that are shown. */
const SHOWN = 8;

/** The screen that opens first. */
export function Overview() {
    const own = useCell(me);
    const attention = useAttention();
    const todos = useTodos(attention);
    const manager = useMay("manageKeys");
    const adds = useMay("addPeople");
    const keys = useKeys();
    const all = useNodes({ take: 1 });
    if (!own) return null;
    const first = manager && keys.data?.length === 0 && all.data?.total === 0;
    if (manager && !first && !(keys.data && all.data)) return <Page title="Overview">{null}</Page>;
    if (first) return <FirstSteps name={own.name} />;
    return (
        <Page
            title="Overview"
            about={attention.known ? (todos.length === 0 ? "Nothing needs attention." : `${of(todos.length, "thing")} ${todos.length === 1 ? "needs" : "need"} attention.`) : "Looking at what needs attention."}
            actions={
                <>
                    {adds && (
                        <NewLink href="#/people/invite" primary={!manager}>
                            Invite
                        </NewLink>
                    )}
                    {manager && <NewLink href="#/keys/new">New key</NewLink>}
                </>
            }
        >
            {todos.length > 0 && (
                <section aria-labelledby="todo">
                    <h2 id="todo" class="vh">
                        Needs attention
                    </h2>
                    <ul class="todo" role="list">
                        {todos.map(({ icon, mark, title, about, href, link }) => (
                            <li key={title}>
                                <Icon name={icon} mark={mark} />
                                <div>
                                    <b>{title}</b>
                                    <span class="sub">{about}</span>
                                </div>
                                <Onward href={href}>{link}</Onward>
                            </li>
                        ))}
                    </ul>
                </section>
            )}
            <Tiles nodes={all.data?.total} silent={attention.silentTotal} keys={keys.data} />
            {manager && (
                <section class="cols">
                    <div role="group" aria-labelledby="verifications">
                        <Verifications />
                        <Checked />
                    </div>
                    <div role="group" aria-labelledby="events">
                        <Events />
                    </div>
                </section>
            )}
        </Page>
    );
}

/** What this browser's last check of the audit log has found. */
function Checked() {
    const present = useCell(now);
    const check = lastCheck(mine().orgId);
    const stale = check !== null && present - check.at > MONTH;
    if (!check) {
        return (
            <p class="gap">
                <Onward href="#/audit">Verify the audit log</Onward>
            </p>
        );
    }
    return (
        <div class="seal gap">
            <svg aria-hidden="true">
                <use href="#seal" />
            </svg>
            <div>
                <h3>Chain verified</h3>
                <span class="sub">
                    Up to entry {count(check.to)}, checked by this browser <Time at={check.at} />
                    {stale && ". Check it again."}
                </span>
            </div>
            <Onward href="#/audit">Open the log</Onward>
        </div>
    );
}

/** The changes among the newest entries. Most entries may be reads, so if the first page has too few, a longer one is read. */
async function latestChanges(signal: AbortSignal): Promise<Entry[]> {
    const changes: Entry[] = [];
    let before: number | undefined;
    for (const limit of [100, 1000]) {
        const params = { path: { orgId: mine().orgId }, query: { order: "newest" as const, limit, ...(before && { before }) } };
        const { data } = await call(api.GET("/organization/{orgId}/audit", { params, signal }));
        changes.push(...data.filter(({ change }) => change !== null));
        before = data.at(-1)?.seq;
        if (changes.length >= SHOWN || data.length < limit) break;
    }
    return changes.slice(0, SHOWN);
}

/** The changes that were made last. */
function Events() {
    const streaming = useCell(live);
    const called = useCalled();
    const check = lastCheck(mine().orgId);
    const entries = useLoad("latest", latestChanges).data;
    return (
        <>
            <div class="head">
                <h2 id="events">Latest events</h2>
                {streaming && <span class="live">Live</span>}
            </div>
            <ol class="timeline" role="list">
                {(entries ?? []).map((entry: Entry) => (
                    <li key={entry.seq} class={check && entry.seq <= check.to ? "sealed" : undefined}>
                        <span>
                            <b>{entry.actorKind === "node" ? <code>{actorOf(entry, called)}</code> : actorOf(entry, called)}</b> {sentenceOf(entry, called)}
                        </span>
                        <Time at={entry.at} />
                    </li>
                ))}
            </ol>
            {entries?.length === 0 && <p class="quiet">There are no changes among the latest entries.</p>}
            <p class="gap">
                <Onward href="#/audit">All entries</Onward>
            </p>
        </>
    );
}

/** The three steps after which the first node is in. */
function FirstSteps({ name }: { name: string }) {
    return (
        <Page title={`Welcome, ${name}`} about="Three steps, in this order, and the first node is in.">
            <div class="start">
                <section class="panel" aria-labelledby="one">
                    <h2 id="one">1. Make a key</h2>
                    <p>orgkeys makes an RSA pair and keeps the public half. You download the private half once.</p>
                    <NewLink href="#/keys/new">New key</NewLink>
                </section>
                <section class="panel" aria-labelledby="two">
                    <h2 id="two">2. Register a node</h2>
                    <p>The node signs its address, region and time with the private half.</p>
                    <a class="btn" href="#/nodes/register">
                        Show the lines
                    </a>
                </section>
                <section class="panel" aria-labelledby="three">
                    <h2 id="three">3. Invite somebody</h2>
                    <p>So that you are not the only one who can get in. No mail server is needed.</p>
                    <a class="btn" href="#/people/invite">
                        Invite
                    </a>
                </section>
            </div>
        </Page>
    );
}
