//! Users, their roles and their passwords.

use rusqlite::{Row, params};

use super::touched::Touched;
use super::{ReadTx, StoreError, WriteTx, invitation, token};
use crate::domain::id::{OrgId, UserId};
use crate::domain::role::Role;
use crate::domain::time::Time;
use crate::domain::user::User;

const COLUMNS: &str = "id, org, email, name, last_name, role, validated, deleted_at";

/// True unless the user is the organization's last OWNER. A user who has not accepted the invitation cannot act yet,
/// and does not count as another OWNER.
const NOT_THE_LAST_OWNER: &str = "(role <> 255 OR EXISTS (SELECT 1 FROM person AS other WHERE other.org = person.org
    AND other.role = 255 AND other.id <> person.id AND other.deleted_at IS NULL AND other.validated = 1))";

/// Inserts a user, with the hash of the password if there is one; `false` if a user of the server who is not deleted has
/// this e-mail address.
pub fn insert(tx: &WriteTx<'_>, user: &User, password: Option<&str>, now: Time) -> Result<bool, StoreError> {
    let added = tx.execute(
        "INSERT INTO person (id, org, email, email_key, name, last_name, role, validated, created_at, password)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (email_key) WHERE deleted_at IS NULL
         DO NOTHING",
        params![
            user.id.as_bytes(),
            user.org.as_bytes(),
            user.email,
            user.email.to_lowercase(),
            user.name,
            user.last_name,
            user.role.number(),
            user.validated,
            now.millis(),
            password
        ],
    )?;
    Ok(added == 1)
}

/// Renames a user.
pub fn rename(tx: &WriteTx<'_>, id: UserId, name: &str, last_name: &str) -> Result<(), StoreError> {
    let sql = "UPDATE person SET name = ?2, last_name = ?3 WHERE id = ?1";
    tx.execute(sql, params![id.as_bytes(), name, last_name]).map(drop)
}

/// Changes the role of a user who is not deleted; `false` if that would remove the last OWNER. An invitation to a
/// lesser role is invalidated: whoever issued it may know the token, and must not gain the greater role with it.
pub fn set_role(tx: &WriteTx<'_>, id: UserId, role: Role) -> Result<bool, StoreError> {
    tx.touches.add(Touched::User(id));
    let lesser = "DELETE FROM invitation WHERE person = ?1 AND (SELECT role FROM person WHERE id = ?1) < ?2";
    tx.execute(lesser, params![id.as_bytes(), role.number()])?;
    let sql = match role {
        Role::Owner => "UPDATE person SET role = ?2 WHERE id = ?1".to_owned(),
        _ => format!("UPDATE person SET role = ?2 WHERE id = ?1 AND {NOT_THE_LAST_OWNER}"),
    };
    Ok(tx.execute(&sql, params![id.as_bytes(), role.number()])? == 1)
}

/// Deletes a user who is not deleted, on behalf of somebody with the role `by`, and revokes the user's invitation,
/// tokens and sessions. Returns how many tokens and sessions were revoked, or `None` if it would remove the last OWNER.
pub fn delete(tx: &WriteTx<'_>, id: UserId, by: Role, now: Time) -> Result<Option<usize>, StoreError> {
    let sql = format!("UPDATE person SET deleted_at = ?2, deleted_by = ?3 WHERE id = ?1 AND {NOT_THE_LAST_OWNER}");
    if tx.execute(&sql, params![id.as_bytes(), now.millis(), by.number()])? == 0 {
        return Ok(None);
    }
    invitation::end(tx, id)?;
    token::revoke_of(tx, id, now).map(Some)
}

/// Returns the role, at the time, of whoever deleted a user; `None` if the user is not deleted.
pub fn deleted_by(tx: &ReadTx<'_>, id: UserId) -> Result<Option<Role>, StoreError> {
    let sql = "SELECT deleted_by FROM person WHERE id = ?1 AND deleted_by IS NOT NULL";
    tx.row(sql, [id.as_bytes()], |row| row.get(0))
}

/// Activates a deleted user whose e-mail address nobody has taken. Of the user's credentials, only the password is still
/// valid.
pub fn activate(tx: &WriteTx<'_>, id: UserId) -> Result<(), StoreError> {
    tx.touches.add(Touched::User(id));
    tx.execute("UPDATE person SET deleted_at = NULL, deleted_by = NULL WHERE id = ?1", [id.as_bytes()]).map(drop)
}

/// Returns the hash of a user's password, if there is one.
pub fn password(tx: &ReadTx<'_>, id: UserId) -> Result<Option<String>, StoreError> {
    Ok(tx.row("SELECT password FROM person WHERE id = ?1", [id.as_bytes()], |row| row.get(0))?.flatten())
}

/// Returns whether an OWNER on this server has a password.
pub fn an_owner_has_a_password(tx: &ReadTx<'_>) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM person WHERE role = 255 AND deleted_at IS NULL AND password IS NOT NULL LIMIT 1";
    Ok(tx.row(sql, [], |_| Ok(()))?.is_some())
}

