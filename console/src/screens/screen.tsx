// Which screen the URL names.
import type { Route } from "../route";
import { Account } from "./account";
import { ApiKeyScreen } from "./api-key";
import { ApiKeys } from "./api-keys";
import { KeyScreen } from "./key";
import { Keys } from "./keys";
import { Nodes } from "./nodes";
import { Audit } from "./audit";
import { Organization } from "./organization";
import { Overview } from "./overview";
import { Page } from "./page";
import { People } from "./people";
import { Projects, ProjectScreen } from "./projects";
import { WebhookScreen } from "./webhook";
import { Webhooks } from "./webhooks";

/** The screen of a place. */
export function Screen({ route: { path } }: { route: Route }) {
    const [screen = "", part, more] = path;
    switch (screen) {
        case "":
            return <Overview />;
        case "audit":
            return <Audit />;
        case "account":
            return <Account part={part} />;
        case "api-keys":
            return part && /^\d+$/.test(part) ? <ApiKeyScreen id={part} part={more} /> : <ApiKeys part={part} />;
        case "keys":
            return part?.startsWith("key-") ? <KeyScreen id={part} part={more} /> : <Keys part={part} />;
        case "nodes":
            return <Nodes part={part} />;
        case "people":
            return <People part={part} more={more} />;
        case "projects":
            return part?.startsWith("project-") ? <ProjectScreen id={part} part={more} /> : <Projects part={part} />;
        case "webhooks":
            return part?.startsWith("webhook-") ? <WebhookScreen id={part} part={more} /> : <Webhooks part={part} />;
        case "organization":
            return <Organization part={part} />;
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
