//! Organization keys: the public keys, and the nodes associated with them.

pub mod ending;
mod life;

use rusqlite::{Row, params};

use super::{ReadTx, StoreError, WriteTx};
use crate::domain::id::{NodeId, OrgId, OrgKeyId};
use crate::domain::org_key::{Impact, KeyNode, OrgKey};
use crate::domain::time::Time;
pub use life::{
    Deletion, delete, give_way, purge, restore, retire_if_unused, set_end, set_name, set_retire_unused, set_successor,
};

const COLUMNS: &str = "id, org, public_key, created_at, name, brought, retire_at, retire_unused, successor, deleted_at";

/// A key that may have made a signature, and when it ends.
pub type Candidate = (OrgKeyId, Option<Time>);

/// Returns how many active keys an organization has. They count against the quota.
pub fn count_active(tx: &ReadTx<'_>, org: OrgId) -> Result<u32, StoreError> {
    let sql = "SELECT count(*) FROM org_key WHERE org = ?1 AND retire_at IS NULL AND deleted_at IS NULL";
    Ok(tx.row(sql, [org.as_bytes()], |row| row.get(0))?.unwrap_or(0))
}

/// Returns how many retiring keys an organization has.
pub fn count_retiring(tx: &ReadTx<'_>, org: OrgId, now: Time) -> Result<u32, StoreError> {
    let sql = "SELECT count(*) FROM org_key WHERE org = ?1 AND retire_at > ?2 AND deleted_at IS NULL";
    Ok(tx.row(sql, params![org.as_bytes(), now.millis()], |row| row.get(0))?.unwrap_or(0))
}

/// Inserts a key; `false` if the organization has `quota` active ones already.
pub fn insert(tx: &WriteTx<'_>, key: &OrgKey, quota: u32) -> Result<bool, StoreError> {
    let added = tx.execute(
        "INSERT INTO org_key (id, org, public_key, created_at, name, brought)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE
         (SELECT count(*) FROM org_key WHERE org = ?2 AND retire_at IS NULL AND deleted_at IS NULL) < ?7",
        params![
            key.id.as_bytes(),
            key.org.as_bytes(),
            key.public_key,
            key.created_at.millis(),
            key.name,
            i64::from(key.brought),
            quota
        ],
    )?;
    Ok(added == 1)
}

/// Returns the keys of an organization, newest first, with those that are retired or deleted.
pub fn list(tx: &ReadTx<'_>, org: OrgId) -> Result<Vec<OrgKey>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM org_key WHERE org = ?1 ORDER BY id DESC");
    tx.rows(&sql, [org.as_bytes()], key)
}

/// Returns a key of an organization, in any state.
pub fn find(tx: &ReadTx<'_>, org: OrgId, id: OrgKeyId) -> Result<Option<OrgKey>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM org_key WHERE id = ?1 AND org = ?2");
    tx.row(&sql, params![id.as_bytes(), org.as_bytes()], key)
}

/// Returns the key of an organization with this public key, in any state.
pub fn find_public(tx: &ReadTx<'_>, org: OrgId, public_key: &[u8]) -> Result<Option<OrgKey>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM org_key WHERE org = ?1 AND public_key = ?2");
    tx.row(&sql, params![org.as_bytes(), public_key], key)
}

/// Returns the keys of an organization that may have made a signature, newest first: those that are not deleted.
pub fn candidates(tx: &ReadTx<'_>, org: OrgId) -> Result<Vec<Candidate>, StoreError> {
    let sql = "SELECT id, retire_at FROM org_key WHERE org = ?1 AND deleted_at IS NULL ORDER BY id DESC";
    tx.rows(sql, [org.as_bytes()], |row| Ok((OrgKeyId::from_bytes(row.get(0)?), time(row, 1)?)))
}

/// Returns the public key; empty if the key does not exist.
pub fn public_key(tx: &ReadTx<'_>, id: OrgKeyId) -> Result<Vec<u8>, StoreError> {
    let found = tx.row("SELECT public_key FROM org_key WHERE id = ?1", [id.as_bytes()], |row| row.get(0))?;
    Ok(found.unwrap_or_default())
}

/// Returns the nodes associated with the keys of an organization, newest node first.
pub fn nodes(tx: &ReadTx<'_>, org: OrgId) -> Result<Vec<KeyNode>, StoreError> {
    let sql = "SELECT key, id, ip, last_contact FROM node WHERE org = ?1 AND key IS NOT NULL ORDER BY id DESC";
    tx.rows(sql, [org.as_bytes()], key_node)
}

