// Deleting organization keys: what it would break is asked first, and can be undone for a day.
import { api, call, type Schema } from "../api/client";
import { keyName, useOrganization, type Key } from "../data";
import { of, relative, timeOf } from "../format";
import { changed, useLoad } from "../load";
import { mine } from "../me";
import { toast } from "../ui/banner";
import { ConfirmDelete } from "../ui/dialog";

const LISTS = ["keys", "nodes", "impact"];

/** Which nodes the deletion of a key, or of all of them, would concern. */
export function useImpact(key: string | null, wanted = true): Schema["OrganizationKeyImpact"] | undefined {
    return useLoad(wanted ? `impact ${key ?? "all"}` : null, async (signal) => {
        const params = { path: { idOrg: mine().orgId }, query: key ? { key } : {} };
        return (await call(api.GET("/organization/{idOrg}/keys/impact", { params, signal }))).data;
    }).data;
}

/** Restores a key that was deleted. */
export async function restoreKey(key: Key): Promise<void> {
    await call(api.POST("/organization/{idOrg}/key/{idKey}/restore", { params: { path: { idOrg: mine().orgId, idKey: key.id } } }));
    toast.set({ text: `${keyName(key)} is in use again.` });
    changed(...LISTS);
}

function about(impact: Schema["OrganizationKeyImpact"] | undefined): string {
    if (!impact) return "Asking which nodes use it.";
    if (impact.nodes === 0) return "No node uses it. Signatures made with it are refused from now on.";
    const last = timeOf(impact.lastUsed);
    const heard = last === null ? "" : `, the last ${relative(last, Date.now())}`;
    return `${of(impact.nodes, "node")} last registered with it; ${impact.heardToday} of them were heard from within 24 hours${heard}. They are refused from now on, until they sign with another key.`;
}

function Sample({ impact }: { impact: Schema["OrganizationKeyImpact"] | undefined }) {
    if (!impact || impact.sample.length === 0) return null;
    const rest = impact.nodes - Math.min(5, impact.sample.length);
    return (
        <p class="sub">
            {impact.sample.slice(0, 5).map((address, at) => (
                <>
                    {at > 0 && ", "}
                    <code key={address}>{address}</code>
                </>
            ))}
            {rest > 0 && ` and ${of(rest, "other")}`}
        </p>
    );
}

/** Asks before a key is deleted. */
export function DeleteKey({ of: key, onClose, done }: { of: Key; onClose: () => void; done?: () => void }) {
    const impact = useImpact(key.id);
    return (
        <ConfirmDelete
            title={`Delete ${keyName(key)}?`}
            about={`${about(impact)} You can restore it within 24 hours.`}
            what="Delete key"
            typed={impact && impact.nodes === 0 ? null : key.name || key.id.slice(-4)}
            act={async () => {
                await call(api.DELETE("/organization/{idOrg}/key/{idKey}", { params: { path: { idOrg: mine().orgId, idKey: key.id } } }));
                toast.set({ text: `${keyName(key)} was deleted.`, undo: { name: "Restore", act: () => void restoreKey(key).catch(() => undefined) } });
            }}
            refresh={LISTS}
            done={done}
            onClose={onClose}
        >
            <Sample impact={impact} />
        </ConfirmDelete>
    );
}

/** Asks before all keys are deleted. */
export function DeleteAllKeys({ onClose }: { onClose: () => void }) {
    const impact = useImpact(null);
    const name = useOrganization().data?.name ?? "delete";
    return (
        <ConfirmDelete
            title={`Delete all ${impact ? impact.keys : ""} keys?`}
            about={
                impact
                    ? `Every node of the organization is refused from now on: ${of(impact.nodes, "node")}, ${impact.heardToday} of them heard from within 24 hours.`
                    : "Asking which nodes use them."
            }
            what="Delete all keys"
            typed={name}
            act={async () => {
                await call(api.DELETE("/organization/{idOrg}/key", { params: { path: { idOrg: mine().orgId } } }));
                toast.set({ text: "All keys were deleted. They can be restored one by one within 24 hours." });
            }}
            refresh={LISTS}
            onClose={onClose}
        >
            <Sample impact={impact} />
        </ConfirmDelete>
    );
}
