//! Pages of an organization's whole log, newest first, filtered. How many entries a page looks at is bounded, whatever the
//! length of the log.

use rusqlite::params;

use super::find;
use crate::domain::audit::Entry;
use crate::domain::id::OrgId;
use crate::domain::time::Time;
use crate::store::parameters::with_last;
use crate::store::{ReadTx, StoreError};

/// The maximum number of entries that a page looks at: some 40 ms, if each must be fetched from the table.
pub const EXAMINED: u32 = 20_000;

/// A way with fewer entries than this is short: counting them takes less than reading a page.
const SHORT: u32 = 1_000;

/// Whether an entry matches.
const MATCHES: &str = "(action = ?5 OR ?5 IS NULL) AND (actor_id = ?6 OR ?6 IS NULL) AND (outcome = ?7 OR ?7 IS NULL)";

/// Selects entries; `None` means any.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns that they are compared with")]
pub struct AuditFilter {
    pub from: Time,
    pub to: Time,
    pub action: Option<String>,
    pub actor_id: Option<String>,
    pub outcome: Option<&'static str>,
}

/// The index that a page follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// By the outcome: the refusals.
    Refused,
    /// By the action.
    Action,
    /// By the class of registrations: they have no index by action, because nodes register all the time.
    Registration,
    /// By the actor.
    Actor,
    /// By the time alone.
    Time,
}

/// The time and the id of an entry, by which entries are ordered.
type Place = (i64, i64);

/// Entries, and the number of the last entry that was looked at, unless there are no more.
pub type Page = (Vec<Entry>, Option<i64>);

/// Returns at most `limit` matching entries that are older than the one with the number `before`, or the newest without
/// it, newest first. `None` if there is
/// no entry `before`.
pub fn page(
    tx: &ReadTx<'_>,
    org: OrgId,
    filter: &AuditFilter,
    before: Option<i64>,
    limit: u32,
) -> Result<Option<Page>, StoreError> {
    let end = (filter.to.millis().saturating_add(1), 0);
    let mut place = match before {
        Some(seq) => match place_of(tx, org, seq)? {
            Some(place) => place.min(end),
            None => return Ok(None),
        },
        None => end,
    };
    let way = way(tx, org, filter, place)?;
    let (mut found, mut examined, mut most) = (Vec::new(), 0, limit);
    loop {
        let mut slice = slice(tx, org, filter, way, place, true, most)?;
        let missing = most.saturating_sub(count(&slice));
        if missing > 0 {
            slice.extend(self::slice(tx, org, filter, way, place, false, missing)?);
        }
        let exhausted = count(&slice) < most;
        examined += count(&slice);
        for (next, matches) in slice {
            place = next;
            if matches {
                found.push(find(tx, place.1)?);
            }
            if count(&found) == limit {
                break;
            }
        }
        if count(&found) == limit || examined >= EXAMINED {
            return Ok(Some((found, Some(find(tx, place.1)?.seq))));
        }
        if exhausted {
            return Ok(Some((found, None)));
        }
        // Few match, so more are looked at.
        most = (most * 4).min(EXAMINED - examined);
    }
}

fn count<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).unwrap_or(u32::MAX)
}

/// Returns the way to follow: one that is short, if there is one.
fn way(tx: &ReadTx<'_>, org: OrgId, filter: &AuditFilter, place: Place) -> Result<Way, StoreError> {
    let is_registration = filter.action.as_deref() == Some("node.register");
    let ways = [
        (filter.outcome == Some("refused"), Way::Refused),
        (filter.action.is_some() && !is_registration, Way::Action),
        (filter.actor_id.is_some(), Way::Actor),
        (is_registration && filter.actor_id.is_none(), Way::Registration),
    ];
    let ways: Vec<Way> = ways.into_iter().filter(|(given, _)| *given).map(|(_, way)| way).collect();
    let Some((last, others)) = ways.split_last() else { return Ok(Way::Time) };
    for way in others {
        if length(tx, org, filter, *way, place)? < SHORT {
            return Ok(*way);
        }
    }
    Ok(*last)
}

