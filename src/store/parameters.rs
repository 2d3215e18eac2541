//! How does a statement get a parameter that only one of its forms has? As its last, since PostgreSQL takes no gap among them.

use rusqlite::ToSql;

/// These parameters, and one more if the statement has it.
pub(super) fn with_last<'v, T: ToSql>(values: &[&'v dyn ToSql], last: Option<&'v T>) -> Vec<&'v dyn ToSql> {
    let last = last.map(|last| last as &dyn ToSql);
    values.iter().copied().chain(last).collect()
}
