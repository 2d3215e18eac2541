//! Was this signature used before? Remembered past every restart, and forgotten when its moment is long over.

use std::time::Duration;

use rusqlite::params;
use sha2::{Digest, Sha256};

use super::{ReadTx, StoreError, WriteTx};
use crate::crypto::signed_request::Signature;
use crate::domain::node::WIDEST_WINDOW;
use crate::domain::time::Time;

/// How long a used signature is kept past the moment that it states.
pub const KEPT: Duration = WIDEST_WINDOW.saturating_mul(2);

/// Forgotten with each use, so that a busy time is cleared up as fast as it came, and no call pays for many.
const FORGOTTEN_AT_ONCE: u32 = 4;

/// Forgets some used signatures that are over at `now`; gives the latest moment that one of them states.
pub fn forget(tx: &WriteTx<'_>, now: Time) -> Result<Option<Time>, StoreError> {
    let over = params![now.minus(KEPT).millis(), FORGOTTEN_AT_ONCE];
    let sql = "SELECT signed_at, digest FROM used_signature WHERE signed_at < ?1 ORDER BY signed_at LIMIT ?2";
    let used: Vec<Used> = tx.rows(sql, over, |row| Ok((row.get(0)?, row.get(1)?)))?;
    let sql = "DELETE FROM used_signature WHERE signed_at = ?1 AND digest = ?2";
    used.iter().try_for_each(|(signed_at, digest)| tx.execute(sql, params![signed_at, digest]).map(drop))?;
    Ok(used.last().map(|(signed_at, _)| Time::from_millis(*signed_at)))
}

/// Uses a signature up; `false` when it was used before, on any call.
pub fn spend(tx: &WriteTx<'_>, signature: &Signature, signed_at: Time) -> Result<bool, StoreError> {
    let sql = "INSERT INTO used_signature (signed_at, digest) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    Ok(tx.execute(sql, params![signed_at.millis(), digest(signature)])? == 1)
}

/// Whether a signature was used, on any call.
pub fn is_used(tx: &ReadTx<'_>, signature: &Signature, signed_at: Time) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM used_signature WHERE signed_at = ?1 AND digest = ?2";
    Ok(tx.row(sql, params![signed_at.millis(), digest(signature)], |_| Ok(()))?.is_some())
}

fn digest(signature: &Signature) -> [u8; 32] {
    Sha256::digest(signature).into()
}

/// A used signature: the moment that it states, in milliseconds, and its digest.
pub type Used = (i64, [u8; 32]);

/// The used signatures that state `since` or a later moment.
pub fn used_since(tx: &ReadTx<'_>, since: Time) -> Result<Vec<Used>, StoreError> {
    let sql = "SELECT signed_at, digest FROM used_signature WHERE signed_at >= ?1";
    tx.rows(sql, [since.millis()], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Takes over signatures that another database knows as used.
pub fn keep(tx: &WriteTx<'_>, used: &[Used]) -> Result<(), StoreError> {
    let sql = "INSERT INTO used_signature (signed_at, digest) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    used.iter().try_for_each(|(signed_at, digest)| tx.execute(sql, params![signed_at, digest]).map(drop))
}
