//! Which API keys end soon, and how near was their end when it was announced last?

use rusqlite::params;

use super::id;
use crate::domain::id::{ApiKeyId, OrgId};
use crate::domain::time::Time;
use crate::store::{ReadTx, StoreError, WriteTx};

/// The keys whose end somebody should hear of: those that are switched on and have no successor.
const ENDS: &str = "expire_at IS NOT NULL AND disabled = 0 AND rotated_at IS NULL";

/// An API key that ends soon.
#[derive(Clone, Copy, Debug)]
pub struct Ending {
    /// The key.
    pub key: ApiKeyId,
    /// Its organization.
    pub org: OrgId,
    /// Its end.
    pub end: Time,
}

/// When keys end: after the first moment, and at the second or before.
pub type Span = (Time, Time);

/// Keys that end in `span`, of which nothing was announced at `days` or fewer; the next to end first.
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

/// How many keys end in `span`.
pub fn count(tx: &ReadTx<'_>, span: Span) -> Result<i64, StoreError> {
    let sql = format!("SELECT count(*) FROM api_key WHERE {ENDS} AND expire_at > ?1 AND expire_at <= ?2");
    Ok(tx.row(&sql, params![span.0.millis(), span.1.millis()], |row| row.get(0))?.unwrap_or(0))
}

/// Remembers that a key's end was announced so many days before it.
pub fn announced(tx: &WriteTx<'_>, key: ApiKeyId, days: u32) -> Result<(), StoreError> {
    tx.execute("UPDATE api_key SET announced = ?2 WHERE id = ?1", params![key.number(), days]).map(drop)
}
