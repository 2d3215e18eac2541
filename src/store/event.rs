//! Which events fit? They are looked for newest first, a slice at a time, so that no snapshot is held for long.

use rusqlite::{Statement, ToSql, params};

use super::audit::{Shown, shown_event};
use super::{ReadTx, StoreError};
use crate::domain::event::{Change, Context};
use crate::domain::id::{OrgId, UserId};
use crate::domain::time::Time;

/// How many events are counted at most: as many as can be paged to, by the most to pass over and the most to give.
pub const REACH: u32 = 10_100;

/// How many entries a slice looks at: some milliseconds, also where each has to be fetched from the table.
pub(super) const SLICE: u32 = 5_000;

/// The entries that a slice goes on with: the rest of those of the moment where the slice before ended, then the earlier ones.
/// In two statements: with `(at, id) < (?2, ?3)` SQLite would walk through all of that moment again, and a clock that was set
/// back stands still.
const SPANS: [&str; 2] = ["at = ?2 AND id < ?3", EARLIER];
const EARLIER: &str = "at < ?2 AND at >= ?4";

/// Holds of every entry.
const ALL: &str = "1";

/// Holds of an entry that the reader has not marked as read.
const UNREAD: &str = "NOT EXISTS (SELECT 1 FROM read_mark WHERE person = ?10 AND event = audit.id)";

/// What nodes do is about themselves, and found by who acted.
const BY_OTHERS: &str = " AND context_id = ?7 AND actor_kind <> 'node'";

/// Which events are asked for.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns that they are compared with")]
pub struct EventFilter {
    pub org: OrgId,
    pub from: Time,
    pub to: Time,
    pub actor_id: Option<String>,
    pub context: Option<u8>,
    pub context_id: Option<String>,
    pub project: Option<String>,
    pub change: Option<u8>,
    pub unread_only: bool,
    /// Whose marks count; an API key has none.
    pub reader: Option<UserId>,
    pub skip: u32,
    pub take: u32,
}

/// The index whose entries are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// By what was acted on.
    Object,
    /// By a node that was acted on, by itself or by others.
    Node,
    /// By the project.
    Project,
    /// By who acted.
    Actor,
    /// By the context, the change or both.
    Class,
    /// By the time alone.
    Time,
}

/// A search on its way.
///
/// The order is that of the moments, then of the ids. That is the order of the ids, but for entries that were made while the
/// clock was a day or more ahead, and for entries of the same few milliseconds.
#[derive(Debug)]
pub struct Search {
    filter: EventFilter,
    way: Option<Way>,
    /// The moment and the id of the last entry that was looked at.
    place: (i64, i64),
    found: Vec<Shown>,
    total: u32,
}

impl Search {
    /// A search that has not begun.
    #[must_use]
    pub fn new(filter: EventFilter) -> Self {
        let place = (filter.to.millis().saturating_add(1), 0);
        Self { filter, way: None, place, found: Vec::new(), total: 0 }
    }

