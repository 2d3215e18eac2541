// Which screen the URL names.
import type { Route } from "../route";
import { Account } from "./account";
import { ApiKeyScreen } from "./api-key";
import { ApiKeys } from "./api-keys";
import { KeyScreen } from "./key";
import { Keys } from "./keys";
import { Nodes } from "./nodes";
import { Page } from "./page";

/** The screen of a place. */
export function Screen({ route: { path } }: { route: Route }) {
    const [screen = "", part, more] = path;
    switch (screen) {
        case "account":
            return <Account part={part} />;
        case "api-keys":
            return part && /^\d+$/.test(part) ? <ApiKeyScreen id={part} part={more} /> : <ApiKeys part={part} />;
        case "keys":
            return part?.startsWith("key-") ? <KeyScreen id={part} part={more} /> : <Keys part={part} />;
        case "nodes":
            return <Nodes part={part} />;
        default:
            return (
                <Page title="Not here">
                    <p>
                        There is no such screen. <a href="#/">Overview</a>
                    </p>
                </Page>
            );
    }
}
