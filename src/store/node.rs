//! Nodes: the profile and the time of the last registration, and the key that verified it.

use rusqlite::{Row, params};

use super::parameters::with_last;
use super::{ReadTx, StoreError, WriteTx};
use crate::domain::id::{NodeId, OrgId, OrgKeyId};
use crate::domain::node::{Node, NodeFilter, NodeProfile, NodeState, Services, ip_key};
use crate::domain::time::Time;

const COLUMNS: &str = "id, org, ip, region, provider, status, version, services, key, last_contact, deleted_at";

/// The nodes that a filter selects, deleted or not.
const SELECTED: &str = "org = ?1 AND last_contact > ?2 AND last_contact <= ?3
    AND (key = ?4 OR ?4 IS NULL) AND (region = ?5 OR ?5 IS NULL) AND (services & ?6 <> 0 OR ?6 = 0)
    AND (lower(ip) LIKE ?7 ESCAPE '!' OR lower(region) LIKE ?7 ESCAPE '!' OR lower(version) LIKE ?7 ESCAPE '!'
        OR id = ?8 OR ?7 IS NULL)";

/// Returns the node of an organization with this address, in any spelling, deleted or not.
pub fn find_by_ip(tx: &ReadTx<'_>, org: OrgId, ip: &str) -> Result<Option<Node>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM node WHERE org = ?1 AND ip_key = ?2");
    tx.row(&sql, params![org.as_bytes(), ip_key(ip)], node)
}

/// Returns the node of an organization with this id, deleted or not.
pub fn find(tx: &ReadTx<'_>, org: OrgId, id: NodeId) -> Result<Option<Node>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM node WHERE org = ?1 AND id = ?2");
    tx.row(&sql, params![org.as_bytes(), id.as_bytes()], node)
}

/// Returns how many nodes an organization has, including deleted ones.
pub fn count(tx: &ReadTx<'_>, org: OrgId) -> Result<u32, StoreError> {
    Ok(tx.row("SELECT nodes FROM org WHERE id = ?1", [org.as_bytes()], |row| row.get(0))?.unwrap_or(0))
}

/// Inserts a node; `false` if the organization has `most` already.
pub fn insert(tx: &WriteTx<'_>, node: &Node, most: u32) -> Result<bool, StoreError> {
    let added = tx.execute(
        "INSERT INTO node (id, org, ip, ip_key, region, provider, status, version, services, key, last_contact)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 WHERE (SELECT nodes FROM org WHERE id = ?2) < ?12",
        params![
            node.id.as_bytes(),
            node.org.as_bytes(),
            node.profile.ip,
            ip_key(&node.profile.ip),
            node.profile.region,
            node.profile.provider,
            node.profile.status,
            node.profile.version,
            node.profile.services.bits(),
            node.key.as_ref().map(OrgKeyId::as_bytes),
            node.last_contact.millis(),
            most
        ],
    )?;
    Ok(added == 1)
}

/// Stores a node's new profile, which may spell its address in another way, and the key that verified it.
pub fn refresh(
    tx: &WriteTx<'_>,
    id: NodeId,
    profile: &NodeProfile,
    key: OrgKeyId,
    now: Time,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE node SET ip = ?2, region = ?3, provider = ?4, status = ?5, version = ?6, services = ?7, key = ?8,
             last_contact = ?9, silent_at = NULL WHERE id = ?1",
        params![
            id.as_bytes(),
            profile.ip,
            profile.region,
            profile.provider,
            profile.status,
            profile.version,
            profile.services.bits(),
            key.as_bytes(),
            now.millis()
        ],
    )
    .map(drop)
}

/// Removes a node from the registry.
pub fn remove(tx: &WriteTx<'_>, id: NodeId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM node WHERE id = ?1", [id.as_bytes()]).map(drop)
}

/// Soft-deletes a node, so that it cannot register again by itself; `false` if it was already deleted.
pub fn delete(tx: &WriteTx<'_>, id: NodeId, now: Time) -> Result<bool, StoreError> {
    let sql = "UPDATE node SET deleted_at = ?2, key = NULL WHERE id = ?1 AND deleted_at IS NULL";
    Ok(tx.execute(sql, params![id.as_bytes(), now.millis()])? == 1)
}

/// Activates a deleted node; `false` if it is not deleted.
pub fn activate(tx: &WriteTx<'_>, id: NodeId) -> Result<bool, StoreError> {
    let sql = "UPDATE node SET deleted_at = NULL WHERE id = ?1 AND deleted_at IS NOT NULL";
    Ok(tx.execute(sql, [id.as_bytes()])? == 1)
}

/// Returns the nodes of an organization that `filter` selects, newest first, and the total number. A node is silent if its
/// last contact was at `since` or before.
pub fn list(
    tx: &ReadTx<'_>,
    org: OrgId,
    filter: &NodeFilter,
    since: Time,
    (skip, take): (u32, u32),
) -> Result<(Vec<Node>, i64), StoreError> {
    match filter {
        NodeFilter { services, key: None, state: None, region: None, search: None } => {
            list_by_services(tx, org, *services, skip, take)
        }
        NodeFilter { services, key: Some(key), state: None, region: None, search: None } if services.bits() == 0 => {
            list_by_key(tx, *key, skip, take)
        }
        _ => find_all(tx, org, filter, since, (skip, take)),
    }
}

