//! Checks whether nodes are about to be locked out because the key that they sign with ends.

use super::{Finding, unreadable};
use crate::actions::org_key::ending::SOON;
use crate::domain::time::Time;
use crate::store::backup::Snapshot;
use crate::store::org_key::ending::{Ending, in_use};

/// The maximum number of keys that are named; the rest are only counted.
const NAMED: usize = 3;

/// Reports the organization keys that end within a day while nodes still use them.
pub(super) fn retiring(snapshot: &Snapshot, now: Time) -> Finding {
    let found = match snapshot.read(|tx| in_use(tx, (now, now.plus(SOON)))) {
        Ok(found) => found,
        Err(error) => return unreadable("keys", &error.into()),
    };
    if found.is_empty() {
        return Finding::well("keys", "No organization key that nodes still sign with retires within a day");
    }
    let named = found.iter().take(NAMED).map(|(Ending { key, org, end }, nodes)| {
        let nodes = if *nodes == 1 { "1 node signs".to_owned() } else { format!("{nodes} nodes sign") };
        format!("{nodes} with {key} of {org}, which retires at {end}")
    });
    let mut named = named.collect::<Vec<_>>().join(", ");
    match found.len().saturating_sub(NAMED) {
        0 => {}
        1 => named.push_str(", and 1 more key"),
        more => named = format!("{named}, and {more} more keys"),
    }
    Finding::act(
        "keys",
        named,
        "Copy the successor to these nodes (GET /organization/{orgId}/nodes?keyId=... lists them), or give the key more \
        time (PUT /organization/{idOrg}/key/{idKey} with a later retireAt)",
    )
}
