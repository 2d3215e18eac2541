//! The audit log: append-only entries, each chained to the one before it.

pub mod backwards;

use rusqlite::{Row, params};

use super::heads::ChainEnd;
use super::{ReadTx, StoreError, WriteTx};
use crate::crypto::chain::{self, ChainHash};
use crate::domain::audit::{Draft, Entry, SERVER};
use crate::domain::event;
use crate::domain::id::{OrgId, UserId};
use crate::domain::time::Time;

const COLUMNS: &str = "id, org, seq, at, actor_kind, actor_id, actor_name, action, context, context_id, project, change, \
    outcome, address, request_id, detail, prev_hash, hash";

/// Appends an entry to its chain and returns its id.
pub fn append(tx: &WriteTx<'_>, draft: &Draft) -> Result<i64, StoreError> {
    let (seq, prev) = match tx.heads.head(draft.org) {
        Some(head) => head,
        None => last(tx, draft.org)?.unwrap_or((0, chain::START)),
    };
    let (id, seq) = (newest_id(tx)? + 1, seq + 1);
    let hash = chain::hash_draft(&prev, id, &chain_name(draft.org), seq, draft);
    tx.execute(
        "INSERT INTO audit (id, org, seq, at, actor_kind, actor_id, actor_name, action, context, context_id, project,
             change, outcome, address, request_id, detail, prev_hash, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
        params![
            id,
            draft.org.as_ref().map(OrgId::as_bytes),
            seq,
            draft.at,
            draft.actor.kind,
            draft.actor.id,
            draft.actor.name,
            draft.action,
            draft.context,
            draft.context_id,
            draft.project,
            draft.change,
            draft.outcome,
            draft.address,
            draft.request_id,
            draft.detail,
            prev,
            hash
        ],
    )?;
    tx.heads.advance(draft.org, (seq, hash), id);
    Ok(id)
}

/// Reserves all ids up to `seen`. The next entry appended in the same transaction makes this permanent.
pub fn pass_over(tx: &WriteTx<'_>, id: i64) -> Result<(), StoreError> {
    tx.heads.pass_over(newest_id(tx)?.max(id));
    Ok(())
}

/// Returns the id of the last entry, or 0 if there is none.
pub fn last_id(tx: &ReadTx<'_>) -> Result<i64, StoreError> {
    Ok(tx.row("SELECT max(id) FROM audit", [], |row| row.get::<_, Option<i64>>(0))?.flatten().unwrap_or(0))
}

fn newest_id(tx: &WriteTx<'_>) -> Result<i64, StoreError> {
    tx.heads.last_id().map_or_else(|| last_id(tx), Ok)
}

/// Returns the name of a chain: its organization's id, or `server`.
#[must_use]
pub fn chain_name(org: Option<OrgId>) -> String {
    org.map_or_else(|| SERVER.to_owned(), |org| org.to_string())
}

/// Returns the end of a chain.
pub(super) fn last(tx: &ReadTx<'_>, org: Option<OrgId>) -> Result<Option<ChainEnd>, StoreError> {
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    match org {
        Some(org) => {
            tx.row("SELECT seq, hash FROM audit WHERE org = ?1 ORDER BY seq DESC LIMIT 1", [org.as_bytes()], read)
        }
        None => tx.row("SELECT seq, hash FROM audit WHERE org IS NULL ORDER BY seq DESC LIMIT 1", [], read),
    }
}

/// Returns the last entry of every chain: the server's first, then the organizations' by id.
pub fn heads(tx: &ReadTx<'_>) -> Result<Vec<event::Head>, StoreError> {
    let mut heads = Vec::new();
    for org in chains(tx)? {
        if let Some((seq, hash)) = last(tx, org)? {
            heads.push(event::Head { org: chain_name(org), seq, hash: chain::hex(&hash) });
        }
    }
    Ok(heads)
}

/// Returns when the last entry of the whole log was made.
pub fn last_at(tx: &ReadTx<'_>) -> Result<Option<Time>, StoreError> {
    tx.row("SELECT at FROM audit ORDER BY id DESC LIMIT 1", [], |row| Ok(Time::from_millis(row.get(0)?)))
}

/// Returns every chain: the server's first, then the organizations' by id.
pub fn chains(tx: &ReadTx<'_>) -> Result<Vec<Option<OrgId>>, StoreError> {
    let orgs = tx.rows("SELECT id FROM org ORDER BY id", [], |row| Ok(Some(OrgId::from_bytes(row.get(0)?))))?;
    Ok(std::iter::once(None).chain(orgs).collect())
}

/// Returns the last entry of an organization's chain.
pub fn head(tx: &ReadTx<'_>, org: OrgId) -> Result<Option<event::Head>, StoreError> {
    let head = last(tx, Some(org))?;
    Ok(head.map(|(seq, hash)| event::Head { org: chain_name(Some(org)), seq, hash: chain::hex(&hash) }))
}

