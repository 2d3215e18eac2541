//! Invitations: the digest of the token, the user and the expiry. The token itself is never stored.

use rusqlite::params;

use super::{ReadTx, StoreError, WriteTx};
use crate::crypto::secret::{self, TokenDigest};
use crate::domain::id::UserId;
use crate::domain::time::Time;

/// Stores an invitation for a user and invalidates the previous one.
pub fn put(tx: &WriteTx<'_>, user: UserId, digest: &TokenDigest, expires_at: Time) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO invitation (person, digest, expires_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (person) DO UPDATE SET digest = excluded.digest, expires_at = excluded.expires_at",
        params![user.as_bytes(), digest, expires_at.millis()],
    )
    .map(drop)
}

/// Returns the user and the expiry of the invitation with this digest.
pub fn find(tx: &ReadTx<'_>, digest: &TokenDigest) -> Result<Option<(UserId, Time)>, StoreError> {
    let sql = "SELECT person, expires_at, digest FROM invitation WHERE digest = ?1";
    let found = tx.row(sql, [digest], |row| {
        let invited = (UserId::from_bytes(row.get(0)?), Time::from_millis(row.get(1)?));
        Ok((invited, row.get::<_, TokenDigest>(2)?))
    })?;
    Ok(found.filter(|(_, stored)| secret::equal(stored, digest)).map(|(invited, _)| invited))
}

/// Returns when the invitation of a user ends, if it is open at `now`.
pub fn open_until(tx: &ReadTx<'_>, user: UserId, now: Time) -> Result<Option<Time>, StoreError> {
    let sql = "SELECT expires_at FROM invitation WHERE person = ?1 AND expires_at > ?2";
    tx.row(sql, params![user.as_bytes(), now.millis()], |row| Ok(Time::from_millis(row.get(0)?)))
}

/// Removes the invitation of a user, if there is one.
pub fn end(tx: &WriteTx<'_>, user: UserId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM invitation WHERE person = ?1", [user.as_bytes()]).map(drop)
}
