//! Web sessions: sessions of browsers, which last without a refresh while they are used.

use rusqlite::params;

use super::touched::Touched;
use super::{StoreError, WriteTx, session};
use crate::crypto::secret::TokenDigest;
use crate::domain::id::TokenId;
use crate::domain::session::Session;
use crate::domain::time::Time;

/// Inserts a web session with the digest of its two halves. It begins with a password.
pub fn insert(tx: &WriteTx<'_>, session: &Session, digest: &TokenDigest) -> Result<(), StoreError> {
    session::insert_row(tx, session, digest)?;
    let sql = "INSERT INTO web_session (token, password_at) VALUES (?1, ?2)";
    tx.execute(sql, params![session.id.as_bytes(), session.created_at.millis()]).map(drop)
}

/// Moves the end of a web session, unless it was ended.
pub fn extend(tx: &WriteTx<'_>, id: TokenId, end: Time) -> Result<(), StoreError> {
    tx.touches.add(Touched::Token(id));
    let sql = "UPDATE token SET expires_at = ?2, refresh_until = ?2 WHERE id = ?1 AND revoked_at IS NULL";
    tx.execute(sql, params![id.as_bytes(), end.millis()]).map(drop)
}

/// Records that the password was given again.
pub fn confirm(tx: &WriteTx<'_>, id: TokenId, now: Time) -> Result<(), StoreError> {
    tx.touches.add(Touched::Token(id));
    let sql = "UPDATE web_session SET password_at = ?2 WHERE token = ?1";
    tx.execute(sql, params![id.as_bytes(), now.millis()]).map(drop)
}
