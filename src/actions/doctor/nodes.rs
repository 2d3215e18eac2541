//! Checks whether any organization is close to its limit of nodes.

use super::{Finding, unreadable};
use crate::store::backup::Snapshot;
use crate::store::org;

/// Reports the organization with the most nodes if it has 90 % of the limit or more.
pub(super) fn limit(snapshot: &Snapshot, most: u32) -> Finding {
    let near = most - most / 10;
    let full = match snapshot.read(|tx| org::with_nodes(tx, near)) {
        Ok(full) => full,
        Err(error) => return unreadable("nodes", &error.into()),
    };
    let Some((org, count)) = full.first() else {
        return Finding::well(
            "nodes",
            format!("Every organization has fewer than {near} of the {most} nodes that nodes_max allows"),
        );
    };
    let others = match full.len() - 1 {
        0 => String::new(),
        1 => format!("; 1 more has {near} or more"),
        others => format!("; {others} more have {near} or more"),
    };
    Finding::act(
        "nodes",
        format!("{org} has {count} of the {most} nodes that nodes_max allows, including deleted ones{others}"),
        "Unregister nodes that no longer exist (POST /unregister, signed with a key of the organization; activate \
        deleted nodes first), or raise nodes_max, and signed_rate with it",
    )
}
