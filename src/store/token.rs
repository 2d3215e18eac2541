//! Access tokens: the digest and the times. The token itself is never stored.

pub mod ending;

use rusqlite::{Row, params};

use super::touched::Touched;
use super::{ReadTx, StoreError, WriteTx};
use crate::crypto::secret::{self, TokenDigest};
use crate::domain::id::{OrgId, TokenId, UserId};
use crate::domain::role::Role;
use crate::domain::time::Time;
use crate::domain::user::Token;

/// An access token with what determines whether it is valid, for whom, and with which role.
#[derive(Clone, Debug)]
pub struct TokenStatus {
    /// The token.
    pub token: Token,
    /// The organization of its user.
    pub org: OrgId,
    /// The role of its user.
    pub role: Role,
    /// Whether its user was deleted.
    pub user_deleted: bool,
    /// When the password of a web session was last given; `None` for every other token.
    pub password_at: Option<Time>,
}

const COLUMNS: &str = "id, person, created_at, expires_at, revoked_at, last_used, name";

const STANDING: &str = "SELECT token.id, token.person, token.created_at, token.expires_at, token.revoked_at,
        token.last_used, token.name, person.org, person.role, person.deleted_at IS NOT NULL, token.digest,
        web_session.password_at
    FROM token JOIN person ON person.id = token.person LEFT JOIN web_session ON web_session.token = token.id";

/// Inserts a token; `false` if there is one with this digest already.
pub fn insert(tx: &WriteTx<'_>, token: &Token, digest: &TokenDigest) -> Result<bool, StoreError> {
    let added = tx.execute(
        "INSERT INTO token (id, person, digest, created_at, expires_at, name) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (digest) DO NOTHING",
        params![
            token.id.as_bytes(),
            token.user.as_bytes(),
            digest,
            token.created_at.millis(),
            token.expires_at.map(Time::millis),
            token.name
        ],
    )?;
    tx.touches.add(Touched::Token(token.id));
    Ok(added == 1)
}

/// Returns the token with this digest.
pub fn find_by_digest(tx: &ReadTx<'_>, digest: &TokenDigest) -> Result<Option<TokenStatus>, StoreError> {
    let found = tx.row(&format!("{STANDING} WHERE token.digest = ?1"), [digest], |row| {
        Ok((standing(row)?, row.get::<_, TokenDigest>(10)?))
    })?;
    Ok(found.filter(|(_, stored)| secret::equal(stored, digest)).map(|(standing, _)| standing))
}

/// Returns the token with this id in this snapshot.
pub fn find(tx: &ReadTx<'_>, id: TokenId) -> Result<Option<TokenStatus>, StoreError> {
    tx.row(&format!("{STANDING} WHERE token.id = ?1"), [id.as_bytes()], standing)
}

/// Returns whether a user has a token that is valid until it is revoked.
pub fn has_endless(tx: &ReadTx<'_>, user: UserId) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM token WHERE person = ?1 AND expires_at IS NULL AND revoked_at IS NULL LIMIT 1";
    Ok(tx.row(sql, [user.as_bytes()], |_| Ok(()))?.is_some())
}

/// Returns up to `most` tokens of one user, or of all users, newest first.
pub fn list(tx: &ReadTx<'_>, user: Option<UserId>, most: u32) -> Result<Vec<Token>, StoreError> {
    match user {
        Some(user) => {
            let sql = format!("SELECT {COLUMNS} FROM token WHERE person = ?1 ORDER BY id DESC LIMIT ?2");
            tx.rows(&sql, params![user.as_bytes(), most], token)
        }
        None => tx.rows(&format!("SELECT {COLUMNS} FROM token ORDER BY id DESC LIMIT ?1"), [most], token),
    }
}

/// Returns the tokens that are neither revoked nor of a deleted user, or the one with this id if it is such, each with
/// its digest.
pub(super) fn live(tx: &ReadTx<'_>, id: Option<TokenId>) -> Result<Vec<(TokenDigest, TokenStatus)>, StoreError> {
    let known = |row: &Row<'_>| Ok((row.get(10)?, standing(row)?));
    let sql = format!("{STANDING} WHERE token.revoked_at IS NULL AND person.deleted_at IS NULL");
    match id {
        Some(id) => tx.rows(&format!("{sql} AND token.id = ?1"), [id.as_bytes()], known),
        None => tx.rows(&sql, [], known),
    }
}