/// Returns the nodes associated with a key, newest node first.
pub fn nodes_of(tx: &ReadTx<'_>, key: OrgKeyId) -> Result<Vec<KeyNode>, StoreError> {
    let sql = "SELECT key, id, ip, last_contact FROM node WHERE key = ?1 ORDER BY id DESC";
    tx.rows(sql, [key.as_bytes()], key_node)
}

/// Returns how many nodes are associated with a key.
pub fn count_nodes(tx: &ReadTx<'_>, key: OrgKeyId) -> Result<i64, StoreError> {
    let sql = "SELECT count(*) FROM node WHERE key = ?1";
    Ok(tx.row(sql, [key.as_bytes()], |row| row.get(0))?.unwrap_or(0))
}

/// Returns when a key of an organization ends, if it does; `None` if the organization has no such key or deleted it.
pub fn end(tx: &ReadTx<'_>, org: OrgId, id: OrgKeyId) -> Result<Option<Option<Time>>, StoreError> {
    let sql = "SELECT retire_at FROM org_key WHERE id = ?1 AND org = ?2 AND deleted_at IS NULL";
    tx.row(sql, params![id.as_bytes(), org.as_bytes()], |row| time(row, 0))
}

/// Returns what the deletion of a key, or of all keys of an organization, would do to its nodes. `since` begins the last
/// 24 hours, and at most `most` addresses are named.
pub fn impact(
    tx: &ReadTx<'_>,
    org: OrgId,
    key: Option<OrgKeyId>,
    since: Time,
    most: u32,
) -> Result<Impact, StoreError> {
    let keys = match key {
        Some(_) => 1,
        None => candidates(tx, org)?.len(),
    };
    let counted = "count(*), count(*) FILTER (WHERE last_contact >= ?1), max(last_contact) FROM node WHERE org = ?2";
    let address = |row: &Row<'_>| row.get(0);
    let figures = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, time(row, 2)?));
    let (found, sample) = if let Some(key) = key {
        let sql = format!("SELECT {counted} AND key = ?3");
        let found = tx.row(&sql, params![since.millis(), org.as_bytes(), key.as_bytes()], figures)?;
        let sql = "SELECT ip FROM node WHERE org = ?1 AND key = ?2 ORDER BY last_contact DESC, id DESC LIMIT ?3";
        (found, tx.rows(sql, params![org.as_bytes(), key.as_bytes(), most], address)?)
    } else {
        let sql = format!("SELECT {counted} AND key IS NOT NULL");
        let found = tx.row(&sql, params![since.millis(), org.as_bytes()], figures)?;
        let sql = "SELECT ip FROM node WHERE org = ?1 AND key IS NOT NULL ORDER BY last_contact DESC, id DESC LIMIT ?2";
        (found, tx.rows(sql, params![org.as_bytes(), most], address)?)
    };
    let (nodes, heard_today, last_used) = found.unwrap_or_default();
    let sql = "SELECT count(*) FROM node WHERE org = ?1 AND deleted_at IS NULL";
    let all: i64 = tx.row(sql, [org.as_bytes()], |row| row.get(0))?.unwrap_or(0);
    Ok(Impact { keys, nodes, heard_today, last_used, sample, unaffected: all - nodes })
}

fn key(row: &Row<'_>) -> rusqlite::Result<OrgKey> {
    Ok(OrgKey {
        id: OrgKeyId::from_bytes(row.get(0)?),
        org: OrgId::from_bytes(row.get(1)?),
        public_key: row.get::<_, Vec<u8>>(2)?.into(),
        created_at: Time::from_millis(row.get(3)?),
        name: row.get(4)?,
        brought: row.get(5)?,
        retire_at: time(row, 6)?,
        retire_unused: row.get(7)?,
        successor: row.get::<_, Option<[u8; 16]>>(8)?.map(OrgKeyId::from_bytes),
        deleted_at: time(row, 9)?,
    })
}

fn key_node(row: &Row<'_>) -> rusqlite::Result<KeyNode> {
    let (key, node) = (OrgKeyId::from_bytes(row.get(0)?), NodeId::from_bytes(row.get(1)?));
    Ok(KeyNode { key, node, ip: row.get(2)?, last_contact: Time::from_millis(row.get(3)?) })
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Time>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Time::from_millis))
}
