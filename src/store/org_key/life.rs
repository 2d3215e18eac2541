//! The life of an organization key: its end, its successor, its deletion and its return.

use rusqlite::params;

use crate::domain::id::{OrgId, OrgKeyId};
use crate::domain::org_key::announced;
use crate::domain::time::Time;
use crate::store::{ReadTx, StoreError, WriteTx};

/// How keys are deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// The keys stay, so that the deletion can be undone.
    Undoable(Time),
    /// The keys are gone at once.
    Final,
}

/// Names a key.
pub fn set_name(tx: &WriteTx<'_>, id: OrgKeyId, name: &str) -> Result<(), StoreError> {
    tx.execute("UPDATE org_key SET name = ?2 WHERE id = ?1", params![id.as_bytes(), name]).map(drop)
}

/// Sets when a key ends. One that does not end has no successor.
pub fn set_end(tx: &WriteTx<'_>, id: OrgKeyId, end: Option<Time>, now: Time) -> Result<(), StoreError> {
    let Some(end) = end else {
        let sql = "UPDATE org_key SET retire_at = NULL, announced = NULL, successor = NULL WHERE id = ?1";
        return tx.execute(sql, [id.as_bytes()]).map(drop);
    };
    let sql = "UPDATE org_key SET retire_at = ?2, announced = ?3 WHERE id = ?1";
    tx.execute(sql, params![id.as_bytes(), end.millis(), announced(end, now)]).map(drop)
}

/// Sets whether a key ends as soon as its last node has registered with another key.
pub fn set_retire_unused(tx: &WriteTx<'_>, id: OrgKeyId, retire_unused: bool) -> Result<(), StoreError> {
    let sql = "UPDATE org_key SET retire_unused = ?2 WHERE id = ?1";
    tx.execute(sql, params![id.as_bytes(), i64::from(retire_unused)]).map(drop)
}

/// Sets the key that replaces another, which has an end.
pub fn set_successor(tx: &WriteTx<'_>, id: OrgKeyId, successor: OrgKeyId) -> Result<(), StoreError> {
    let sql = "UPDATE org_key SET successor = ?2 WHERE id = ?1";
    tx.execute(sql, params![id.as_bytes(), successor.as_bytes()]).map(drop)
}

/// Ends a retiring key whose last node has left it, if it is to end then and its successor is there. Returns whether it
/// did.
pub fn retire_if_unused(tx: &WriteTx<'_>, id: OrgKeyId, now: Time) -> Result<bool, StoreError> {
    let sql = "UPDATE org_key SET retire_at = ?2, announced = 0
        WHERE id = ?1 AND retire_unused = 1 AND retire_at > ?2 AND deleted_at IS NULL
        AND successor IN (SELECT id FROM org_key WHERE deleted_at IS NULL)
        AND NOT EXISTS (SELECT 1 FROM node WHERE key = ?1)";
    Ok(tx.execute(sql, params![id.as_bytes(), now.millis()])? == 1)
}

/// Deletes a key, and ends its association with its nodes.
pub fn delete(tx: &WriteTx<'_>, id: OrgKeyId, how: Deletion) -> Result<(), StoreError> {
    match how {
        Deletion::Final => purge(tx, id),
        Deletion::Undoable(now) => {
            tx.execute("UPDATE node SET key = NULL WHERE key = ?1", [id.as_bytes()])?;
            let sql = "UPDATE org_key SET deleted_at = ?2 WHERE id = ?1";
            tx.execute(sql, params![id.as_bytes(), now.millis()]).map(drop)
        }
    }
}

/// Removes a key for good, and ends its association with its nodes.
pub fn purge(tx: &WriteTx<'_>, id: OrgKeyId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM org_key WHERE id = ?1", [id.as_bytes()]).map(drop)
}

/// Undoes the deletion of a key.
pub fn restore(tx: &WriteTx<'_>, id: OrgKeyId) -> Result<(), StoreError> {
    tx.execute("UPDATE org_key SET deleted_at = NULL WHERE id = ?1", [id.as_bytes()]).map(drop)
}

/// Removes the retired keys beyond `retired` and the deleted ones beyond `deleted`, the oldest first.
pub fn give_way(tx: &WriteTx<'_>, org: OrgId, retired: u32, deleted: u32, now: Time) -> Result<(), StoreError> {
    for id in surplus(tx, org, retired, deleted, now)? {
        purge(tx, id)?;
    }
    Ok(())
}

fn surplus(tx: &ReadTx<'_>, org: OrgId, retired: u32, deleted: u32, now: Time) -> Result<Vec<OrgKeyId>, StoreError> {
    let ended = "SELECT id FROM org_key WHERE org = ?1 AND deleted_at IS NULL AND retire_at <= ?2
        ORDER BY retire_at DESC, id DESC LIMIT 1000 OFFSET ?3";
    let id = |row: &rusqlite::Row<'_>| Ok(OrgKeyId::from_bytes(row.get(0)?));
    let mut found = tx.rows(ended, params![org.as_bytes(), now.millis(), retired], id)?;
    // Keys that had already ended when they were deleted give way before those that had not.
    let gone = "SELECT id FROM org_key WHERE org = ?1 AND deleted_at IS NOT NULL
        ORDER BY CASE WHEN retire_at <= deleted_at THEN 1 ELSE 0 END, deleted_at DESC, id DESC LIMIT 1000 OFFSET ?2";
    found.extend(tx.rows(gone, params![org.as_bytes(), deleted], id)?);
    Ok(found)
}
