//! What follows in the audit log? What clients are shown of it after an entry, oldest first, a page at a time.

use rusqlite::params;

use super::audit::{Shown, last_id, shown_event};
use super::{ReadTx, StoreError};
use crate::domain::event::EventFilter;
use crate::domain::id::{OrgId, UserId};

/// The most events of a page.
pub const MOST: u32 = 100;

/// The most entries that are looked at for a page, so that a filter that nothing fits does not hold a reader for long.
const SPAN: i64 = 10_000;

/// Which events of an organization are followed, and by whom.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns that they are compared with")]
pub struct StreamQuery {
    pub org: OrgId,
    pub filter: EventFilter,
    /// Whose marks count; an API key has none.
    pub reader: Option<UserId>,
}

/// A piece of the log.
#[derive(Debug)]
pub struct LogSlice {
    /// What fits of it, oldest first.
    pub events: Vec<Shown>,
    /// The last entry that was looked at.
    pub upto: i64,
    /// The last one of the organization among them.
    pub own: Option<i64>,
    /// Whether no more events have room in it.
    pub full: bool,
    /// Whether there is more of the organization after it.
    pub more: bool,
}

/// The id of the first entry that is kept of an organization's chain.
pub fn first_id(tx: &ReadTx<'_>, org: OrgId) -> Result<Option<i64>, StoreError> {
    tx.row("SELECT id FROM audit WHERE org = ?1 ORDER BY seq LIMIT 1", [org.as_bytes()], |row| row.get(0))
}

/// How far a page that begins after `after` may look, and the newest entry of the organization: behind it nothing is looked
/// at. Ids that no entry has, since a restore passed over them or retention removed them, are no part of a page.
fn reach(tx: &ReadTx<'_>, org: OrgId, after: i64) -> Result<(i64, i64), StoreError> {
    let sql = "SELECT id FROM audit WHERE org = ?1 ORDER BY seq DESC LIMIT 1";
    let newest = tx.row(sql, [org.as_bytes()], |row| row.get(0))?.unwrap_or(0);
    let sql = "SELECT id FROM audit WHERE id > ?1 ORDER BY id LIMIT 1";
    let first: i64 = tx.row(sql, [after], |row| row.get(0))?.unwrap_or(after);
    Ok((first.saturating_add(SPAN - 1).min(newest), newest))
}

/// The last entry of an organization from behind `after` on up to `upto`, which are not far apart.
fn last_own(tx: &ReadTx<'_>, org: OrgId, after: i64, upto: i64) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT id FROM audit NOT INDEXED WHERE id > ?1 AND id <= ?2 AND org = ?3 ORDER BY id DESC LIMIT 1";
    tx.row(sql, params![after, upto, org.as_bytes()], |row| row.get(0))
}

/// A page for somebody who is shown nothing.
pub fn blank(tx: &ReadTx<'_>, org: OrgId, after: i64) -> Result<LogSlice, StoreError> {
    let reach = reach(tx, org, after)?;
    whole(tx, org, after, Vec::new(), reach)
}

/// What fits of the entries that follow `after`.
pub fn page(tx: &ReadTx<'_>, query: &StreamQuery, after: i64) -> Result<LogSlice, StoreError> {
    let (upto, newest) = reach(tx, query.org, after)?;
    // By their ids and no other index: those that follow are few and lie together.
    let sql = "SELECT id, at, actor_id, actor_name, context, context_id, change, detail, project,
             NOT EXISTS (SELECT 1 FROM read_mark WHERE person = ?9 AND event = audit.id)
         FROM audit NOT INDEXED
         WHERE id > ?1 AND id <= ?2 AND org = ?3 AND change IS NOT NULL
             AND (actor_id = ?4 OR ?4 IS NULL) AND (context = ?5 OR ?5 IS NULL)
             AND (context_id = ?6 OR ?6 IS NULL) AND (project = ?7 OR ?7 IS NULL) AND (change = ?8 OR ?8 IS NULL)
         ORDER BY id LIMIT ?10";
    let filter = &query.filter;
    let values = params![
        after,
        upto,
        query.org.as_bytes(),
        filter.actor_id,
        filter.context,
        filter.context_id,
        filter.project,
        filter.change,
        query.reader.as_ref().map(UserId::as_bytes),
        MOST
    ];
    let events = tx.rows(sql, values, |row| shown_event(row, query.org))?;
    whole(tx, query.org, after, events, (upto, newest))
}

/// The page that has these events.
fn whole(
    tx: &ReadTx<'_>,
    org: OrgId,
    after: i64,
    events: Vec<Shown>,
    (upto, newest): (i64, i64),
) -> Result<LogSlice, StoreError> {
    let full = events.len() == MOST as usize;
    let shown = events.last().map(|event| event.id);
    let upto = shown.filter(|_| full).unwrap_or(upto);
    let own = last_own(tx, org, shown.unwrap_or(after), upto)?.or(shown);
    let more = upto < newest;
    // What follows the newest is others'.
    let upto = if more { upto } else { last_id(tx)?.max(after) };
    Ok(LogSlice { events, upto, own, full, more })
}
