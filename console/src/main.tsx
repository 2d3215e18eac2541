// The console: what is shown depends on whether somebody has signed in, and on the part of the URL after #.
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Problem } from "./api/problem";
import { question } from "./api/transport";
import { useCell } from "./cell";
import { startLive } from "./live";
import { leave, me, meet, signedIn } from "./me";
import { invitation, route } from "./route";
import { Screen } from "./screens/screen";
import { SetUp } from "./screens/set-up";
import { Ask, Door, SignIn } from "./screens/sign-in";
import { Shortcuts } from "./shell/keyboard";
import { Shell } from "./shell/shell";
import { ProblemBanner, Toast } from "./ui/banner";
import { Button } from "./ui/form";
import { SecretPlace } from "./ui/secret";

function Console() {
    const invited = useCell(invitation);
    const inside = useCell(signedIn);
    const own = useCell(me);
    const asked = useCell(question);
    const here = useCell(route);
    const [problem, setProblem] = useState<Problem | null>(null);

    const begin = (): void => {
        setProblem(null);
        meet().catch((thrown: unknown) => setProblem(Problem.from(thrown)));
    };
    useEffect(() => {
        if (inside && !invited && !me.value) begin();
    }, [inside, invited]);
    useEffect(() => (own ? startLive() : undefined), [own?.id]);
    useEffect(() => {
        // There is nothing to lose yet, so the page for signing in is enough.
        if (asked?.kind === "sign-in" && !own) leave();
    }, [asked, own]);

    if (invited) return <SetUp key={invited.token} {...invited} />;
    if (!inside) return <SignIn />;
    if (!own) {
        return problem && !problem.cancelled ? (
            <Door>
                <ProblemBanner problem={problem} />
                <Button onClick={begin}>Try again</Button>
            </Door>
        ) : null;
    }
    return (
        <>
            <Shell>
                <Screen route={here} />
            </Shell>
            <SecretPlace />
            <Shortcuts />
            <Toast />
            {asked && <Ask key={asked.kind} question={asked} />}
        </>
    );
}

const place = document.getElementById("app");
if (place) render(<Console />, place);