/// As [`list`], for all nodes that are not deleted and offer any of `services` (empty: all).
fn list_by_services(
    tx: &ReadTx<'_>,
    org: OrgId,
    services: Services,
    skip: u32,
    take: u32,
) -> Result<(Vec<Node>, i64), StoreError> {
    // Omitted if all nodes are wanted, so that counting and skipping stay within the index.
    let bits = Some(services.bits()).filter(|bits| *bits != 0);
    let having = if bits.is_some() { " AND services & ?2 <> 0" } else { "" };
    let sql = format!("SELECT count(*) FROM node WHERE org = ?1 AND deleted_at IS NULL{having}");
    let total = tx.row(&sql, &*with_last(params![org.as_bytes()], bits.as_ref()), |row| row.get(0))?;
    let having = if bits.is_some() { " AND services & ?4 <> 0" } else { "" };
    let page = format!(
        "SELECT id FROM node WHERE org = ?1 AND deleted_at IS NULL{having} ORDER BY id DESC LIMIT ?2 OFFSET ?3"
    );
    let sql = format!("SELECT {COLUMNS} FROM node WHERE id IN ({page}) ORDER BY id DESC");
    let nodes = tx.rows(&sql, &*with_last(params![org.as_bytes(), take, skip], bits.as_ref()), node)?;
    Ok((nodes, total.unwrap_or(0)))
}

/// As [`list`], for the nodes that are associated with a key.
fn list_by_key(tx: &ReadTx<'_>, key: OrgKeyId, skip: u32, take: u32) -> Result<(Vec<Node>, i64), StoreError> {
    let sql = "SELECT count(*) FROM node WHERE key = ?1";
    let total = tx.row(sql, [key.as_bytes()], |row| row.get(0))?;
    let sql = format!("SELECT {COLUMNS} FROM node WHERE key = ?1 ORDER BY id DESC LIMIT ?2 OFFSET ?3");
    let nodes = tx.rows(&sql, params![key.as_bytes(), take, skip], node)?;
    Ok((nodes, total.unwrap_or(0)))
}

/// As [`list`], for any filter: it looks at every node of the organization.
fn find_all(
    tx: &ReadTx<'_>,
    org: OrgId,
    filter: &NodeFilter,
    since: Time,
    (skip, take): (u32, u32),
) -> Result<(Vec<Node>, i64), StoreError> {
    let deleted = if filter.state == Some(NodeState::Deleted) { "IS NOT NULL" } else { "IS NULL" };
    let (after, until) = match filter.state {
        Some(NodeState::Active) => (since.millis(), i64::MAX),
        Some(NodeState::Silent) => (i64::MIN, since.millis()),
        Some(NodeState::Deleted) | None => (i64::MIN, i64::MAX),
    };
    let (key, bits) = (filter.key.as_ref().map(OrgKeyId::as_bytes), filter.services.bits());
    let pattern = filter.search.as_deref().map(containing);
    let id = filter.search.as_deref().and_then(NodeId::parse);
    let id = id.as_ref().map(NodeId::as_bytes);
    let values = params![org.as_bytes(), after, until, key, filter.region, bits, pattern, id];
    let total =
        tx.row(&format!("SELECT count(*) FROM node WHERE {SELECTED} AND deleted_at {deleted}"), values, |row| {
            row.get(0)
        })?;
    let sql = format!(
        "SELECT {COLUMNS} FROM node WHERE {SELECTED} AND deleted_at {deleted} ORDER BY id DESC LIMIT ?9 OFFSET ?10"
    );
    let nodes = tx.rows(&sql, &*[values, params![take, skip]].concat(), node)?;
    Ok((nodes, total.unwrap_or(0)))
}

/// Returns the pattern for LIKE of texts in lower case that contain `text`.
fn containing(text: &str) -> String {
    let literal = text.to_ascii_lowercase().replace('!', "!!").replace('%', "!%").replace('_', "!_");
    format!("%{literal}%")
}

/// Returns nodes whose last contact was at `since` or before and whose silence has not been announced, the longest
/// silent first.
pub fn silent(tx: &ReadTx<'_>, since: Time, most: u32) -> Result<Vec<Node>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM node WHERE deleted_at IS NULL AND silent_at IS NULL AND last_contact <= ?1
         ORDER BY last_contact LIMIT ?2"
    );
    tx.rows(&sql, params![since.millis(), most], node)
}

/// Records that a node's silence was announced.
pub fn announced(tx: &WriteTx<'_>, id: NodeId, now: Time) -> Result<(), StoreError> {
    tx.execute("UPDATE node SET silent_at = ?2 WHERE id = ?1", params![id.as_bytes(), now.millis()]).map(drop)
}

fn node(row: &Row<'_>) -> rusqlite::Result<Node> {
    let bits = row.get(7)?;
    Ok(Node {
        id: NodeId::from_bytes(row.get(0)?),
        org: OrgId::from_bytes(row.get(1)?),
        profile: NodeProfile {
            ip: row.get(2)?,
            region: row.get(3)?,
            provider: row.get(4)?,
            status: row.get(5)?,
            version: row.get(6)?,
            services: Services::parse(bits).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(7, bits))?,
        },
        key: row.get::<_, Option<[u8; 16]>>(8)?.map(OrgKeyId::from_bytes),
        last_contact: Time::from_millis(row.get(9)?),
        deleted_at: row.get::<_, Option<i64>>(10)?.map(Time::from_millis),
    })
}
