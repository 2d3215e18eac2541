//! What is remembered of an organization?

use rusqlite::{Row, params};

use super::{ReadTx, StoreError, WriteTx};
use crate::domain::id::OrgId;
use crate::domain::time::Time;
use crate::domain::user::Org;

/// Adds an organization.
pub fn insert(tx: &WriteTx<'_>, org: &Org) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO org (id, name, created_at) VALUES (?1, ?2, ?3)",
        params![org.id.as_bytes(), org.name, org.created_at.millis()],
    )
    .map(drop)
}

/// All organizations, newest first.
pub fn list(tx: &ReadTx<'_>) -> Result<Vec<Org>, StoreError> {
    tx.rows("SELECT id, name, created_at FROM org ORDER BY id DESC", [], org)
}

/// Whether there is such an organization.
pub fn exists(tx: &ReadTx<'_>, org: OrgId) -> Result<bool, StoreError> {
    Ok(tx.row("SELECT 1 FROM org WHERE id = ?1", [org.as_bytes()], |_| Ok(()))?.is_some())
}

/// The one organization of a server that holds exactly one.
pub fn only(tx: &ReadTx<'_>) -> Result<Option<OrgId>, StoreError> {
    let ids = tx.rows("SELECT id FROM org LIMIT 2", [], |row| Ok(OrgId::from_bytes(row.get(0)?)))?;
    Ok(if let [id] = ids[..] { Some(id) } else { None })
}

fn org(row: &Row<'_>) -> rusqlite::Result<Org> {
    Ok(Org { id: OrgId::from_bytes(row.get(0)?), name: row.get(1)?, created_at: Time::from_millis(row.get(2)?) })
}
