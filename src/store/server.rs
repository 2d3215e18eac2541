//! The server's own state: one row.

use rusqlite::params;

use super::{ReadTx, StoreError, WriteTx};
use crate::domain::id::TokenId;
use crate::domain::time::Time;

/// The newest id of each table whose ids start with a time.
const NEWEST_IDS: [&str; 8] = [
    "SELECT id FROM org ORDER BY id DESC LIMIT 1",
    "SELECT id FROM person ORDER BY id DESC LIMIT 1",
    "SELECT id FROM token ORDER BY id DESC LIMIT 1",
    "SELECT id FROM org_key ORDER BY id DESC LIMIT 1",
    "SELECT id FROM node ORDER BY id DESC LIMIT 1",
    "SELECT id FROM project ORDER BY id DESC LIMIT 1",
    "SELECT id FROM webhook ORDER BY id DESC LIMIT 1",
    "SELECT id FROM delivery ORDER BY id DESC LIMIT 1",
];

/// Returns the moment before which signed messages are refused.
pub fn signed_after(tx: &ReadTx<'_>) -> Result<Time, StoreError> {
    let millis = tx.row("SELECT signed_after FROM server", [], |row| row.get(0))?;
    Ok(Time::from_millis(millis.unwrap_or(0)))
}

/// Refuses signed messages from before `time` from now on.
pub fn set_signed_after(tx: &WriteTx<'_>, time: Time) -> Result<(), StoreError> {
    tx.execute("UPDATE server SET signed_after = ?1", [time.millis()]).map(drop)
}

/// Returns the latest time in an id that was issued.
pub fn last_id_at(tx: &ReadTx<'_>) -> Result<Time, StoreError> {
    let mut last: Option<[u8; 16]> = None;
    for sql in NEWEST_IDS {
        last = last.max(tx.row(sql, [], |row| row.get(0))?);
    }
    // A UUID version 7 starts with 48 bits of milliseconds.
    let millis = last.map_or(0, |id| id[..6].iter().fold(0, |millis, byte| (millis << 8) | i64::from(*byte)));
    Ok(Time::from_millis(millis))
}

/// Returns the first token, if it was created but perhaps never shown.
pub fn unannounced_token(tx: &ReadTx<'_>) -> Result<Option<TokenId>, StoreError> {
    let id: Option<Option<[u8; 16]>> = tx.row("SELECT unannounced_token FROM server", [], |row| row.get(0))?;
    Ok(id.flatten().map(TokenId::from_bytes))
}

/// Records which token has yet to be shown, or that none has.
pub fn set_unannounced_token(tx: &WriteTx<'_>, token: Option<TokenId>) -> Result<(), StoreError> {
    tx.execute("UPDATE server SET unannounced_token = ?1", params![token.as_ref().map(TokenId::as_bytes)]).map(drop)
}

/// Returns the time of the last backup that is recorded in the audit log.
pub fn backup_recorded(tx: &ReadTx<'_>) -> Result<Time, StoreError> {
    let millis = tx.row("SELECT backup_recorded FROM server", [], |row| row.get(0))?;
    Ok(Time::from_millis(millis.unwrap_or(0)))
}

/// Records that the backup made at `time` is in the audit log; `false` if the last recorded one is no longer the one made
/// at `before`.
pub fn record_backup(tx: &WriteTx<'_>, time: Time, before: Time) -> Result<bool, StoreError> {
    let sql = "UPDATE server SET backup_recorded = ?1 WHERE backup_recorded = ?2";
    Ok(tx.execute(sql, [time.millis(), before.millis()])? == 1)
}

/// Verifies that the disk accepts writes. The value differs each time, because SQLite does not write an unchanged page.
pub fn probe(tx: &WriteTx<'_>, now: Time) -> Result<(), StoreError> {
    let sql = "UPDATE server SET probed_at = CASE WHEN probed_at < ?1 THEN ?1 ELSE probed_at + 1 END";
    tx.execute(sql, [now.millis()]).map(drop)
}