/// Revokes a token; `false` if there is none or it was already revoked.
pub fn revoke(tx: &WriteTx<'_>, id: TokenId, now: Time) -> Result<bool, StoreError> {
    let sql = "UPDATE token SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";
    tx.touches.add(Touched::Token(id));
    Ok(tx.execute(sql, params![id.as_bytes(), now.millis()])? == 1)
}

/// Revokes every token and session of a user; returns how many were not yet revoked.
pub fn revoke_of(tx: &WriteTx<'_>, user: UserId, now: Time) -> Result<usize, StoreError> {
    tx.touches.add(Touched::User(user));
    let sql = "UPDATE token SET revoked_at = ?2 WHERE person = ?1 AND revoked_at IS NULL";
    tx.execute(sql, params![user.as_bytes(), now.millis()])
}

/// Ends the sessions of a user except `kept`, and no other tokens; returns how many were not yet revoked.
pub fn revoke_sessions(
    tx: &WriteTx<'_>,
    user: UserId,
    spared: Option<TokenId>,
    now: Time,
) -> Result<usize, StoreError> {
    tx.touches.add(Touched::User(user));
    let sql = "UPDATE token SET revoked_at = ?2
         WHERE person = ?1 AND revoked_at IS NULL AND refresh_until IS NOT NULL AND (id <> ?3 OR ?3 IS NULL)";
    tx.execute(sql, params![user.as_bytes(), now.millis(), spared.as_ref().map(TokenId::as_bytes)])
}

/// Revokes every token and session of the server; returns how many were not yet revoked.
pub fn revoke_all(tx: &WriteTx<'_>, now: Time) -> Result<usize, StoreError> {
    tx.touches.add(Touched::EveryToken);
    tx.execute("UPDATE token SET revoked_at = ?1 WHERE revoked_at IS NULL", [now.millis()])
}

/// Records that a token was used.
pub fn touch(tx: &WriteTx<'_>, id: TokenId, now: Time) -> Result<(), StoreError> {
    tx.execute("UPDATE token SET last_used = ?2 WHERE id = ?1", params![id.as_bytes(), now.millis()]).map(drop)
}

fn token(row: &Row<'_>) -> rusqlite::Result<Token> {
    let time = |column| row.get::<_, Option<i64>>(column).map(|millis| millis.map(Time::from_millis));
    Ok(Token {
        id: TokenId::from_bytes(row.get(0)?),
        user: UserId::from_bytes(row.get(1)?),
        created_at: Time::from_millis(row.get(2)?),
        expires_at: time(3)?,
        revoked_at: time(4)?,
        last_used: time(5)?,
        name: row.get(6)?,
    })
}

fn standing(row: &Row<'_>) -> rusqlite::Result<TokenStatus> {
    Ok(TokenStatus {
        token: token(row)?,
        org: OrgId::from_bytes(row.get(7)?),
        role: row.get(8)?,
        user_deleted: row.get(9)?,
        password_at: row.get::<_, Option<i64>>(11)?.map(Time::from_millis),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::writer_tests::subject::Subject;

    #[test]
    fn a_token_is_revoked_once_and_keeps_the_time_of_that() {
        let subject = Subject::new();
        let done = subject.store.write(|tx| {
            tx.conn.execute_batch(
                "INSERT INTO org (id, name, created_at) VALUES (zeroblob(16), 'acme', 0);
                 INSERT INTO person VALUES (zeroblob(16), zeroblob(16), 'a@b', 'a@b', '', '', 0, 1, 0, NULL, NULL, NULL)",
            )?;
            let (at, id, user) = (Time::from_millis, |number| TokenId::from_bytes([number; 16]), UserId::from_bytes([0; 16]));
            for number in 1..=3 {
                let (created_at, expires_at, revoked_at, last_used) = (at(0), None, None, None);
                let token = Token { id: id(number), user, name: None, created_at, expires_at, revoked_at, last_used };
                insert(tx, &token, &[number; 32])?;
            }
            let one = [revoke(tx, id(1), at(5))?, revoke(tx, id(1), at(6))?, revoke(tx, id(9), at(6))?];
            let all = [revoke_of(tx, user, at(7))?, revoke_of(tx, user, at(8))?, revoke_all(tx, at(9))?];
            let times: Vec<_> = list(tx, Some(user), 10)?.into_iter().map(|token| token.revoked_at).collect();
            Ok::<_, StoreError>((one, all, times))
        });
        let times = [7, 7, 5].map(|millis| Some(Time::from_millis(millis)));
        assert_eq!(done.wait().expect("written"), ([true, false, false], [2, 0, 0], times.to_vec()));
    }
}
