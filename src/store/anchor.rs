//! Where does a chain of the audit log begin? After its anchor, the last entry that retention removed.

use rusqlite::params;

use super::audit::{chain_name, last};
use super::delivery::forget::of_first;
use super::{ReadTx, StoreError, WriteTx};
use crate::crypto::chain::{Hash, hex};
use crate::domain::event;
use crate::domain::id::OrgId;
use crate::domain::time::Time;

/// The last entry of a chain that is removed, or may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Its place in the chain.
    pub seq: i64,
    /// Its hash.
    pub hash: Hash,
}

/// What the schema calls a chain: the organization's id, or nothing for the server's own.
fn key(org: Option<&OrgId>) -> &[u8] {
    org.map_or(&[], |org| org.as_bytes())
}

/// The anchor of a chain, if something of it was removed.
pub fn find(tx: &ReadTx<'_>, org: Option<OrgId>) -> Result<Option<Anchor>, StoreError> {
    let sql = "SELECT seq, hash FROM anchor WHERE chain = ?1";
    tx.row(sql, [key(org.as_ref())], |row| Ok(Anchor { seq: row.get(0)?, hash: row.get(1)? }))
}

/// Every anchor, under the name of its chain.
pub fn all(tx: &ReadTx<'_>) -> Result<Vec<event::Head>, StoreError> {
    tx.rows("SELECT chain, seq, hash FROM anchor ORDER BY chain", [], |row| {
        let chain: Vec<u8> = row.get(0)?;
        let org = <[u8; 16]>::try_from(chain).ok().map(OrgId::from_bytes);
        Ok(event::Head { org: chain_name(org), seq: row.get(1)?, hash: hex(&row.get::<_, Hash>(2)?) })
    })
}

/// The last entry of a chain before which everything is older than `cutoff`, and how many may go with it. An entry that
/// states a moment after `now` was made while the clock ran ahead: it keeps nothing. All of a chain may go, since the entry
/// that says so is its last one then; but entries of earlier removals alone are no reason for another.
pub fn removable(
    tx: &ReadTx<'_>,
    org: Option<OrgId>,
    cutoff: Time,
    now: Time,
) -> Result<Option<(Anchor, i64)>, StoreError> {
    let begin = find(tx, org)?.map_or(0, |anchor| anchor.seq);
    let Some((head, _)) = last(tx, org)? else { return Ok(None) };
    let id = org.as_ref().map(OrgId::as_bytes);
    let kept = "SELECT seq FROM audit WHERE org IS ?1 AND seq > ?2 AND at BETWEEN ?3 AND ?4 ORDER BY seq LIMIT 1";
    let kept = tx.row(kept, params![id, begin, cutoff.millis(), now.millis()], |row| row.get(0))?;
    let end = kept.unwrap_or(head + 1);
    let old =
        "SELECT seq, hash FROM audit WHERE org IS ?1 AND seq > ?2 AND seq < ?3 AND at < ?4 ORDER BY seq DESC LIMIT 1";
    let read = |row: &rusqlite::Row<'_>| Ok(Anchor { seq: row.get(0)?, hash: row.get(1)? });
    let Some(anchor) = tx.row(old, params![id, begin, end, cutoff.millis()], read)? else { return Ok(None) };
    let more = "SELECT 1 FROM audit WHERE org IS ?1 AND seq > ?2 AND seq <= ?3 AND action <> 'audit.trim' LIMIT 1";
    let more = tx.row(more, params![id, begin, anchor.seq], |_| Ok(()))?;
    Ok(more.map(|()| (anchor, anchor.seq - begin)))
}

/// Sets a chain's anchor, or moves it forward. The schema asks that the entry which says so is the chain's last.
pub fn advance(tx: &WriteTx<'_>, org: Option<OrgId>, anchor: Anchor) -> Result<(), StoreError> {
    let sql = match find(tx, org)? {
        Some(_) => "UPDATE anchor SET seq = ?2, hash = ?3 WHERE chain = ?1",
        None => "INSERT INTO anchor (chain, seq, hash) VALUES (?1, ?2, ?3)",
    };
    tx.execute(sql, params![key(org.as_ref()), anchor.seq, anchor.hash]).map(drop)
}

/// Whether entries up to a chain's anchor are still there.
pub fn is_unswept(tx: &ReadTx<'_>, org: Option<OrgId>) -> Result<bool, StoreError> {
    let Some(anchor) = find(tx, org)? else { return Ok(false) };
    let sql = "SELECT 1 FROM audit WHERE org IS ?1 AND seq <= ?2 LIMIT 1";
    Ok(tx.row(sql, params![org.as_ref().map(OrgId::as_bytes), anchor.seq], |_| Ok(()))?.is_some())
}

/// Removes the first entries of a chain up to its anchor, at most so many, and with them what readers marked of them; but
/// their deliveries first, of which there may be several times as many: again at most so many, and no entry before the last
/// of them. Gives how many entries.
pub fn sweep(tx: &WriteTx<'_>, org: Option<OrgId>, most: u32) -> Result<usize, StoreError> {
    let Some(anchor) = find(tx, org)? else { return Ok(0) };
    if of_first(tx, org, anchor.seq, most)? == most as usize {
        return Ok(0);
    }
    let sql = "DELETE FROM audit WHERE id IN
        (SELECT id FROM audit WHERE org IS ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3)";
    tx.execute(sql, params![org.as_ref().map(OrgId::as_bytes), anchor.seq, most])
}
