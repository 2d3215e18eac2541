//! Organization keys: the public keys, and the nodes associated with them.

use rusqlite::{Row, params};

use super::{ReadTx, StoreError, WriteTx};
use crate::domain::id::{NodeId, OrgId, OrgKeyId};
use crate::domain::org_key::{KeyNode, OrgKey};
use crate::domain::time::Time;

/// Returns how many keys an organization has.
pub fn count(tx: &ReadTx<'_>, org: OrgId) -> Result<u32, StoreError> {
    let count = tx.row("SELECT count(*) FROM org_key WHERE org = ?1", [org.as_bytes()], |row| row.get(0))?;
    Ok(count.unwrap_or(0))
}

/// Inserts a key; `false` if the organization has `quota` already.
pub fn insert(tx: &WriteTx<'_>, key: &OrgKey, quota: u32) -> Result<bool, StoreError> {
    let added = tx.execute(
        "INSERT INTO org_key (id, org, public_key, created_at)
         SELECT ?1, ?2, ?3, ?4 WHERE (SELECT count(*) FROM org_key WHERE org = ?2) < ?5",
        params![key.id.as_bytes(), key.org.as_bytes(), key.public_key, key.created_at.millis(), quota],
    )?;
    Ok(added == 1)
}

/// Returns the keys of an organization, newest first.
pub fn list(tx: &ReadTx<'_>, org: OrgId) -> Result<Vec<OrgKey>, StoreError> {
    tx.rows(
        "SELECT id, org, public_key, created_at FROM org_key WHERE org = ?1 ORDER BY id DESC",
        [org.as_bytes()],
        key,
    )
}

/// Returns the ids of the keys of an organization, newest first.
pub fn ids(tx: &ReadTx<'_>, org: OrgId) -> Result<Vec<OrgKeyId>, StoreError> {
    let sql = "SELECT id FROM org_key WHERE org = ?1 ORDER BY id DESC";
    tx.rows(sql, [org.as_bytes()], |row| Ok(OrgKeyId::from_bytes(row.get(0)?)))
}

/// Returns the public key; empty if the key does not exist.
pub fn public_key(tx: &ReadTx<'_>, id: OrgKeyId) -> Result<Vec<u8>, StoreError> {
    let found = tx.row("SELECT public_key FROM org_key WHERE id = ?1", [id.as_bytes()], |row| row.get(0))?;
    Ok(found.unwrap_or_default())
}

/// Returns whether an organization has this key.
pub fn exists(tx: &ReadTx<'_>, org: OrgId, id: OrgKeyId) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM org_key WHERE id = ?1 AND org = ?2";
    Ok(tx.row(sql, params![id.as_bytes(), org.as_bytes()], |_| Ok(()))?.is_some())
}

/// Returns the nodes associated with the keys of an organization, newest node first.
pub fn nodes(tx: &ReadTx<'_>, org: OrgId) -> Result<Vec<KeyNode>, StoreError> {
    let sql = "SELECT key, id, ip FROM node WHERE org = ?1 AND key IS NOT NULL ORDER BY id DESC";
    tx.rows(sql, [org.as_bytes()], |row| {
        Ok(KeyNode { key: OrgKeyId::from_bytes(row.get(0)?), node: NodeId::from_bytes(row.get(1)?), ip: row.get(2)? })
    })
}

/// Deletes a key. Returns how many nodes lost it, or `None` if the organization has no such key.
pub fn delete(tx: &WriteTx<'_>, org: OrgId, id: OrgKeyId) -> Result<Option<usize>, StoreError> {
    let nodes = tx.row("SELECT count(*) FROM node WHERE key = ?1", [id.as_bytes()], |row| row.get::<_, i64>(0))?;
    let sql = "DELETE FROM org_key WHERE id = ?1 AND org = ?2";
    let deleted = tx.execute(sql, params![id.as_bytes(), org.as_bytes()])?;
    Ok((deleted == 1).then(|| usize::try_from(nodes.unwrap_or(0)).unwrap_or(0)))
}

/// Deletes every key of an organization. Returns their ids, newest first.
pub fn delete_all(tx: &WriteTx<'_>, org: OrgId) -> Result<Vec<OrgKeyId>, StoreError> {
    let ids = ids(tx, org)?;
    tx.execute("DELETE FROM org_key WHERE org = ?1", [org.as_bytes()])?;
    Ok(ids)
}

fn key(row: &Row<'_>) -> rusqlite::Result<OrgKey> {
    Ok(OrgKey {
        id: OrgKeyId::from_bytes(row.get(0)?),
        org: OrgId::from_bytes(row.get(1)?),
        public_key: row.get::<_, Vec<u8>>(2)?.into(),
        created_at: Time::from_millis(row.get(3)?),
    })
}