/// Returns at most `limit` entries of an organization's chain after position `after`, in order.
pub fn page(tx: &ReadTx<'_>, org: OrgId, after: i64, limit: u32) -> Result<Vec<Entry>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM audit WHERE org = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3");
    tx.rows(&sql, params![org.as_bytes(), after, limit], entry)
}

/// Returns at most `limit` entries of all chains with ids after `after` and up to `upto`, ordered by id.
pub fn slice(tx: &ReadTx<'_>, after: i64, upto: i64, limit: u32) -> Result<Vec<Entry>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM audit WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3");
    tx.rows(&sql, params![after, upto, limit], entry)
}

/// Returns the entry with this id, which exists.
fn find(tx: &ReadTx<'_>, id: i64) -> Result<Entry, StoreError> {
    let found = tx.row(&format!("SELECT {COLUMNS} FROM audit WHERE id = ?1"), [id], entry)?;
    found.ok_or_else(|| StoreError::Internal(format!("entry {id} is in an index but not in the table")))
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let org: Option<[u8; 16]> = row.get(1)?;
    let prev: ChainHash = row.get(16)?;
    let hash: ChainHash = row.get(17)?;
    Ok(Entry {
        id: row.get(0)?,
        org: chain_name(org.map(OrgId::from_bytes)),
        seq: row.get(2)?,
        at: row.get(3)?,
        actor_kind: row.get(4)?,
        actor_id: row.get(5)?,
        actor_name: row.get(6)?,
        action: row.get(7)?,
        context: row.get(8)?,
        context_id: row.get(9)?,
        project: row.get(10)?,
        change: row.get(11)?,
        outcome: row.get(12)?,
        address: row.get(13)?,
        request_id: row.get(14)?,
        detail: row.get(15)?,
        prev_hash: chain::hex(&prev),
        hash: chain::hex(&hash),
    })
}

/// An event as clients see it.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns that they come from")]
pub struct Shown {
    pub id: i64,
    pub org: OrgId,
    pub at: Time,
    pub actor_id: String,
    pub actor_name: String,
    pub actor_email: String,
    pub context: u8,
    pub context_id: String,
    pub project: Option<String>,
    pub change: u8,
    pub detail: Option<String>,
    pub unread: bool,
}

/// Reads an event from the columns that listings, streams and [`chained`] select, in their order.
pub(super) fn shown_event(row: &Row<'_>, org: OrgId) -> rusqlite::Result<Shown> {
    Ok(Shown {
        id: row.get(0)?,
        org,
        at: Time::from_millis(row.get(1)?),
        actor_id: row.get(2)?,
        actor_name: row.get::<_, Option<String>>(3)?.unwrap_or_default(),
        actor_email: String::new(),
        context: row.get(4)?,
        context_id: row.get::<_, Option<String>>(5)?.unwrap_or_default(),
        change: row.get(6)?,
        detail: row.get(7)?,
        project: row.get(8)?,
        unread: row.get(9)?,
    })
}

/// An event as it is published, with its position in the chain.
#[derive(Clone, Debug)]
pub struct Chained {
    /// The event.
    pub shown: Shown,
    /// A noun and a verb.
    pub action: String,
    /// The position in the organization's chain.
    pub seq: i64,
    /// The hash of the previous entry.
    pub previous_hash: ChainHash,
    /// The hash of this entry.
    pub hash: ChainHash,
}

/// Returns the event with this id and its position in its organization's chain.
pub fn chained(tx: &ReadTx<'_>, id: i64) -> Result<Option<Chained>, StoreError> {
    tx.row(
        "SELECT id, at, actor_id, actor_name, context, context_id, change, detail, project, FALSE, org, action, seq, prev_hash,
             hash FROM audit WHERE id = ?1 AND org IS NOT NULL AND change IS NOT NULL",
        [id],
        |row| {
            Ok(Chained {
                shown: shown_event(row, OrgId::from_bytes(row.get(10)?))?,
                action: row.get(11)?,
                seq: row.get(12)?,
                previous_hash: row.get(13)?,
                hash: row.get(14)?,
            })
        },
    )
}

/// Marks events of an organization as read or unread by a user, and returns how many changed. Ids of other
/// organizations are skipped.
pub fn mark(tx: &WriteTx<'_>, org: OrgId, user: UserId, ids: &[i64], read: bool) -> Result<usize, StoreError> {
    let sql = if read {
        "INSERT INTO read_mark (person, event)
         SELECT ?1, id FROM audit WHERE id = ?2 AND org = ?3 AND change IS NOT NULL ON CONFLICT DO NOTHING"
    } else {
        "DELETE FROM read_mark WHERE person = ?1 AND event = (SELECT id FROM audit WHERE id = ?2 AND org = ?3)"
    };
    ids.iter().try_fold(0, |count, id| Ok(count + tx.execute(sql, params![user.as_bytes(), id, org.as_bytes()])?))
}