/// Returns the OWNER who was created first.
pub fn first_owner(tx: &ReadTx<'_>) -> Result<Option<UserId>, StoreError> {
    let sql = "SELECT id FROM person WHERE role = 255 AND deleted_at IS NULL ORDER BY id LIMIT 1";
    tx.row(sql, [], |row| Ok(UserId::from_bytes(row.get(0)?)))
}

/// Stores another hash of the same password.
pub fn rehash_password(tx: &WriteTx<'_>, id: UserId, hash: &str) -> Result<(), StoreError> {
    tx.execute("UPDATE person SET password = ?2 WHERE id = ?1", params![id.as_bytes(), hash]).map(drop)
}

/// Sets a user's password, which activates the account, and removes the invitation. `false` if the stored hash is no
/// longer `known`.
pub fn set_password(tx: &WriteTx<'_>, id: UserId, known: Option<&str>, hash: &str) -> Result<bool, StoreError> {
    invitation::end(tx, id)?;
    let sql = "UPDATE person SET password = ?3, validated = 1 WHERE id = ?1
        AND (password = ?2 OR (password IS NULL AND ?2 IS NULL))";
    Ok(tx.execute(sql, params![id.as_bytes(), known, hash])? == 1)
}

/// Removes a user's password. The account stays validated: otherwise whoever may send invitations could take it over.
pub fn clear_password(tx: &WriteTx<'_>, id: UserId) -> Result<(), StoreError> {
    tx.execute("UPDATE person SET password = NULL WHERE id = ?1", [id.as_bytes()]).map(drop)
}

/// Returns the user with this id.
pub fn find(tx: &ReadTx<'_>, id: UserId) -> Result<Option<User>, StoreError> {
    tx.row(&format!("SELECT {COLUMNS} FROM person WHERE id = ?1"), [id.as_bytes()], user)
}

/// Returns the user who has this e-mail address, in any letter case. A deleted user has none any more.
pub fn find_by_email(tx: &ReadTx<'_>, email: &str) -> Result<Option<User>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM person WHERE email_key = ?1 AND deleted_at IS NULL");
    tx.row(&sql, [email.to_lowercase()], user)
}

/// Returns the user who was the last to be deleted of those who had this e-mail address.
pub fn find_deleted_by_email(tx: &ReadTx<'_>, email: &str) -> Result<Option<User>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM person WHERE email_key = ?1 AND deleted_at IS NOT NULL
         ORDER BY deleted_at DESC, id DESC LIMIT 1"
    );
    tx.row(&sql, [email.to_lowercase()], user)
}

/// Returns up to `most` users of one organization, or of all, newest first, without deleted ones.
pub fn list(tx: &ReadTx<'_>, org: Option<OrgId>, most: u32) -> Result<Vec<User>, StoreError> {
    match org {
        Some(org) => {
            let sql =
                format!("SELECT {COLUMNS} FROM person WHERE org = ?1 AND deleted_at IS NULL ORDER BY id DESC LIMIT ?2");
            tx.rows(&sql, params![org.as_bytes(), most], user)
        }
        None => tx.rows(
            &format!("SELECT {COLUMNS} FROM person WHERE deleted_at IS NULL ORDER BY id DESC LIMIT ?1"),
            [most],
            user,
        ),
    }
}

/// Returns a page of the users of an organization, newest first, including deleted ones, and the total number.
pub fn page(tx: &ReadTx<'_>, org: OrgId, skip: u32, take: u32) -> Result<(Vec<User>, i64), StoreError> {
    let total = tx.row("SELECT count(*) FROM person WHERE org = ?1", [org.as_bytes()], |row| row.get(0))?;
    // Skipped rows are skipped in the index.
    let page = "SELECT id FROM person WHERE org = ?1 ORDER BY id DESC LIMIT ?2 OFFSET ?3";
    let sql = format!("SELECT {COLUMNS} FROM person WHERE id IN ({page}) ORDER BY id DESC");
    Ok((tx.rows(&sql, params![org.as_bytes(), take, skip], user)?, total.unwrap_or(0)))
}

/// Returns whether an organization has fewer than `most` users, including deleted ones.
pub fn are_fewer_than(tx: &ReadTx<'_>, org: OrgId, most: u32) -> Result<bool, StoreError> {
    let sql = "SELECT count(*) < ?2 FROM (SELECT 1 FROM person WHERE org = ?1 LIMIT ?2) AS found";
    Ok(tx.row(sql, params![org.as_bytes(), most], |row| row.get(0))?.unwrap_or(false))
}

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: UserId::from_bytes(row.get(0)?),
        org: OrgId::from_bytes(row.get(1)?),
        email: row.get(2)?,
        name: row.get(3)?,
        last_name: row.get(4)?,
        role: row.get(5)?,
        validated: row.get(6)?,
        deleted_at: row.get::<_, Option<i64>>(7)?.map(Time::from_millis),
    })
}
