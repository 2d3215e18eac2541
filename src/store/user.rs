//! What is remembered of a person?

use rusqlite::{Row, params};

use super::{ReadTx, StoreError, WriteTx};
use crate::domain::id::{OrgId, UserId};
use crate::domain::role::Role;
use crate::domain::time::Time;
use crate::domain::user::User;

const COLUMNS: &str = "id, org, email, name, last_name, role, validated, deleted_at";

/// Adds a person; `false` when the server has one with this address already.
pub fn insert(tx: &WriteTx<'_>, user: &User, now: Time) -> Result<bool, StoreError> {
    let added = tx.execute(
        "INSERT INTO user (id, org, email, email_key, name, last_name, role, validated, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (email_key) DO NOTHING",
        params![
            user.id.as_bytes(),
            user.org.as_bytes(),
            user.email,
            user.email.to_lowercase(),
            user.name,
            user.last_name,
            user.role.number(),
            user.validated,
            now.millis()
        ],
    )?;
    Ok(added == 1)
}

/// The person with this id.
pub fn find(tx: &ReadTx<'_>, id: UserId) -> Result<Option<User>, StoreError> {
    tx.row(&format!("SELECT {COLUMNS} FROM user WHERE id = ?1"), [id.as_bytes()], user)
}

/// The person with this address, in any letter case.
pub fn find_by_email(tx: &ReadTx<'_>, email: &str) -> Result<Option<User>, StoreError> {
    tx.row(&format!("SELECT {COLUMNS} FROM user WHERE email_key = ?1"), [email.to_lowercase()], user)
}

/// The people of one organization, or of all, newest first, without the deleted ones.
pub fn list(tx: &ReadTx<'_>, org: Option<OrgId>) -> Result<Vec<User>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM user WHERE (?1 IS NULL OR org = ?1) AND deleted_at IS NULL ORDER BY id DESC");
    tx.rows(&sql, params![org.as_ref().map(OrgId::as_bytes)], user)
}

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: UserId::from_bytes(row.get(0)?),
        org: OrgId::from_bytes(row.get(1)?),
        email: row.get(2)?,
        name: row.get(3)?,
        last_name: row.get(4)?,
        role: role(row, 5)?,
        validated: row.get(6)?,
        deleted_at: row.get::<_, Option<i64>>(7)?.map(Time::from_millis),
    })
}

/// The role in a column; the schema allows no number that is not one.
pub(super) fn role(row: &Row<'_>, column: usize) -> rusqlite::Result<Role> {
    let number = row.get(column)?;
    Role::from_number(number).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, number))
}
