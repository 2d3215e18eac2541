//! What the holder of a retired organization key is told.

use super::error::{Error, ErrorKind};
use crate::domain::id::{OrgId, OrgKeyId};
use crate::domain::time::Time;
use crate::store::{self, ReadTx, StoreError};

/// How many successors are followed to find one that verifies.
const STEPS: usize = 16;

/// The error for a signature made with a retired key: which key replaced it, if one did. Only for callers who have proved
/// that they hold the key.
pub(crate) fn refusal(tx: &ReadTx<'_>, org: OrgId, id: OrgKeyId, now: Time) -> Result<Error, StoreError> {
    let key = store::org_key::find(tx, org, id)?;
    let end = key.as_ref().and_then(|key| key.retire_at).unwrap_or(now);
    let advice = successor(tx, org, key.and_then(|key| key.successor), now)?.map_or_else(
        || format!("The key {id} was retired at {end} and has no successor: ask an administrator for another key of the organization, and sign with it"),
        |next| format!("The key {id} was retired at {end}. Its successor is {next}: ask an administrator for the private key of {next}, and sign with it"),
    );
    let message = "The key that made this signature is retired";
    Ok(Error::new(ErrorKind::Invalid, "KEY_RETIRED", message).advising(advice))
}

/// Returns the first of the following keys that verifies, or else the last that is not deleted.
fn successor(tx: &ReadTx<'_>, org: OrgId, first: Option<OrgKeyId>, now: Time) -> Result<Option<OrgKeyId>, StoreError> {
    let (mut next, mut found) = (first, None);
    for _ in 0..STEPS {
        let Some(id) = next else { break };
        let Some(key) = store::org_key::find(tx, org, id)?.filter(|key| key.deleted_at.is_none()) else { break };
        found = Some(id);
        if key.state(now).verifies() {
            break;
        }
        next = key.successor;
    }
    Ok(found)
}