    /// Looks at one more slice; whether it was the last. Each may have a snapshot of its own.
    pub fn slice(&mut self, tx: &ReadTx<'_>) -> Result<bool, StoreError> {
        let way = if let Some(way) = self.way {
            way
        } else {
            let way = *self.way.insert(self.shortest_way(tx)?);
            if [ALL, UNREAD].contains(&&*self.filter.rest(way)) {
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

    /// The events of the page, newest first, and how many fit in all, as far as they are counted.
    #[must_use]
    pub fn end(self) -> (Vec<Shown>, u32) {
        (self.found, self.total)
    }

    /// What SQLite is asked when this begins.
    #[cfg(test)]
    pub(super) fn statements(&self, tx: &ReadTx<'_>) -> Result<Vec<String>, StoreError> {
        let way = self.shortest_way(tx)?;
        let mut statements: Vec<_> = SPANS.iter().map(|span| self.filter.listing(way, span)).collect();
        statements.extend(self.filter.ways(tx)?.into_iter().map(|way| self.filter.counting(way)));
        Ok(statements)
    }

    /// Finds everything in one slice where entries are passed over only since the reader has read them, and these are not many:
    /// then no entry must be looked at but those of the page. Whether it did.
    fn at_once(&mut self, tx: &ReadTx<'_>, way: Way) -> Result<bool, StoreError> {
        let read =
            if self.filter.unread_only { self.number(tx, &self.filter.counting_read(way), REACH + 1)? } else { 0 };
        if read > REACH {
            return Ok(false);
        }
        // Counted by SQLite alone, in no order: that takes a quarter of the time.
        let total = self.count(tx, way, REACH + read)? - read;
        let page = self.filter.skip + self.filter.take;
        self.walk(tx, way, EARLIER, page + read, page)?;
        self.total = total;
        Ok(true)
    }

    /// Looks at up to `most` entries of a span, until so many fit; gives how many it looked at.
    fn walk(&mut self, tx: &ReadTx<'_>, way: Way, span: &str, most: u32, enough: u32) -> Result<u32, StoreError> {
        let mut statement = tx.conn.prepare_cached(&self.filter.listing(way, span))?;
        self.bind(&mut statement, most)?;
        let (mut rows, mut count) = (statement.raw_query(), 0);
        while self.total < enough
            && let Some(row) = rows.next()?
        {
            (count, self.place) = (count + 1, (row.get(1)?, row.get(0)?));
            if row.get(2)? {
                if self.total >= self.filter.skip && self.found.len() < self.filter.take as usize {
                    self.found.push(self.filter.fetch(tx, self.place.1)?);
                }
                self.total += 1;
            }
        }
        Ok(count)
    }

    /// Of the ways that the filter leaves, the one with the fewest entries; the first of those with a slice or more.
    fn shortest_way(&self, tx: &ReadTx<'_>) -> Result<Way, StoreError> {
        let ways = self.filter.ways(tx)?;
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

    /// How many entries there are on a way, up to `most`.
    fn count(&self, tx: &ReadTx<'_>, way: Way, most: u32) -> Result<u32, StoreError> {
        self.number(tx, &self.filter.counting(way), most)
    }

    /// The number that a statement gives.
    fn number(&self, tx: &ReadTx<'_>, sql: &str, most: u32) -> Result<u32, StoreError> {
        let mut statement = tx.conn.prepare_cached(sql)?;
        self.bind(&mut statement, most)?;
        let mut rows = statement.raw_query();
        Ok(rows.next()?.map_or(Ok(0), |row| row.get(0))?)
    }

    /// Binds every parameter that the statement has.
    fn bind(&self, statement: &mut Statement<'_>, most: u32) -> Result<(), StoreError> {
        let filter = &self.filter;
        let reader = filter.reader.as_ref().map(UserId::as_bytes);
        let values: [&dyn ToSql; 11] = [
            filter.org.as_bytes(),
            &self.place.0,
            &self.place.1,
            &filter.from.millis(),
            &filter.actor_id,
            &filter.context,
            &filter.context_id,
            &filter.change,
            &most,
            &reader,
            &filter.project,
        ];
        for (index, value) in (1..=statement.parameter_count()).zip(values) {
            statement.raw_bind_parameter(index, value)?;
        }
        Ok(())
    }
}

impl EventFilter {
    /// The ways by which all that fits is found.
    fn ways(&self, tx: &ReadTx<'_>) -> Result<Vec<Way>, StoreError> {
        let mut ways = Vec::new();
        if let Some(object) = &self.context_id {
            // An id is of one thing alone, and what a node does is about itself.
            let sql = "SELECT actor_kind = 'node' FROM audit INDEXED BY audit_by_actor
                WHERE org = ?1 AND actor_id = ?2 AND change IS NOT NULL LIMIT 1";
            let is_node = tx.row(sql, params![self.org.as_bytes(), object], |row| row.get(0))?.unwrap_or(false);
            ways.push(if is_node { Way::Node } else { Way::Object });
        }
        let others = [
            (self.project.is_some(), Way::Project),
            (self.actor_id.is_some(), Way::Actor),
            (self.context.is_some() || self.change.is_some(), Way::Class),
        ];
        ways.extend(others.into_iter().filter(|(wanted, _)| *wanted).map(|(_, way)| way));
        if ways.is_empty() {
            ways.push(Way::Time);
        }
        Ok(ways)
    }

    /// The entries of a span, and whether each fits.
    fn listing(&self, way: Way, span: &str) -> String {
        let branches = self.branches(way, &format!("id, at, {}", self.rest(way)), span);
        branches + " ORDER BY at DESC, id DESC LIMIT ?9"
    }

    /// How many entries there are on a way, up to a number.
    fn counting(&self, way: Way) -> String {
        format!("SELECT count(*) FROM ({} LIMIT ?9)", self.branches(way, "1", EARLIER))
    }

    /// How many entries on a way the reader has read, up to a number: found by their marks.
    fn counting_read(&self, way: Way) -> String {
        let on_way = match way {
            Way::Time => String::new(),
            Way::Actor => " AND actor_id = ?5".to_owned(),
            Way::Project => " AND project = ?11".to_owned(),
            Way::Object => BY_OTHERS.to_owned(),
            Way::Node => " AND (context_id = ?7 AND actor_kind <> 'node' OR actor_id = ?7)".to_owned(),
            Way::Class => {
                let context = if self.context.is_some() { " AND context = ?6" } else { "" };
                let change = if self.change.is_some() { " AND change = ?8" } else { "" };
                format!("{context}{change}")
            }
        };
        format!(
            "SELECT count(*) FROM (SELECT 1 FROM read_mark CROSS JOIN audit ON audit.id = event
             WHERE person = ?10 AND org = ?1 AND change IS NOT NULL{on_way} AND {EARLIER} LIMIT ?9)"
        )
    }

    /// Selects `columns` of a span of all entries on a way, in the order of its index: each of several indexes, or parts of one,
    /// gives its own in that order, and SQLite merges them.
    fn branches(&self, way: Way, columns: &str, span: &str) -> String {
        let parts = match way {
            Way::Time => vec![("audit_by_time", String::new())],
            Way::Actor => vec![("audit_by_actor", " AND actor_id = ?5".to_owned())],
            Way::Project => vec![("audit_by_project", " AND project = ?11".to_owned())],
            Way::Object => vec![("audit_by_object", BY_OTHERS.to_owned())],
            Way::Node => {
                vec![("audit_by_object", BY_OTHERS.to_owned()), ("audit_by_actor", " AND actor_id = ?7".to_owned())]
            }
            Way::Class => self.classes(),
        };
        let branch = |(index, condition): (&str, String)| {
            format!(
                "SELECT {columns} FROM audit INDEXED BY {index}
                 WHERE org = ?1 AND change IS NOT NULL{condition} AND {span}"
            )
        };
        parts.into_iter().map(branch).collect::<Vec<_>>().join(" UNION ALL ")
    }

    /// Each context with each change, as far as the filter leaves them open.
    fn classes(&self) -> Vec<(&'static str, String)> {
        let open = |given: bool, parameter: &str, numbers: std::ops::Range<usize>| {
            if given { vec![parameter.to_owned()] } else { numbers.map(|number| number.to_string()).collect() }
        };
        let contexts = open(self.context.is_some(), "?6", 0..Context::WORDS.len());
        let changes = open(self.change.is_some(), "?8", 0..Change::WORDS.len());
        let pairs = contexts.iter().flat_map(|context| changes.iter().map(move |change| (context, change)));
        pairs
            .map(|(context, change)| ("audit_by_class", format!(" AND context = {context} AND change = {change}")))
            .collect()
    }

    /// What the way does not answer.
    fn rest(&self, way: Way) -> String {
        let conditions = [
            (self.context_id.is_some() && !matches!(way, Way::Object | Way::Node), "context_id = ?7"),
            (self.project.is_some() && way != Way::Project, "project = ?11"),
            (self.actor_id.is_some() && way != Way::Actor, "actor_id = ?5"),
            (self.context.is_some() && way != Way::Class, "context = ?6"),
            (self.change.is_some() && way != Way::Class, "change = ?8"),
            (self.unread_only, UNREAD),
        ];
        let wanted: Vec<_> = conditions.into_iter().filter(|(wanted, _)| *wanted).map(|(_, sql)| sql).collect();
        match wanted[..] {
            [] => ALL.to_owned(),
            [UNREAD] => UNREAD.to_owned(),
            _ => format!("({}) IS TRUE", wanted.join(" AND ")),
        }
    }

    fn fetch(&self, tx: &ReadTx<'_>, id: i64) -> Result<Shown, StoreError> {
        let sql = "SELECT id, at, actor_id, actor_name, context, context_id, change, detail, project,
                NOT EXISTS (SELECT 1 FROM read_mark WHERE person = ?2 AND event = audit.id)
            FROM audit WHERE id = ?1";
        let found =
            tx.row(sql, params![id, self.reader.as_ref().map(UserId::as_bytes)], |row| shown_event(row, self.org))?;
        found.ok_or_else(|| StoreError::Internal(format!("entry {id} is in an index alone")))
    }
}
