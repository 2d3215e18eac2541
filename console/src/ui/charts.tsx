// Charts, drawn by hand. Each says its finding in words, and its numbers stand beside it.
import { count } from "../format";

/** The parts of a chart: the class that fills each, its name and its number. */
export function Legend({ of: parts }: { of: readonly (readonly [fill: string, name: string, number: number])[] }) {
    return (
        <ul class="legend" role="list">
            {parts.map(([fill, name, number]) => (
                <li key={name}>
                    <svg viewBox="0 0 10 10" aria-hidden="true">
                        <rect class={fill} width="10" height="10" rx="2" />
                    </svg>
                    {name} <b>{count(number)}</b>
                </li>
            ))}
        </ul>
    );
}

/** Bars of two kinds on top of each other, one pair for each hour. */
export function Bars({ of: bars, finding }: { of: readonly { title: string; good: number; bad: number }[]; finding: string }) {
    const most = Math.max(1, ...bars.map(({ good, bad }) => good + bad));
    const width = bars.length * 10;
    return (
        <svg class="bars" viewBox={`0 0 ${width} 100`} preserveAspectRatio="none" role="img" aria-label={finding}>
            {bars.map(({ title, good, bad }, at) => {
                const height = (good / most) * 94;
                const refused = bad === 0 ? 0 : Math.max(2, (bad / most) * 94);
                return (
                    <g key={title}>
                        <title>{title}</title>
                        <rect class="f1" x={at * 10 + 2.5} y={100 - height} width="5" height={height} />
                        {refused > 0 && <rect class="f-bad" x={at * 10 + 2.5} y={100 - height - refused} width="5" height={refused} />}
                    </g>
                );
            })}
            <path class="base" d={`M0 100H${width}`} />
        </svg>
    );
}

/** A line of some values, for a tile. */
export function Spark({ of: values, finding }: { of: readonly number[]; finding: string }) {
    if (values.length < 2) return null;
    const most = Math.max(1, ...values);
    const points = values.map((value, at) => [(at / (values.length - 1)) * 88, 26 - (value / most) * 24] as const);
    const line = points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
    const [x = 88, y = 26] = points[points.length - 1] ?? [];
    return (
        <svg class="spark" viewBox="0 0 88 28" role="img" aria-label={finding}>
            <path class="area" d={`M0 28 L${line.replaceAll(" ", " L")} L88 28z`} />
            <polyline points={line} />
            <circle class="now" cx={x} cy={y} r="3" />
        </svg>
    );
}
