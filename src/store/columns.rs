//! Conversions from columns to domain types.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};

use crate::domain::role::Role;

impl FromSql for Role {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        // The schema permits no invalid number.
        Self::from_number(number).ok_or(FromSqlError::OutOfRange(number))
    }
}
