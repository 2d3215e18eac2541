//! The start of each chain of the audit log: the trim point is the last entry that retention removed.

use rusqlite::params;

use super::audit::{chain_name, last};
use super::delivery::forget::of_first;
use super::parameters::with_last;
use super::{ReadTx, StoreError, WriteTx};
use crate::crypto::chain::{ChainHash, hex};
use crate::domain::event;
use crate::domain::id::OrgId;
use crate::domain::time::Time;

/// The last entry of a chain that is removed, or may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrimPoint {
    /// Its position in the chain.
    pub seq: i64,
    /// Its hash.
    pub hash: ChainHash,
}

/// The key of a chain in the schema: the organization's id, or empty for the server's own.
fn key(org: Option<&OrgId>) -> &[u8] {
    org.map_or(&[], |org| org.as_bytes())
}

/// Returns the trim point of a chain, if entries of it were removed.
pub fn find(tx: &ReadTx<'_>, org: Option<OrgId>) -> Result<Option<TrimPoint>, StoreError> {
    let sql = "SELECT seq, hash FROM trim_point WHERE chain = ?1";
    tx.row(sql, [key(org.as_ref())], |row| Ok(TrimPoint { seq: row.get(0)?, hash: row.get(1)? }))
}

/// Returns every trim point, with the name of its chain.
pub fn all(tx: &ReadTx<'_>) -> Result<Vec<event::Head>, StoreError> {
    tx.rows("SELECT chain, seq, hash FROM trim_point ORDER BY chain", [], |row| {
        let chain: Vec<u8> = row.get(0)?;
        let org = <[u8; 16]>::try_from(chain).ok().map(OrgId::from_bytes);
        Ok(event::Head { org: chain_name(org), seq: row.get(1)?, hash: hex(&row.get::<_, ChainHash>(2)?) })
    })
}

/// Returns the last entry of a chain before which everything is older than `cutoff`, and how many entries can be
/// removed with it. An entry with a time after `now` was made while the clock was ahead and retains nothing. The whole
/// chain may be removed, because the entry that records the removal is then its last one; but entries about earlier
/// removals alone are no reason for another removal.
pub fn removable(
    tx: &ReadTx<'_>,
    org: Option<OrgId>,
    cutoff: Time,
    now: Time,
) -> Result<Option<(TrimPoint, i64)>, StoreError> {
    let begin = find(tx, org)?.map_or(0, |trim_point| trim_point.seq);
    let Some((head, _)) = last(tx, org)? else { return Ok(None) };
    let (chain, cutoff) = (org.as_ref().map(OrgId::as_bytes), cutoff.millis());
    // `org IS ?4` would use no index in PostgreSQL in either case.
    let whose = if org.is_some() { "org = ?4" } else { "org IS NULL" };
    let first_young =
        format!("SELECT seq FROM audit WHERE {whose} AND seq > ?1 AND at BETWEEN ?2 AND ?3 ORDER BY seq LIMIT 1");
    let first_young =
        tx.row(&first_young, &*with_last(params![begin, cutoff, now.millis()], chain), |row| row.get(0))?;
    let end = first_young.unwrap_or(head + 1);
    let old = format!(
        "SELECT seq, hash FROM audit WHERE {whose} AND seq > ?1 AND seq < ?2 AND at < ?3 ORDER BY seq DESC LIMIT 1"
    );
    let read = |row: &rusqlite::Row<'_>| Ok(TrimPoint { seq: row.get(0)?, hash: row.get(1)? });
    let Some(trim_point) = tx.row(&old, &*with_last(params![begin, end, cutoff], chain), read)? else {
        return Ok(None);
    };
    let whose = if org.is_some() { "org = ?3" } else { "org IS NULL" };
    let more =
        format!("SELECT 1 FROM audit WHERE {whose} AND seq > ?1 AND seq <= ?2 AND action <> 'audit.trim' LIMIT 1");
    let more = tx.row(&more, &*with_last(params![begin, trim_point.seq], chain), |_| Ok(()))?;
    Ok(more.map(|()| (trim_point, trim_point.seq - begin)))
}

/// Sets or advances a chain's trim point. The schema requires that the entry which records the removal is the chain's
/// last.
pub fn advance(tx: &WriteTx<'_>, org: Option<OrgId>, trim_point: TrimPoint) -> Result<(), StoreError> {
    let sql = match find(tx, org)? {
        Some(_) => "UPDATE trim_point SET seq = ?2, hash = ?3 WHERE chain = ?1",
        None => "INSERT INTO trim_point (chain, seq, hash) VALUES (?1, ?2, ?3)",
    };
    tx.execute(sql, params![key(org.as_ref()), trim_point.seq, trim_point.hash]).map(drop)
}

/// Returns whether entries up to a chain's trim point still exist.
pub fn is_unpurged(tx: &ReadTx<'_>, org: Option<OrgId>) -> Result<bool, StoreError> {
    let Some(trim_point) = find(tx, org)? else { return Ok(false) };
    let chain = org.as_ref().map(OrgId::as_bytes);
    let whose = if org.is_some() { "org = ?2" } else { "org IS NULL" };
    let sql = format!("SELECT 1 FROM audit WHERE {whose} AND seq <= ?1 LIMIT 1");
    Ok(tx.row(&sql, &*with_last(params![trim_point.seq], chain), |_| Ok(()))?.is_some())
}

/// Removes at most `most` of the first entries of a chain up to its trim point, with their read marks. Their
/// deliveries, of which there may be several times as many, are removed first: again at most `most`, and no entry
/// before the last of them. Returns how many entries.
pub fn purge(tx: &WriteTx<'_>, org: Option<OrgId>, most: u32) -> Result<usize, StoreError> {
    let Some(trim_point) = find(tx, org)? else { return Ok(0) };
    if of_first(tx, org, trim_point.seq, most)? == most as usize {
        return Ok(0);
    }
    let chain = org.as_ref().map(OrgId::as_bytes);
    let whose = if org.is_some() { "org = ?3" } else { "org IS NULL" };
    let sql = format!(
        "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE {whose} AND seq <= ?1 ORDER BY seq LIMIT ?2)"
    );
    tx.execute(&sql, &*with_last(params![trim_point.seq, most], chain))
}
