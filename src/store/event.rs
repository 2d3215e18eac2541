//! Search for events in the audit log, newest first. It proceeds in slices, so that no snapshot is held for long.

mod query;

use rusqlite::{CachedStatement, ToSql, params};

#[cfg(test)]
pub(super) use self::query::texts;
use self::query::{ALL, EARLIER, SPANS, UNREAD};
use super::audit::{Shown, shown_event};
use super::{ReadTx, StoreError};
use crate::domain::event::EventFilter;
use crate::domain::id::{OrgId, UserId};
use crate::domain::time::Time;

/// The maximum number of events that are counted: the largest `skip` plus the largest `take` of a page.
pub const REACH: u32 = 10_100;

/// How many entries one slice examines: a few milliseconds, even if each entry must be fetched from the table.
pub(super) const SLICE: u32 = 5_000;

/// Selects the events of an organization that are listed, and the reader whose read marks count.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns that they are compared with")]
pub struct ListQuery {
    pub org: OrgId,
    pub from: Time,
    pub to: Time,
    pub filter: EventFilter,
    pub unread_only: bool,
    /// The user whose read marks apply; an API key has none.
    pub reader: Option<UserId>,
    pub skip: u32,
    pub take: u32,
}

/// The index that a search follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// By the object of the event.
    Object,
    /// By a node, as the object or the actor.
    Node,
    /// By the project.
    Project,
    /// By the actor.
    Actor,
    /// By the context, the change or both.
    Class,
    /// By the time alone.
    Time,
}

/// A search in progress.
///
/// Events are ordered by time, then by id. This is the order of the ids, except for entries made while the clock was a
/// day or more ahead, and for entries within the same few milliseconds.
#[derive(Debug)]
pub struct Search {
    query: ListQuery,
    way: Option<Way>,
    /// The time and the id of the last examined entry.
    place: (i64, i64),
    found: Vec<Shown>,
    total: u32,
}

impl Search {
    /// Creates a search that has not started.
    #[must_use]
    pub fn new(query: ListQuery) -> Self {
        let place = (query.to.millis().saturating_add(1), 0);
        Self { query, way: None, place, found: Vec::new(), total: 0 }
    }

    /// Examines one more slice, on any snapshot; returns whether it was the last.
    pub fn slice(&mut self, tx: &ReadTx<'_>) -> Result<bool, StoreError> {
        let way = if let Some(way) = self.way {
            way
        } else {
            let way = *self.way.insert(self.shortest_way(tx)?);
            if [ALL, UNREAD].contains(&&*self.query.rest(way)) {
                return self.at_once(tx, way);
            }
            way
        };
        let mut left = SLICE;
        for span in SPANS {
            left -= self.walk(tx, way, span, left, REACH)?;
        }
        Ok(left > 0 || self.total == REACH)
    }

    /// Returns the events of the page, newest first, and the total number of matches as far as they were counted.
    #[must_use]
    pub fn end(self) -> (Vec<Shown>, u32) {
        (self.found, self.total)
    }

    /// Returns the statements that SQLite runs first.
    #[cfg(test)]
    pub(super) fn statements(&self, tx: &ReadTx<'_>) -> Result<Vec<String>, StoreError> {
        let way = self.shortest_way(tx)?;
        let mut statements: Vec<_> = SPANS.iter().map(|span| self.query.listing(way, span)).collect();
        statements.extend(self.query.ways(tx)?.into_iter().map(|way| self.query.counting(way)));
        Ok(statements)
    }

    /// Completes the search in one slice if only the reader's own read marks exclude entries, and there are few of
    /// them: then only the entries of the page must be examined. Returns whether it did.
    fn at_once(&mut self, tx: &ReadTx<'_>, way: Way) -> Result<bool, StoreError> {
        let read = if self.query.unread_only { self.number(tx, &self.query.counting_read(way), REACH + 1)? } else { 0 };
        if read > REACH {
            return Ok(false);
        }
        // Counting in SQLite alone, without an order, takes a quarter of the time.
        let total = self.count(tx, way, REACH + read)? - read;
        let page = self.query.skip + self.query.take;
        self.walk(tx, way, EARLIER, page + read, page)?;
        self.total = total;
        Ok(true)
    }

