//! API keys that expire soon, and the last expiry notice recorded for each.

use rusqlite::params;

use super::id;
use crate::domain::expiry::Span;
use crate::domain::id::{ApiKeyId, OrgId};
use crate::domain::time::Time;
use crate::store::{ReadTx, StoreError, WriteTx};

/// The keys whose expiry is announced: those that are enabled and have not been rotated.
const ENDS: &str = "expire_at IS NOT NULL AND disabled = 0 AND rotated_at IS NULL";

/// An API key that expires soon.
#[derive(Clone, Copy, Debug)]
pub struct Ending {
    /// The key's id.
    pub key: ApiKeyId,
    /// The organization that the key belongs to.
    pub org: OrgId,
    /// When the key expires.
    pub end: Time,
}

/// Returns keys that expire in `span` and had no notice at `days` or fewer days, the first to expire first.
pub fn unannounced(tx: &ReadTx<'_>, span: Span, days: u32, most: u32) -> Result<Vec<Ending>, StoreError> {
    let sql = format!(
        "SELECT id, org, expire_at FROM api_key WHERE {ENDS} AND expire_at > ?1 AND expire_at <= ?2
         AND (announced IS NULL OR announced > ?3) ORDER BY expire_at LIMIT ?4"
    );
    tx.rows(&sql, params![span.0.millis(), span.1.millis(), days, most], |row| {
        let end = Time::from_millis(row.get(2)?);
        Ok(Ending { key: id(row, 0)?, org: OrgId::from_bytes(row.get(1)?), end })
    })
}

/// Returns how many keys expire in `span`.
pub fn count(tx: &ReadTx<'_>, span: Span) -> Result<i64, StoreError> {
    let sql = format!("SELECT count(*) FROM api_key WHERE {ENDS} AND expire_at > ?1 AND expire_at <= ?2");
    Ok(tx.row(&sql, params![span.0.millis(), span.1.millis()], |row| row.get(0))?.unwrap_or(0))
}

/// Records that a key's expiry was announced this many days before.
pub fn announced(tx: &WriteTx<'_>, key: ApiKeyId, days: u32) -> Result<(), StoreError> {
    tx.execute("UPDATE api_key SET announced = ?2 WHERE id = ?1", params![key.number(), days]).map(drop)
}
