// One API key: its facts, and what can be done with it.
import { useState } from "preact/hooks";
import { roleName } from "../access";
import { useApiKeys, useMay, useMayChange } from "../data";
import { go, to } from "../route";
import { Button } from "../ui/form";
import { Shown } from "../ui/table";
import { Onward, Time } from "../ui/text";
import { DeleteApiKey, EditApiKey, RotateApiKey } from "./api-key-forms";
import { ApiKeyState, projectsOf } from "./api-keys";
import { Page } from "./page";

const CRUMB = { href: "#/api-keys", name: "API keys" };

/** The screen of an API key. */
export function ApiKeyScreen({ id, part }: { id: string; part: string | undefined }) {
    const keys = useApiKeys();
    const manager = useMay("manageApiKeys");
    const mayChange = useMayChange();
    const audit = useMay("readAudit");
    const [deleting, setDeleting] = useState(false);
    const key = keys.data?.find(({ apiKeyId }) => String(apiKeyId) === id);
    const changeable = key !== undefined && mayChange(key);
    if (keys.data && !key) {
        return (
            <Page title={`API key ${id}`} crumb={CRUMB} about="There is no such API key, or it was deleted.">
                <p>
                    <a href="#/api-keys">All API keys</a>
                </p>
            </Page>
        );
    }
    return (
        <Page
            title={key?.apiKeyName ?? "API key"}
            crumb={CRUMB}
            actions={
                changeable && (
                    <>
                        <a class="btn" href={to(`api-keys/${id}/edit`)}>
                            Edit
                        </a>
                        <a class="btn primary" href={to(`api-keys/${id}/rotate`)}>
                            Rotate
                        </a>
                    </>
                )
            }
        >
            <Shown of={keys}>
                {() =>
                    key && (
                        <>
                            {part === "edit" && changeable && <EditApiKey key={id} apiKey={key} manager={manager} />}
                            {part === "rotate" && changeable && <RotateApiKey key={id} apiKey={key} />}
                            <dl class="facts">
                                <dt>State</dt>
                                <dd>
                                    <ApiKeyState apiKey={key} />
                                </dd>
                                <dt>Secret</dt>
                                <dd>
                                    <code>{key.apiKey}</code> <span class="quiet">(only its ends are known)</span>
                                </dd>
                                <dt>Role</dt>
                                <dd>{roleName(key.roleId)}</dd>
                                <dt>Valid for</dt>
                                <dd>{projectsOf(key)}</dd>
                                <dt>Last used</dt>
                                <dd>
                                    <Time at={key.lastUsed} /> {key.lastUsedAddress && <>from <code>{key.lastUsedAddress}</code></>}
                                </dd>
                                <dt>Valid from</dt>
                                <dd>
                                    <Time at={key.startDate} />
                                </dd>
                                <dt>Ends</dt>
                                <dd>
                                    <Time at={key.hasExpireTime ? key.expireDate : null} below />
                                </dd>
                                <dt>Created</dt>
                                <dd>
                                    <Time at={key.createdAt} none="not recorded" />
                                    {key.createdByName && ` by ${key.createdByName}`}
                                </dd>
                                <dt>Note</dt>
                                <dd>{key.note || <span class="quiet">none</span>}</dd>
                            </dl>
                            <div class="row">
                                {audit && <Onward href={to("audit", { actorId: id })}>What it did, in the log</Onward>}
                                {changeable && (
                                    <Button kind="danger" onClick={() => setDeleting(true)}>
                                        Delete
                                    </Button>
                                )}
                            </div>
                            {deleting && <DeleteApiKey apiKey={key} onClose={() => setDeleting(false)} done={() => go("api-keys")} />}
                        </>
                    )
                }
            </Shown>
        </Page>
    );
}
