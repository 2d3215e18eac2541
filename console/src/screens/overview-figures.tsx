// The figures of the overview: what the organization holds, and what gateways asked.
import { api, call } from "../api/client";
import { useOpenInvitations } from "../attention";
import { now, useCell } from "../cell";
import { useApiKeys, useMay, usePeople, type Key } from "../data";
import { count, hour, of, timeOf } from "../format";
import { useLoad } from "../load";
import { mine } from "../me";
import { Bars, Legend, Spark } from "../ui/charts";

function useStatistics() {
    return useLoad(useMay("readAudit") ? "statistics" : null, (signal) =>
        call(api.GET("/organization/{orgId}/statistics", { params: { path: { orgId: mine().orgId }, query: { days: 1 } }, signal })),
    ).data;
}

/** The last 24 hours, oldest first. */
function hours(present: number): number[] {
    const last = Math.floor(present / 3_600_000) * 3_600_000;
    return Array.from({ length: 24 }, (_, at) => last - (23 - at) * 3_600_000);
}

/** What the organization holds. */
export function Tiles({ nodes, silent, keys }: { nodes: number | undefined; silent: number; keys: readonly Key[] | undefined }) {
    const present = useCell(now);
    const apiKeys = useApiKeys().data;
    const people = usePeople().data?.filter(({ deletedAt }) => !deletedAt);
    const { open } = useOpenInvitations();
    const statistics = useStatistics();
    const heard = hours(present).map(
        (each) => statistics?.data.find(({ kind, outcome, hour: at }) => kind === "node" && outcome === "heard" && timeOf(at) === each)?.count ?? 0,
    );
    const retiring = keys?.filter(({ state }) => state === "retiring").length ?? 0;
    const active = keys?.filter(({ state }) => state === "active").length;
    const unused = apiKeys?.filter(({ lastUsed }) => lastUsed === null).length ?? 0;
    return (
        <section aria-labelledby="holds">
            <h2 id="holds" class="vh">
                What this organization holds
            </h2>
            <dl class="tiles">
                {keys && (
                    <div class="tile">
                        <dt>Keys</dt>
                        <dd>
                            <div class="figure">{active}</div>
                            <span class="sub">{retiring > 0 ? `${retiring} more ${retiring === 1 ? "is" : "are"} retiring` : "none is retiring"}</span>
                        </dd>
                    </div>
                )}
                <div class="tile">
                    <dt>Nodes</dt>
                    <dd>
                        <div class="figure">{nodes === undefined ? "–" : count(nodes)}</div>
                        {statistics && heard.some((value) => value > 0) && (
                            <Spark of={heard} finding={`Nodes heard from per hour over 24 hours: from ${heard[0]} to ${heard[heard.length - 1]}`} />
                        )}
                        <span class="sub">{nodes === undefined ? "" : silent === 0 ? "none is silent" : `${count(nodes - silent)} active, ${count(silent)} silent`}</span>
                    </dd>
                </div>
                <div class="tile">
                    <dt>API keys</dt>
                    <dd>
                        <div class="figure">{apiKeys ? count(apiKeys.length) : "–"}</div>
                        <span class="sub">{unused > 0 ? `${unused} never used` : "all were used"}</span>
                    </dd>
                </div>
                {people && (
                    <div class="tile">
                        <dt>People</dt>
                        <dd>
                            <div class="figure">{count(people.length)}</div>
                            <span class="sub">{open === 0 ? "no invitation is open" : `${of(open, "invitation")} ${open === 1 ? "is" : "are"} open`}</span>
                        </dd>
                    </div>
                )}
            </dl>
        </section>
    );
}

/** How many API keys were verified in the last 24 hours, and with what outcome. */
export function Verifications() {
    const present = useCell(now);
    const statistics = useStatistics();
    const checks = statistics?.data.filter(({ kind }) => kind === "verification") ?? [];
    const sum = (items: readonly { count: number }[]): number => items.reduce((total, item) => total + item.count, 0);
    const bars = hours(present).map((each) => {
        const these = checks.filter(({ hour: at }) => timeOf(at) === each);
        const good = sum(these.filter(({ outcome }) => outcome === "VALID"));
        const bad = sum(these) - good;
        return { title: `${hour(each)} UTC: ${good} accepted, ${bad} refused`, good, bad };
    });
    const good = sum(checks.filter(({ outcome }) => outcome === "VALID"));
    const bad = sum(checks) - good;
    const codes = new Map<string, number>();
    for (const { outcome, count: times } of checks) if (outcome !== "VALID") codes.set(outcome, (codes.get(outcome) ?? 0) + times);
    const [most] = [...codes].sort(([, a], [, b]) => b - a);
    return (
        <>
            <div class="head">
                <h2 id="verifications">API keys verified, last 24 hours</h2>
            </div>
            <figure class="panel">
                <Legend
                    of={[
                        ["f1", "Accepted", good],
                        ["f-bad", "Refused", bad],
                    ]}
                />
                <Bars of={bars} finding={`API keys verified per hour: ${good} accepted, ${bad} refused`} />
                <div class="axis" aria-hidden="true">
                    {[0, 6, 12, 18].map((at) => (
                        <span key={at}>{hour(hours(present)[at] ?? 0)}</span>
                    ))}
                    <span>now</span>
                </div>
                <figcaption class="sub">
                    {most ? (
                        <>
                            Most refusals: <code>{most[0]}</code>, {of(most[1], "time")}.
                        </>
                    ) : good === 0 ? (
                        "No gateway has asked yet."
                    ) : (
                        "None was refused."
                    )}
                </figcaption>
            </figure>
        </>
    );
}
