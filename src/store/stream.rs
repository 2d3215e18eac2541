//! Reads the audit log forward for streaming: the visible events after an entry, oldest first, one page at a time.

use rusqlite::params;

use super::audit::{Shown, last_id, shown_event};
use super::{ReadTx, StoreError};
use crate::domain::event::EventFilter;
use crate::domain::id::{OrgId, UserId};

/// The maximum number of events per page.
pub const MOST: u32 = 100;

/// The maximum number of entries examined per page, so that a filter without matches does not hold a reader for long.
const SPAN: i64 = 10_000;

/// Selects the events of an organization that are followed, and the reader whose read marks count.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns that they are compared with")]
pub struct StreamQuery {
    pub org: OrgId,
    pub filter: EventFilter,
    /// The user whose read marks apply; an API key has none.
    pub reader: Option<UserId>,
}

/// A section of the log.
#[derive(Debug)]
pub struct LogSlice {
    /// The matching events, oldest first.
    pub events: Vec<Shown>,
    /// The last entry that was examined.
    pub upto: i64,
    /// The last examined entry of the organization.
    pub own: Option<i64>,
    /// Whether the page is full.
    pub full: bool,
    /// Whether the organization has more entries after it.
    pub more: bool,
}

/// Returns the id of the first remaining entry of an organization's chain.
pub fn first_id(tx: &ReadTx<'_>, org: OrgId) -> Result<Option<i64>, StoreError> {
    tx.row("SELECT id FROM audit WHERE org = ?1 ORDER BY seq LIMIT 1", [org.as_bytes()], |row| row.get(0))
}

/// Returns how far a page after `after` may be read, and the newest entry of the organization, beyond which nothing is
/// read. Ids without an entry, skipped by a restore or removed by retention, do not count toward the page.
fn reach(tx: &ReadTx<'_>, org: OrgId, after: i64) -> Result<(i64, i64), StoreError> {
    let sql = "SELECT id FROM audit WHERE org = ?1 ORDER BY seq DESC LIMIT 1";
    let newest = tx.row(sql, [org.as_bytes()], |row| row.get(0))?.unwrap_or(0);
    let sql = "SELECT id FROM audit WHERE id > ?1 ORDER BY id LIMIT 1";
    let first: i64 = tx.row(sql, [after], |row| row.get(0))?.unwrap_or(after);
    Ok((first.saturating_add(SPAN - 1).min(newest), newest))
}

/// Returns the last entry of an organization after `after` and up to `upto`, which are not far apart.
fn last_own(tx: &ReadTx<'_>, org: OrgId, after: i64, upto: i64) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT id FROM audit NOT INDEXED WHERE id > ?1 AND id <= ?2 AND org = ?3 ORDER BY id DESC LIMIT 1";
    tx.row(sql, params![after, upto, org.as_bytes()], |row| row.get(0))
}

/// Returns a page for a reader to whom nothing is visible.
pub fn blank(tx: &ReadTx<'_>, org: OrgId, after: i64) -> Result<LogSlice, StoreError> {
    let reach = reach(tx, org, after)?;
    whole(tx, org, after, Vec::new(), reach)
}

/// Returns the matching events after `after`.
pub fn page(tx: &ReadTx<'_>, query: &StreamQuery, after: i64) -> Result<LogSlice, StoreError> {
    let (upto, newest) = reach(tx, query.org, after)?;
    // Read by id and no other index: the entries that follow are few and adjacent.
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

/// Completes the page that has these events.
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
    // Entries after the newest one belong to others.
    let upto = if more { upto } else { last_id(tx)?.max(after) };
    Ok(LogSlice { events, upto, own, full, more })
}
