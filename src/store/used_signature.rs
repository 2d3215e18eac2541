//! Used signatures, to refuse replays even after a restart. They are removed long after their timestamp.

use std::time::Duration;

use rusqlite::params;
use sha2::{Digest, Sha256};

use super::{ReadTx, StoreError, WriteTx};
use crate::crypto::signed_request::Signature;
use crate::domain::node::WIDEST_WINDOW;
use crate::domain::time::Time;

/// How long a used signature is stored after its timestamp.
pub const KEPT: Duration = WIDEST_WINDOW.saturating_mul(2);

/// How many old signatures are removed with each new one. Old rows disappear as fast as they came, and no call pays for
/// many.
const FORGOTTEN_AT_ONCE: u32 = 4;

/// Removes some signatures that are no longer needed at `now`; returns the latest timestamp among them.
pub fn remove_old(tx: &WriteTx<'_>, now: Time) -> Result<Option<Time>, StoreError> {
    let over = params![now.minus(KEPT).millis(), FORGOTTEN_AT_ONCE];
    let sql = "SELECT signed_at, digest FROM used_signature WHERE signed_at < ?1 ORDER BY signed_at LIMIT ?2";
    let used: Vec<UsedSignature> = tx.rows(sql, over, |row| Ok((row.get(0)?, row.get(1)?)))?;
    let sql = "DELETE FROM used_signature WHERE signed_at = ?1 AND digest = ?2";
    used.iter().try_for_each(|(signed_at, digest)| tx.execute(sql, params![signed_at, digest]).map(drop))?;
    Ok(used.last().map(|(signed_at, _)| Time::from_millis(*signed_at)))
}

/// Records a signature as used; `false` if it was used before, on any call.
pub fn insert(tx: &WriteTx<'_>, signature: &Signature, signed_at: Time) -> Result<bool, StoreError> {
    let sql = "INSERT INTO used_signature (signed_at, digest) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    Ok(tx.execute(sql, params![signed_at.millis(), digest(signature)])? == 1)
}

/// Returns whether a signature was used, on any call.
pub fn is_used(tx: &ReadTx<'_>, signature: &Signature, signed_at: Time) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM used_signature WHERE signed_at = ?1 AND digest = ?2";
    Ok(tx.row(sql, params![signed_at.millis(), digest(signature)], |_| Ok(()))?.is_some())
}

fn digest(signature: &Signature) -> [u8; 32] {
    Sha256::digest(signature.as_ref()).into()
}

/// A used signature: its timestamp in milliseconds, and its digest.
pub type UsedSignature = (i64, [u8; 32]);

/// Returns the used signatures with a timestamp at `since` or later.
pub fn used_since(tx: &ReadTx<'_>, since: Time) -> Result<Vec<UsedSignature>, StoreError> {
    let sql = "SELECT signed_at, digest FROM used_signature WHERE signed_at >= ?1";
    tx.rows(sql, [since.millis()], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Adds signatures that another database recorded as used.
pub fn insert_all(tx: &WriteTx<'_>, used: &[UsedSignature]) -> Result<(), StoreError> {
    let sql = "INSERT INTO used_signature (signed_at, digest) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    used.iter().try_for_each(|(signed_at, digest)| tx.execute(sql, params![signed_at, digest]).map(drop))
}
