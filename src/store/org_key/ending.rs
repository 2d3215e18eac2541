//! Organization keys that end soon or have ended, and the nodes that still use them.

use rusqlite::{Row, params};

use crate::domain::expiry::Span;
use crate::domain::id::{OrgId, OrgKeyId};
use crate::domain::time::Time;
use crate::store::{ReadTx, StoreError, WriteTx};

/// The keys that end and are not deleted.
const ENDS: &str = "retire_at IS NOT NULL AND deleted_at IS NULL";

/// A key that ends soon or has ended.
#[derive(Clone, Copy, Debug)]
pub struct Ending {
    /// The key's id.
    pub key: OrgKeyId,
    /// The organization that it belongs to.
    pub org: OrgId,
    /// When it ends.
    pub end: Time,
}

/// Returns keys that end in `span` and had no notice at `days` or fewer days, the first to end first. With 0 days: those
/// that have ended.
pub fn unannounced(tx: &ReadTx<'_>, span: Span, days: u32, most: u32) -> Result<Vec<Ending>, StoreError> {
    let sql = format!(
        "SELECT id, org, retire_at FROM org_key WHERE {ENDS} AND retire_at > ?1 AND retire_at <= ?2
         AND (announced IS NULL OR announced > ?3) ORDER BY retire_at LIMIT ?4"
    );
    tx.rows(&sql, params![span.0.millis(), span.1.millis(), days, most], ending)
}

/// Records that a key's end was announced this many days before.
pub fn announced(tx: &WriteTx<'_>, key: OrgKeyId, days: u32) -> Result<(), StoreError> {
    tx.execute("UPDATE org_key SET announced = ?2 WHERE id = ?1", params![key.as_bytes(), days]).map(drop)
}

/// Returns the keys that end in `span` and that nodes still use, with the number of these nodes, the first to end first.
pub fn in_use(tx: &ReadTx<'_>, span: Span) -> Result<Vec<(Ending, i64)>, StoreError> {
    let sql = format!(
        "SELECT id, org, retire_at, (SELECT count(*) FROM node WHERE node.key = org_key.id) AS nodes FROM org_key
         WHERE {ENDS} AND retire_at > ?1 AND retire_at <= ?2 ORDER BY retire_at"
    );
    let found = tx.rows(&sql, params![span.0.millis(), span.1.millis()], |row| Ok((ending(row)?, row.get(3)?)))?;
    Ok(found.into_iter().filter(|(_, nodes)| *nodes > 0).collect())
}

fn ending(row: &Row<'_>) -> rusqlite::Result<Ending> {
    let (key, org) = (OrgKeyId::from_bytes(row.get(0)?), OrgId::from_bytes(row.get(1)?));
    Ok(Ending { key, org, end: Time::from_millis(row.get(2)?) })
}
