// The people of the organization.
import { useState } from "preact/hooks";
import { roleName } from "../access";
import { api, call } from "../api/client";
import { now, useCell } from "../cell";
import { fullName, useMay, usePeople, type Person } from "../data";
import { list, of, span, timeOf } from "../format";
import { changed, useAction } from "../load";
import { me } from "../me";
import { route, to } from "../route";
import { toast } from "../ui/banner";
import { ConfirmDelete } from "../ui/dialog";
import { Search, Segments, Toolbar } from "../ui/filters";
import { Badge } from "../ui/icon";
import { Menu, NothingMatches, PAGE, Pager, pageOf, Shown, Table, type Column } from "../ui/table";
import { EditPerson, Invite, inviteAgain } from "./people-forms";
import { NewLink, NotYours, Page } from "./page";

function PersonState({ of: person }: { of: Person }) {
    const present = useCell(now);
    const until = timeOf(person.invitedUntil);
    if (person.deletedAt) {
        return (
            <Badge tone="off" glyph="square">
                Deleted
            </Badge>
        );
    }
    if (person.validated) {
        return (
            <Badge tone="ok" glyph="on">
                Active
            </Badge>
        );
    }
    return until !== null && until > present ? (
        <Badge tone="go" glyph="ring">
            Invited, {span(until - present)} left
        </Badge>
    ) : (
        <Badge tone="warn" glyph="tri">
            Invitation expired
        </Badge>
    );
}

const COLUMNS: readonly Column<Person>[] = [
    {
        name: "Name",
        show: (person) => (
            <>
                <span class="name">{fullName(person)}</span>
                <span class="sub">{person.email}</span>
            </>
        ),
    },
    { name: "State", kind: "bare state", show: (person) => <PersonState of={person} /> },
    { name: "Role", show: (person) => roleName(person.orgRole) },
];

/** The screen of people. */
export function People({ part, more }: { part: string | undefined; more: string | undefined }) {
    const { query } = useCell(route);
    const own = useCell(me);
    const sees = useMay("seePeople");
    const manager = useMay("managePeople");
    const audit = useMay("readAudit");
    const people = usePeople();
    const acting = useAction();
    const [deleting, setDeleting] = useState<Person | null>(null);
    if (!own) return null;
    if (!sees) return <NotYours title="People" right="seePeople" />;

    const search = query.get("search") ?? "";
    const deleted = query.get("show") === "deleted";
    const page = pageOf(query);
    const all = people.data ?? [];
    const found = all.filter(
        (person) => Boolean(person.deletedAt) === deleted && `${fullName(person)} ${person.email} ${person.id}`.toLowerCase().includes(search.toLowerCase()),
    );
    const gone = all.filter(({ deletedAt }) => deletedAt).length;
    const edited = all.find(({ id }) => id === part);
    return (
        <Page
            title="People"
            about="You cannot grant, change or revoke a role above your own."
            actions={<NewLink href="#/people/invite">Invite</NewLink>}
            problem={acting.problem}
        >
            {part === "invite" && <Invite />}
            {edited && manager && <EditPerson key={edited.id} person={edited} role={more === "role"} />}
            <Shown of={people}>
                {() => (
                    <>
                        {gone > 0 && (
                            <Segments
                                label="Show"
                                path="people"
                                name="show"
                                value={deleted ? "deleted" : ""}
                                options={[
                                    { value: "", text: "Present", count: all.length - gone },
                                    { value: "deleted", text: "Deleted", count: gone },
                                ]}
                            />
                        )}
                        <Toolbar label="Filter people" path="people" keep={deleted ? { show: "deleted" } : {}} set={search !== ""}>
                            <Search label="Find a person" placeholder="Name or e-mail" name="search" value={search} />
                        </Toolbar>
                        {found.length === 0 ? (
                            <NothingMatches what="person" path="people" />
                        ) : (
                            <>
                                <Table
                                    caption="People"
                                    columns={COLUMNS}
                                    rows={found.slice(page * PAGE, (page + 1) * PAGE)}
                                    id={({ id }) => id}
                                    actions={(person) => {
                                        const below = person.orgRole <= own.orgRole;
                                        const self = person.id === own.id;
                                        const present = !person.deletedAt;
                                        return (
                                            <Menu
                                                of={`Actions for ${fullName(person)}`}
                                                actions={[
                                                    self && { name: "Password and sessions", href: "#/account" },
                                                    below && present && !person.validated && { name: "New invitation", act: () => acting.run(() => inviteAgain(person)), writes: true },
                                                    manager && below && present && !self && { name: "Change role", href: to(`people/${person.id}/role`) },
                                                    manager && below && present && { name: "Change name", href: to(`people/${person.id}/name`) },
                                                    audit && { name: "Show in the log", href: to("audit", { actorId: person.id }) },
                                                    manager && below && !present && { name: "Activate", act: () => acting.run(() => activate(person)), writes: true },
                                                    manager &&
                                                        below &&
                                                        present &&
                                                        !self && { name: person.validated ? "Delete" : "Withdraw", act: () => setDeleting(person), danger: true },
                                                ]}
                                            />
                                        );
                                    }}
                                />
                                <Pager page={page} total={found.length} />
                            </>
                        )}
                    </>
                )}
            </Shown>
            {deleting && <DeletePerson of={deleting} onClose={() => setDeleting(null)} />}
        </Page>
    );
}

async function activate(person: Person): Promise<void> {
    await call(api.POST("/organization/users/{userId}/activate", { params: { path: { userId: person.id } } }));
    toast.set({ text: `${fullName(person)} can sign in again, with the password from before.` });
    changed("people");
}

function DeletePerson({ of: person, onClose }: { of: Person; onClose: () => void }) {
    return (
        <ConfirmDelete
            title={person.validated ? `Delete ${fullName(person)}?` : `Withdraw the invitation of ${fullName(person)}?`}
            about={
                person.validated
                    ? "All sessions and access tokens end now. API keys that this person created stay valid. You can activate the account again."
                    : "The link that you passed on does not work from now on."
            }
            what={person.validated ? "Delete person" : "Withdraw invitation"}
            act={async () => {
                const answer = await call(api.DELETE("/organization/users/{userId}", { params: { path: { userId: person.id } } }));
                const named = answer.apiKeys.slice(0, 3).map(({ apiKeyName }) => apiKeyName);
                const left = answer.apiKeysTotal === 0 ? "" : ` ${of(answer.apiKeysTotal, "API key")} of theirs stay valid: ${list(named)}.`;
                toast.set({ text: `${fullName(person)} was deleted.${left}`, undo: { name: "Undo", act: () => void activate(person).catch(() => undefined) } });
            }}
            refresh={["people"]}
            onClose={onClose}
        />
    );
}
