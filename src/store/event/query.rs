//! The SQL of event searches, assembled from the filter.

use super::{ListQuery, Way};
use crate::domain::event::{Change, Context};

/// The entries that a slice continues with: first the rest of those at the time where the previous slice ended, then
/// earlier ones. These are two statements, because with `(at, id) < (?2, ?3)` SQLite would scan everything at that time
/// again, and after the clock was set back many entries have the same time.
pub(super) const SPANS: [&str; 2] = ["at = ?2 AND id < ?3", EARLIER];
pub(super) const EARLIER: &str = "at < ?2 AND at >= ?4";

/// True of every entry.
pub(super) const ALL: &str = "TRUE";

/// True of an entry that the reader has not marked as read.
pub(super) const UNREAD: &str = "NOT EXISTS (SELECT 1 FROM read_mark WHERE person = ?10 AND event = audit.id)";

/// Actions of nodes are about themselves, and are found by their actor.
const BY_OTHERS: &str = " AND context_id = ?7 AND actor_kind <> 'node'";

impl ListQuery {
    /// Selects the entries of a span, and whether each matches.
    pub(super) fn listing(&self, way: Way, span: &str) -> String {
        let branches = self.branches(way, &format!("id, at, {}", self.rest(way)), span);
        branches + " ORDER BY at DESC, id DESC LIMIT ?9"
    }

    /// Counts the entries on a way, up to a maximum.
    pub(super) fn counting(&self, way: Way) -> String {
        format!("SELECT count(*) FROM ({} LIMIT ?9) AS entries", self.branches(way, "1", EARLIER))
    }

    /// Counts the entries on a way that the reader has marked as read, up to a maximum, starting from the marks.
    pub(super) fn counting_read(&self, way: Way) -> String {
        let on_way = match way {
            Way::Time => String::new(),
            Way::Actor => " AND actor_id = ?5".to_owned(),
            Way::Project => " AND project = ?11".to_owned(),
            Way::Object => BY_OTHERS.to_owned(),
            Way::Node => " AND (context_id = ?7 AND actor_kind <> 'node' OR actor_id = ?7)".to_owned(),
            Way::Class => {
                let context = if self.filter.context.is_some() { " AND context = ?6" } else { "" };
                let change = if self.filter.change.is_some() { " AND change = ?8" } else { "" };
                format!("{context}{change}")
            }
        };
        format!(
            "SELECT count(*) FROM (SELECT 1 FROM read_mark CROSS JOIN audit ON audit.id = event
             WHERE person = ?10 AND org = ?1 AND change IS NOT NULL{on_way} AND {EARLIER} LIMIT ?9) AS entries"
        )
    }

    /// Selects `columns` of a span of all entries on a way in index order. If there are several indexes or index
    /// ranges, each yields its entries in that order and SQLite merges them.
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

    /// Returns an index range for each combination of context and change that the filter leaves open.
    fn classes(&self) -> Vec<(&'static str, String)> {
        let open = |given: bool, parameter: &str, numbers: std::ops::Range<usize>| {
            if given { vec![parameter.to_owned()] } else { numbers.map(|number| number.to_string()).collect() }
        };
        let contexts = open(self.filter.context.is_some(), "?6", 0..Context::WORDS.len());
        let changes = open(self.filter.change.is_some(), "?8", 0..Change::WORDS.len());
        let pairs = contexts.iter().flat_map(|context| changes.iter().map(move |change| (context, change)));
        pairs
            .map(|(context, change)| ("audit_by_class", format!(" AND context = {context} AND change = {change}")))
            .collect()
    }

    /// Returns the conditions that the way does not cover.
    pub(super) fn rest(&self, way: Way) -> String {
        let filter = &self.filter;
        let conditions = [
            (filter.context_id.is_some() && !matches!(way, Way::Object | Way::Node), "context_id = ?7"),
            (filter.project.is_some() && way != Way::Project, "project = ?11"),
            (filter.actor_id.is_some() && way != Way::Actor, "actor_id = ?5"),
            (filter.context.is_some() && way != Way::Class, "context = ?6"),
            (filter.change.is_some() && way != Way::Class, "change = ?8"),
            (self.unread_only, UNREAD),
        ];
        let wanted: Vec<_> = conditions.into_iter().filter(|(wanted, _)| *wanted).map(|(_, sql)| sql).collect();
        match wanted[..] {
            [] => ALL.to_owned(),
            [UNREAD] => UNREAD.to_owned(),
            _ => format!("({}) IS TRUE", wanted.join(" AND ")),
        }
    }
}

/// Renumbers the parameters of a statement without gaps, as PostgreSQL requires; also returns the original number of
/// each.
pub(super) fn numbered(text: &str) -> (String, Vec<usize>) {
    let mut parts = text.split('?');
    let (mut sql, mut numbers) = (parts.next().unwrap_or_default().to_owned(), Vec::<usize>::new());
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let (number, rest) = part.split_at(end);
        let number = number.parse().unwrap_or(0);
        let place = numbers.iter().position(|other| *other == number).unwrap_or_else(|| {
            numbers.push(number);
            numbers.len() - 1
        });
        sql.extend(["?", &(place + 1).to_string(), rest]);
    }
    (sql, numbers)
}

/// Returns every statement that a search can run, for each combination of filter and way.
#[cfg(test)]
pub(in crate::store) fn texts() -> Vec<String> {
    use crate::domain::event::EventFilter;
    use crate::domain::id::OrgId;
    use crate::domain::time::Time;

    let mut texts = Vec::new();
    for choice in 0..64_u32 {
        let picked = |bit: u32| (choice >> bit & 1 == 1).then(|| "id".to_owned());
        let filter = EventFilter {
            actor_id: picked(0),
            context: picked(1).map(|_| 0),
            context_id: picked(2),
            project: picked(3),
            change: picked(4).map(|_| 0),
        };
        let query = ListQuery {
            org: OrgId::from_bytes([0; 16]),
            from: Time::from_millis(0),
            to: Time::from_millis(0),
            filter,
            unread_only: picked(5).is_some(),
            reader: None,
            skip: 0,
            take: 1,
        };
        let filter = &query.filter;
        let by_class = filter.context.is_some() || filter.change.is_some();
        let ways = [
            (true, Way::Time),
            (filter.context_id.is_some(), Way::Object),
            (filter.context_id.is_some(), Way::Node),
            (filter.project.is_some(), Way::Project),
            (filter.actor_id.is_some(), Way::Actor),
            (by_class, Way::Class),
        ];
        for way in ways.into_iter().filter(|(given, _)| *given).map(|(_, way)| way) {
            texts.extend(SPANS.map(|span| query.listing(way, span)));
            texts.extend([query.counting(way), query.counting_read(way)]);
        }
    }
    let plain = |text: String| numbered(&text).0.split_whitespace().collect::<Vec<_>>().join(" ");
    texts.into_iter().map(plain).collect()
}
