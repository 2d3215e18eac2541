//! Statement parameters that only one form of a statement has. They come last, because PostgreSQL permits no gap in the
//! numbers.

use rusqlite::ToSql;

/// Returns the parameters, plus `last` if the statement has it.
pub(super) fn with_last<'v, T: ToSql>(values: &[&'v dyn ToSql], last: Option<&'v T>) -> Vec<&'v dyn ToSql> {
    let last = last.map(|last| last as &dyn ToSql);
    values.iter().copied().chain(last).collect()
}