/// Returns how many entries are on a way by one index, up to [`SHORT`].
fn length(tx: &ReadTx<'_>, org: OrgId, filter: &AuditFilter, way: Way, place: Place) -> Result<u32, StoreError> {
    let values = params![org.as_bytes(), place.0, filter.from.millis(), SHORT];
    let number = match way {
        Way::Action => tx.row(
            "SELECT count(*) FROM (SELECT 1 FROM audit INDEXED BY audit_by_action
             WHERE org = ?1 AND action = ?5 AND action <> 'node.register' AND at <= ?2 AND at >= ?3 LIMIT ?4) AS entries",
            &*with_last(values, filter.action.as_ref()),
            |row| row.get(0),
        )?,
        Way::Refused | Way::Registration | Way::Actor | Way::Time => tx.row(
            "SELECT count(*) FROM (SELECT 1 FROM audit INDEXED BY audit_refused
             WHERE org = ?1 AND outcome = 'refused' AND at <= ?2 AND at >= ?3 LIMIT ?4) AS entries",
            values,
            |row| row.get(0),
        )?,
    };
    Ok(number.unwrap_or(0))
}

/// Returns the places of at most `most` entries on a way, newest first, and whether each matches: those of the same
/// moment as `place` with a lower id, or those of earlier moments. These are two statements, because SQLite would scan
/// everything of that moment again for `(at, id) < (?2, ?8)`, and after the clock was set back many entries have the same
/// time.
fn slice(
    tx: &ReadTx<'_>,
    org: OrgId,
    filter: &AuditFilter,
    way: Way,
    place: Place,
    of_this_moment: bool,
    most: u32,
) -> Result<Vec<(Place, bool)>, StoreError> {
    let span = if of_this_moment { "at = ?2 AND id < ?8" } else { "at < ?2" };
    let sql = match way {
        Way::Refused => format!(
            "SELECT id, at, {MATCHES} FROM audit INDEXED BY audit_refused
             WHERE org = ?1 AND outcome = 'refused' AND {span} AND at >= ?3 ORDER BY at DESC, id DESC LIMIT ?4"
        ),
        Way::Action => format!(
            "SELECT id, at, {MATCHES} FROM audit INDEXED BY audit_by_action
             WHERE org = ?1 AND action = ?5 AND action <> 'node.register' AND {span} AND at >= ?3
             ORDER BY at DESC, id DESC LIMIT ?4"
        ),
        Way::Registration => format!(
            "SELECT id, at, {MATCHES} FROM audit INDEXED BY audit_by_class
             WHERE org = ?1 AND context = 9 AND change = 0 AND change IS NOT NULL AND {span} AND at >= ?3
             UNION ALL SELECT id, at, {MATCHES} FROM audit INDEXED BY audit_by_class
             WHERE org = ?1 AND context = 9 AND change = 1 AND change IS NOT NULL AND {span} AND at >= ?3
             ORDER BY at DESC, id DESC LIMIT ?4"
        ),
        Way::Actor => format!(
            "SELECT id, at, {MATCHES} FROM audit INDEXED BY audit_by_actor
             WHERE org = ?1 AND actor_id = ?6 AND change IS NOT NULL AND {span} AND at >= ?3
             UNION ALL SELECT id, at, {MATCHES} FROM audit INDEXED BY audit_unseen_by_actor
             WHERE org = ?1 AND actor_id = ?6 AND change IS NULL AND {span} AND at >= ?3
             ORDER BY at DESC, id DESC LIMIT ?4"
        ),
        Way::Time => format!(
            "SELECT id, at, {MATCHES} FROM audit INDEXED BY audit_by_time
             WHERE org = ?1 AND change IS NOT NULL AND {span} AND at >= ?3
             UNION ALL SELECT id, at, {MATCHES} FROM audit INDEXED BY audit_unseen_by_time
             WHERE org = ?1 AND change IS NULL AND {span} AND at >= ?3
             ORDER BY at DESC, id DESC LIMIT ?4"
        ),
    };
    let (org, from) = (org.as_bytes(), filter.from.millis());
    let values = params![org, place.0, from, most, filter.action, filter.actor_id, filter.outcome];
    let id = Some(&place.1).filter(|_| of_this_moment);
    tx.rows(&sql, &*with_last(values, id), |row| Ok(((row.get(1)?, row.get(0)?), row.get(2)?)))
}

fn place_of(tx: &ReadTx<'_>, org: OrgId, seq: i64) -> Result<Option<Place>, StoreError> {
    let sql = "SELECT at, id FROM audit WHERE org = ?1 AND seq = ?2";
    tx.row(sql, params![org.as_bytes(), seq], |row| Ok((row.get(0)?, row.get(1)?)))
}
