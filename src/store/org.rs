//! Organizations and their profiles.

use rusqlite::{Row, params};

use super::{ReadTx, StoreError, WriteTx};
use crate::domain::id::OrgId;
use crate::domain::org::{About, Org};
use crate::domain::time::Time;

const COLUMNS: &str = "id, name, created_at, domain, website, address1, address2, city, zipcode, phone, state, country,
    is_business";

/// Inserts an organization.
pub fn insert(tx: &WriteTx<'_>, org: &Org) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO org (id, name, created_at) VALUES (?1, ?2, ?3)",
        params![org.id.as_bytes(), org.name, org.created_at.millis()],
    )?;
    update(tx, org)
}

/// Returns the organizations that have at least this many nodes, including deleted ones, and how many, the most first.
pub fn with_nodes(tx: &ReadTx<'_>, at_least: u32) -> Result<Vec<(OrgId, u32)>, StoreError> {
    let sql = "SELECT id, nodes FROM org WHERE nodes >= ?1 ORDER BY nodes DESC, id";
    tx.rows(sql, [at_least], |row| Ok((OrgId::from_bytes(row.get(0)?), row.get(1)?)))
}

/// Stores an organization's name and profile.
pub fn update(tx: &WriteTx<'_>, org: &Org) -> Result<(), StoreError> {
    let about = &org.about;
    tx.execute(
        "UPDATE org SET name = ?2, domain = ?3, website = ?4, address1 = ?5, address2 = ?6, city = ?7, zipcode = ?8,
             phone = ?9, state = ?10, country = ?11, is_business = ?12 WHERE id = ?1",
        params![
            org.id.as_bytes(),
            org.name,
            about.domain,
            about.website,
            about.address1,
            about.address2,
            about.city,
            about.zipcode,
            about.phone,
            about.state,
            about.country,
            about.is_business
        ],
    )
    .map(drop)
}

/// Returns the organization with this id.
pub fn find(tx: &ReadTx<'_>, id: OrgId) -> Result<Option<Org>, StoreError> {
    tx.row(&format!("SELECT {COLUMNS} FROM org WHERE id = ?1"), [id.as_bytes()], org)
}

/// Returns up to `most` organizations, newest first.
pub fn list(tx: &ReadTx<'_>, most: u32) -> Result<Vec<Org>, StoreError> {
    tx.rows(&format!("SELECT {COLUMNS} FROM org ORDER BY id DESC LIMIT ?1"), [most], org)
}

/// Returns the organization that was created first.
pub fn first(tx: &ReadTx<'_>) -> Result<Option<OrgId>, StoreError> {
    tx.row("SELECT id FROM org ORDER BY id LIMIT 1", [], |row| Ok(OrgId::from_bytes(row.get(0)?)))
}

/// Returns whether the organization exists.
pub fn exists(tx: &ReadTx<'_>, org: OrgId) -> Result<bool, StoreError> {
    Ok(tx.row("SELECT 1 FROM org WHERE id = ?1", [org.as_bytes()], |_| Ok(()))?.is_some())
}

/// Returns the organization of a server that has exactly one.
pub fn only(tx: &ReadTx<'_>) -> Result<Option<OrgId>, StoreError> {
    let ids = tx.rows("SELECT id FROM org LIMIT 2", [], |row| Ok(OrgId::from_bytes(row.get(0)?)))?;
    Ok(if let [id] = ids[..] { Some(id) } else { None })
}

fn org(row: &Row<'_>) -> rusqlite::Result<Org> {
    let about = About {
        domain: row.get(3)?,
        website: row.get(4)?,
        address1: row.get(5)?,
        address2: row.get(6)?,
        city: row.get(7)?,
        zipcode: row.get(8)?,
        phone: row.get(9)?,
        state: row.get(10)?,
        country: row.get(11)?,
        is_business: row.get(12)?,
    };
    let created_at = Time::from_millis(row.get(2)?);
    Ok(Org { id: OrgId::from_bytes(row.get(0)?), name: row.get(1)?, created_at, about })
}
