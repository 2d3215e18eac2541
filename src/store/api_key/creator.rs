//! The API keys that a user created: those that an administrator should rotate once the user is deleted.

use rusqlite::params;

use super::id;
use crate::domain::id::{ApiKeyId, UserId};
use crate::domain::time::Time;
use crate::store::{ReadTx, StoreError};

/// The keys that a user created and that have not expired.
const CREATED: &str = "FROM api_key WHERE created_by = ?1 AND (expire_at IS NULL OR expire_at > ?2)";

/// Returns the id and the name of up to `most` of these keys, newest first, and the total number.
pub fn created_by(
    tx: &ReadTx<'_>,
    user: UserId,
    now: Time,
    most: u32,
) -> Result<(Vec<(ApiKeyId, String)>, i64), StoreError> {
    let sql = format!("SELECT count(*) {CREATED}");
    let total = tx.row(&sql, params![user.as_bytes(), now.millis()], |row| row.get(0))?;
    let sql = format!("SELECT id, name {CREATED} ORDER BY id DESC LIMIT ?3");
    let keys = tx.rows(&sql, params![user.as_bytes(), now.millis(), most], |row| Ok((id(row, 0)?, row.get(1)?)))?;
    Ok((keys, total.unwrap_or(0)))
}
