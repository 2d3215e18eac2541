// The seal: what a check of the chain has found, by whom and when.
import { useEffect, useRef, useState } from "preact/hooks";
import { Problem } from "../api/problem";
import { verify, type Verdict } from "../chain";
import { count, date, span } from "../format";
import { mine } from "../me";
import { to } from "../route";
import { Button } from "../ui/form";
import { copyText, Time } from "../ui/text";
import { toast } from "../ui/banner";

interface Checking {
    busy: boolean;
    progress: { done: number; all: number } | null;
    verdict: Verdict | null;
    problem: Problem | null;
    start(): void;
}

/** Checks the chain of the organization when it is asked to. */
export function useVerify(): Checking {
    const [progress, setProgress] = useState<Checking["progress"]>(null);
    const [verdict, setVerdict] = useState<Verdict | null>(null);
    const [problem, setProblem] = useState<Problem | null>(null);
    const running = useRef<AbortController | null>(null);
    useEffect(() => () => running.current?.abort(), []);
    const start = (): void => {
        if (running.current) return;
        const own = (running.current = new AbortController());
        setProblem(null);
        setVerdict(null);
        setProgress({ done: 0, all: 0 });
        verify(mine().orgId, (done, all) => setProgress({ done, all }), own.signal)
            .then(setVerdict)
            .catch((thrown: unknown) => {
                if (!own.signal.aborted) setProblem(Problem.from(thrown));
            })
            .finally(() => {
                running.current = null;
                setProgress(null);
            });
    };
    return { busy: progress !== null, progress, verdict, problem, start };
}

/** What the last check of this browser has found. Without one, it says how to begin. */
export function Seal({ verdict, progress }: { verdict: Verdict | null; progress: { done: number; all: number } | null }) {
    if (progress) {
        return (
            <section class="panel" role="status" aria-label="Check of the chain">
                <p>
                    Verifying the chain: {count(progress.done)} of {count(progress.all)} entries.
                </p>
                <progress max={Math.max(1, progress.all)} value={progress.done} aria-label="Entries verified" />
            </section>
        );
    }
    if (!verdict) return null;
    if (verdict.broken) {
        const { seq, why, expected, found } = verdict.broken;
        return (
            <section class="seal broken" role="alert" aria-labelledby="seal-title">
                <svg aria-hidden="true">
                    <use href="#seal-broken" />
                </svg>
                <div>
                    <h2 id="seal-title">The chain breaks at entry {count(seq)}</h2>
                    <p>
                        {why}: the log on disk was changed. Keep the file and the heads that you copied, and run <code>orgkeys audit verify</code> on the server.
                    </p>
                    <span class="sub">
                        Expected <code class="chip">{cut(expected)}</code> found <code class="chip">{cut(found)}</code>
                    </span>
                </div>
                <a class="btn" href={to("audit", { before: seq + 2 })}>
                    Show entry {count(seq)}
                </a>
            </section>
        );
    }
    const copy = async (): Promise<void> => {
        const head = JSON.stringify({ org: mine().orgId, seq: verdict.to, hash: verdict.hash });
        toast.set({ text: (await copyText(head)) ? "Copied. Keep it elsewhere: “orgkeys audit verify --head” compares it." : "Could not copy." });
    };
    return (
        <section class="seal" role="status" aria-labelledby="seal-title">
            <svg aria-hidden="true">
                <use href="#seal" />
            </svg>
            <div>
                <h2 id="seal-title">Chain verified</h2>
                <p>
                    Entries {count(verdict.from)} to {count(verdict.to)} each hold the hash of the one before.
                    {verdict.continues && ` The log continues what this browser saw on ${date(verdict.continues.at)}, entry ${count(verdict.continues.seq)}.`}
                </p>
                <span class="sub">
                    Checked <Time at={verdict.at} /> in {span(verdict.took)}. Head <code class="chip">{cut(verdict.hash)}</code>
                </span>
            </div>
            <Button icon="copy" onClick={() => void copy()}>
                Copy head
            </Button>
        </section>
    );
}

const cut = (hash: string): string => (hash.length > 20 ? `${hash.slice(0, 8)}…${hash.slice(-8)}` : hash);
