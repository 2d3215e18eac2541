//! What does the server remember of itself? One row.

use rusqlite::params;

use super::{ReadTx, StoreError, WriteTx};
use crate::domain::id::TokenId;
use crate::domain::time::Time;

/// Signed messages from before this moment are refused.
pub fn signed_after(tx: &ReadTx<'_>) -> Result<Time, StoreError> {
    let millis = tx.row("SELECT signed_after FROM server", [], |row| row.get(0))?;
    Ok(Time::from_millis(millis.unwrap_or(0)))
}

/// Refuses signed messages from before `time` from now on.
pub fn set_signed_after(tx: &WriteTx<'_>, time: Time) -> Result<(), StoreError> {
    tx.execute("UPDATE server SET signed_after = ?1", [time.millis()]).map(drop)
}

/// The first token, if it was made and perhaps never shown.
pub fn unannounced_token(tx: &ReadTx<'_>) -> Result<Option<TokenId>, StoreError> {
    let id: Option<Option<[u8; 16]>> = tx.row("SELECT unannounced_token FROM server", [], |row| row.get(0))?;
    Ok(id.flatten().map(TokenId::from_bytes))
}

/// Remembers that a token is yet to be shown, or that none is.
pub fn set_unannounced_token(tx: &WriteTx<'_>, token: Option<TokenId>) -> Result<(), StoreError> {
    tx.execute("UPDATE server SET unannounced_token = ?1", params![token.as_ref().map(TokenId::as_bytes)]).map(drop)
}

/// The time of the last backup that has its event.
pub fn backup_recorded(tx: &ReadTx<'_>) -> Result<Time, StoreError> {
    let millis = tx.row("SELECT backup_recorded FROM server", [], |row| row.get(0))?;
    Ok(Time::from_millis(millis.unwrap_or(0)))
}

/// Remembers that the backup made at `time` has its event.
pub fn set_backup_recorded(tx: &WriteTx<'_>, time: Time) -> Result<(), StoreError> {
    tx.execute("UPDATE server SET backup_recorded = ?1", [time.millis()]).map(drop)
}

/// Changes nothing, durably: shows that the disk still takes writes.
pub fn probe(tx: &WriteTx<'_>) -> Result<(), StoreError> {
    tx.execute("UPDATE server SET backup_recorded = backup_recorded", []).map(drop)
}