    /// Examines up to `most` entries of a span until `enough` match; returns how many it examined.
    fn walk(&mut self, tx: &ReadTx<'_>, way: Way, span: &str, most: u32, enough: u32) -> Result<u32, StoreError> {
        let mut statement = self.statement(tx, &self.query.listing(way, span), most)?;
        let (mut rows, mut count) = (statement.raw_query(), 0);
        while self.total < enough
            && let Some(row) = rows.next()?
        {
            (count, self.place) = (count + 1, (row.get(1)?, row.get(0)?));
            if row.get(2)? {
                if self.total >= self.query.skip && self.found.len() < self.query.take as usize {
                    self.found.push(self.query.fetch(tx, self.place.1)?);
                }
                self.total += 1;
            }
        }
        Ok(count)
    }

    /// Returns the permitted way with the fewest entries, or the first one if all have at least a slice.
    fn shortest_way(&self, tx: &ReadTx<'_>) -> Result<Way, StoreError> {
        let ways = self.query.ways(tx)?;
        let [first, _, ..] = ways[..] else { return Ok(ways.first().copied().unwrap_or(Way::Time)) };
        let mut shortest = (SLICE, first);
        for way in ways {
            let count = self.count(tx, way, shortest.0)?;
            if count < shortest.0 {
                shortest = (count, way);
            }
        }
        Ok(shortest.1)
    }

    /// Returns how many entries there are on a way, up to `most`.
    fn count(&self, tx: &ReadTx<'_>, way: Way, most: u32) -> Result<u32, StoreError> {
        self.number(tx, &self.query.counting(way), most)
    }

    /// Returns the number that a statement yields.
    fn number(&self, tx: &ReadTx<'_>, sql: &str, most: u32) -> Result<u32, StoreError> {
        let mut statement = self.statement(tx, sql, most)?;
        let mut rows = statement.raw_query();
        Ok(rows.next()?.map_or(Ok(0), |row| row.get(0))?)
    }

    /// Prepares a statement and binds its parameters: `?2` in its text is the second of these values, and so on.
    fn statement<'t>(&self, tx: &'t ReadTx<'_>, text: &str, most: u32) -> Result<CachedStatement<'t>, StoreError> {
        let query = &self.query;
        let (filter, reader) = (&query.filter, query.reader.as_ref().map(UserId::as_bytes));
        let values: [&dyn ToSql; 11] = [
            query.org.as_bytes(),
            &self.place.0,
            &self.place.1,
            &query.from.millis(),
            &filter.actor_id,
            &filter.context,
            &filter.context_id,
            &filter.change,
            &most,
            &reader,
            &filter.project,
        ];
        let (sql, parameters) = query::numbered(text);
        let mut statement = tx.conn.prepare_cached(&sql)?;
        for (index, parameter) in (1..).zip(parameters) {
            statement.raw_bind_parameter(index, values[parameter - 1])?;
        }
        Ok(statement)
    }
}

impl ListQuery {
    /// Returns the ways on which every match can be found.
    fn ways(&self, tx: &ReadTx<'_>) -> Result<Vec<Way>, StoreError> {
        let mut ways = Vec::new();
        let filter = &self.filter;
        if let Some(object) = &filter.context_id {
            // An id belongs to one object only, and a node only acts on itself.
            let sql = "SELECT actor_kind = 'node' FROM audit INDEXED BY audit_by_actor
                WHERE org = ?1 AND actor_id = ?2 AND change IS NOT NULL LIMIT 1";
            let is_node = tx.row(sql, params![self.org.as_bytes(), object], |row| row.get(0))?.unwrap_or(false);
            ways.push(if is_node { Way::Node } else { Way::Object });
        }
        let others = [
            (filter.project.is_some(), Way::Project),
            (filter.actor_id.is_some(), Way::Actor),
            (filter.context.is_some() || filter.change.is_some(), Way::Class),
        ];
        ways.extend(others.into_iter().filter(|(wanted, _)| *wanted).map(|(_, way)| way));
        if ways.is_empty() {
            ways.push(Way::Time);
        }
        Ok(ways)
    }

    fn fetch(&self, tx: &ReadTx<'_>, id: i64) -> Result<Shown, StoreError> {
        let sql = "SELECT id, at, actor_id, actor_name, context, context_id, change, detail, project,
                NOT EXISTS (SELECT 1 FROM read_mark WHERE person = ?2 AND event = audit.id)
            FROM audit WHERE id = ?1";
        let found =
            tx.row(sql, params![id, self.reader.as_ref().map(UserId::as_bytes)], |row| shown_event(row, self.org))?;
        found.ok_or_else(|| StoreError::Internal(format!("entry {id} is in an index but not in the table")))
    }
}
