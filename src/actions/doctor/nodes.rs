//! Is there room for more nodes? Whether an organization has nearly as many as it may.

use super::{Finding, unreadable};
use crate::store::backup::Snapshot;
use crate::store::org;

/// From nine tenths of the limit on somebody should act.
pub(super) fn limit(snapshot: &Snapshot, most: u32) -> Finding {
    let near = most - most / 10;
    let full = match snapshot.read(|tx| org::with_nodes(tx, near)) {
        Ok(full) => full,
        Err(error) => return unreadable("nodes", &error.into()),
    };
    let Some((org, count)) = full.first() else {
        return Finding::well(
            "nodes",
            format!("Every organization has fewer than {near} of the {most} nodes that it may"),
        );
    };
    let others = match full.len() - 1 {
        0 => String::new(),
        others => format!("; {others} more have {near} or more"),
    };
    Finding::act(
        "nodes",
        format!("{org} has {count} of the {most} nodes that it may, deleted ones included{others}"),
        "Unregister nodes that are gone (POST /unregister, signed with a key of the organization; deleted ones must be \
         activated before), or raise nodes_max, and signed_rate with it",
    )
}
