//! Checks whether an owner or administrator is about to be locked out because their access token expires.

use super::{Finding, unreadable};
use crate::domain::time::Time;
use crate::store::backup::Snapshot;
use crate::store::token::ending::{self, EndingOf};

/// The maximum number of tokens that are named; the rest are only counted.
const NAMED: u32 = 3;

/// Reports the access tokens of owners and administrators that expire soon.
pub(super) fn expiring(snapshot: &Snapshot, now: Time) -> Finding {
    let read =
        snapshot.read(|tx| Ok::<_, crate::store::StoreError>((ending::list(tx, now, NAMED)?, ending::count(tx, now)?)));
    let (first, count) = match read {
        Ok(read) => read,
        Err(error) => return unreadable("tokens", &error.into()),
    };
    if first.is_empty() {
        return Finding::well("tokens", "No access token of an owner or administrator expires within 14 days");
    }
    let named = first.iter().map(|EndingOf { token, email, end }| format!("{token} of {email} at {end}"));
    let mut named = named.collect::<Vec<_>>().join(", ");
    if count > i64::from(NAMED) {
        named = format!("{named}, and {} more", count - i64::from(NAMED));
    }
    Finding::act(
        "tokens",
        format!("Access tokens of owners and administrators expire within 14 days: {named}"),
        "Create new ones (POST /token, or `orgkeys token create --user EMAIL`), then revoke these \
        (DELETE /token/{tokenId}, or `orgkeys token revoke ID`)",
    )
}
