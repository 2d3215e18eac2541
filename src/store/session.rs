//! Sessions: one row among the access tokens while a session lasts, and its refresh tokens, including the used ones.

use std::time::Duration;

use rusqlite::{Row, params};

use super::touched::Touched;
use super::{ReadTx, StoreError, WriteTx};
use crate::crypto::secret::{self, TokenDigest};
use crate::domain::id::{OrgId, TokenId, UserId};
use crate::domain::session::{OwnToken, REFRESH_TTL, REUSE_GRACE, Session};
use crate::domain::time::Time;

/// The maximum number of concurrent sessions per user: they are held in memory, and listed without paging.
const MOST: u32 = 1_000;

/// How long the row of an ended session or access token is stored.
const KEPT: Duration = Duration::from_hours(30 * 24);

/// How many ended sessions and access tokens, or old refresh tokens, are removed with each sign-in, new access token or
/// refresh, so that no call pays for many.
const FORGOTTEN_AT_ONCE: u32 = 8;

/// When a token ends or ended, as in the index; null for one that is valid until it is revoked.
const ENDS: &str = "CASE WHEN revoked_at IS NULL OR revoked_at > coalesce(refresh_until, expires_at)
    THEN coalesce(refresh_until, expires_at) ELSE revoked_at END";

/// What a refresh token belongs to, and its state.
#[derive(Clone, Debug)]
pub struct Refresh {
    /// The session that it renews.
    pub session: TokenId,
    /// The user of the session.
    pub user: UserId,
    /// The organization of the user.
    pub org: OrgId,
    /// When the refresh token was used, if it was.
    pub used_at: Option<Time>,
    /// Whether the session was ended, or its user deleted.
    ended: bool,
    /// When the session ends unless it is refreshed.
    until: Time,
}

/// What a use of a refresh token means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshUsage {
    /// It renews the session.
    First,
    /// It was used a moment ago, probably by the same client.
    Repeated,
    /// It was used long enough ago that one of the two uses may be a thief's.
    Reused,
}

impl Refresh {
    /// Returns whether the session is valid at `now`.
    #[must_use]
    pub fn stands(&self, now: Time) -> bool {
        !self.ended && now < self.until
    }

    /// Returns what another use of the refresh token at `now` means.
    #[must_use]
    pub fn usage(&self, now: Time) -> RefreshUsage {
        match self.used_at {
            None => RefreshUsage::First,
            Some(at) if now < at.plus(REUSE_GRACE) => RefreshUsage::Repeated,
            Some(_) => RefreshUsage::Reused,
        }
    }
}

/// Inserts a session with its first access token and refresh token.
pub fn insert(
    tx: &WriteTx<'_>,
    session: &Session,
    access: &TokenDigest,
    refresh: &TokenDigest,
) -> Result<(), StoreError> {
    insert_row(tx, session, access)?;
    add_refresh(tx, session.id, refresh)
}

/// Inserts the row of a session, without a refresh token.
pub(super) fn insert_row(tx: &WriteTx<'_>, session: &Session, access: &TokenDigest) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO token (id, person, digest, created_at, expires_at, refresh_until, device)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            session.id.as_bytes(),
            session.user.as_bytes(),
            access,
            session.created_at.millis(),
            session.expires_at.millis(),
            session.refresh_until.millis(),
            session.device
        ],
    )?;
    tx.touches.add(Touched::Token(session.id));
    Ok(())
}

/// Returns the session and the state of the refresh token with this digest.
pub fn find_by_refresh(tx: &ReadTx<'_>, digest: &TokenDigest) -> Result<Option<Refresh>, StoreError> {
    let sql = "SELECT token.id, token.person, used_at, revoked_at IS NOT NULL OR deleted_at IS NOT NULL,
            refresh_until, refresh_token.digest, org
        FROM refresh_token JOIN token ON token.id = refresh_token.session JOIN person ON person.id = token.person
        WHERE refresh_token.digest = ?1";
    let found = tx.row(sql, [digest], |row| Ok((refresh(row)?, row.get::<_, TokenDigest>(5)?)))?;
    Ok(found.filter(|(_, stored)| secret::equal(stored, digest)).map(|(refresh, _)| refresh))
}

/// Marks a refresh token as used.
pub fn spend_refresh(tx: &WriteTx<'_>, digest: &TokenDigest, now: Time) -> Result<(), StoreError> {
    let sql = "UPDATE refresh_token SET used_at = ?2 WHERE digest = ?1";
    tx.execute(sql, params![digest, now.millis()]).map(drop)
}

/// Gives a session new tokens and later ends; the previous access token becomes invalid immediately. Some refresh
/// tokens that were used longer ago than their lifetime are removed.
pub fn renew(
    tx: &WriteTx<'_>,
    session: TokenId,
    (access, expires_at): (&TokenDigest, Time),
    (refresh, refresh_until): (&TokenDigest, Time),
    now: Time,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE token SET digest = ?2, expires_at = ?3, refresh_until = ?4 WHERE id = ?1",
        params![session.as_bytes(), access, expires_at.millis(), refresh_until.millis()],
    )?;
    tx.touches.add(Touched::Token(session));
    tx.execute(
        "DELETE FROM refresh_token WHERE digest IN
             (SELECT digest FROM refresh_token WHERE session = ?1 AND used_at <= ?2 LIMIT ?3)",
        params![session.as_bytes(), now.minus(REFRESH_TTL).millis(), FORGOTTEN_AT_ONCE],
    )?;
    add_refresh(tx, session, refresh)
}

/// Returns the valid sessions and access tokens of a user, newest first.
pub fn list(tx: &ReadTx<'_>, user: UserId, now: Time) -> Result<Vec<OwnToken>, StoreError> {
    let sql = format!(
        "SELECT id, refresh_until IS NOT NULL, device, created_at, coalesce(refresh_until, expires_at), last_used, name
         FROM token WHERE revoked_at IS NULL AND id IN (
             SELECT id FROM token INDEXED BY token_by_end WHERE person = ?1 AND {ENDS} IS NULL
             UNION ALL SELECT id FROM token INDEXED BY token_by_end WHERE person = ?1 AND {ENDS} > ?2)
         ORDER BY id DESC"
    );
    tx.rows(&sql, params![user.as_bytes(), now.millis()], own_token)
}

/// Returns how many access tokens of a user are valid, without sessions.
pub fn count_tokens(tx: &ReadTx<'_>, user: UserId, now: Time) -> Result<u32, StoreError> {
    let sql = format!(
        "SELECT count(*) FROM token WHERE refresh_until IS NULL AND revoked_at IS NULL AND id IN (
             SELECT id FROM token INDEXED BY token_by_end WHERE person = ?1 AND {ENDS} IS NULL
             UNION ALL SELECT id FROM token INDEXED BY token_by_end WHERE person = ?1 AND {ENDS} > ?2)"
    );
    Ok(tx.row(&sql, params![user.as_bytes(), now.millis()], |row| row.get(0))?.unwrap_or(0))
}

/// Ends a session or an access token of a user; `false` if the user has no valid one with this id.
pub fn end(tx: &WriteTx<'_>, user: UserId, id: TokenId, now: Time) -> Result<bool, StoreError> {
    tx.touches.add(Touched::Token(id));
    let sql = "UPDATE token SET revoked_at = ?3 WHERE id = ?1 AND person = ?2 AND revoked_at IS NULL
        AND (coalesce(refresh_until, expires_at) IS NULL OR coalesce(refresh_until, expires_at) > ?3)";
    Ok(tx.execute(sql, params![id.as_bytes(), user.as_bytes(), now.millis()])? == 1)
}

/// Ends the sessions beyond the maximum, to make room for a new one: those that were not refreshed for longest. Their
/// rows are deleted, so that repeated sign-ins do not accumulate rows. Returns their ids.
pub fn make_room(tx: &WriteTx<'_>, user: UserId, now: Time) -> Result<Vec<TokenId>, StoreError> {
    let sql = format!(
        "SELECT id FROM token INDEXED BY token_by_end
         WHERE person = ?1 AND {ENDS} > ?2 AND revoked_at IS NULL AND refresh_until IS NOT NULL
         ORDER BY {ENDS} DESC, id DESC LIMIT ?4 OFFSET ?3"
    );
    let surplus = tx.rows(&sql, params![user.as_bytes(), now.millis(), MOST - 1, i64::MAX], id)?;
    for id in &surplus {
        forget(tx, *id)?;
    }
    Ok(surplus)
}

/// Removes some of a user's sessions and access tokens that ended long ago.
pub fn forget_ended(tx: &WriteTx<'_>, user: UserId, now: Time) -> Result<(), StoreError> {
    let sql = format!("SELECT id FROM token INDEXED BY token_by_end WHERE person = ?1 AND {ENDS} <= ?2 LIMIT ?3");
    for id in tx.rows(&sql, params![user.as_bytes(), now.minus(KEPT).millis(), FORGOTTEN_AT_ONCE], id)? {
        forget(tx, id)?;
    }
    Ok(())
}

fn forget(tx: &WriteTx<'_>, id: TokenId) -> Result<(), StoreError> {
    tx.touches.add(Touched::Token(id));
    tx.execute("DELETE FROM token WHERE id = ?1", [id.as_bytes()]).map(drop)
}

fn add_refresh(tx: &WriteTx<'_>, session: TokenId, digest: &TokenDigest) -> Result<(), StoreError> {
    let sql = "INSERT INTO refresh_token (digest, session) VALUES (?1, ?2)";
    tx.execute(sql, params![digest, session.as_bytes()]).map(drop)
}

fn id(row: &Row<'_>) -> rusqlite::Result<TokenId> {
    Ok(TokenId::from_bytes(row.get(0)?))
}

fn refresh(row: &Row<'_>) -> rusqlite::Result<Refresh> {
    Ok(Refresh {
        session: TokenId::from_bytes(row.get(0)?),
        user: UserId::from_bytes(row.get(1)?),
        used_at: row.get::<_, Option<i64>>(2)?.map(Time::from_millis),
        ended: row.get(3)?,
        until: Time::from_millis(row.get(4)?),
        org: OrgId::from_bytes(row.get(6)?),
    })
}

fn own_token(row: &Row<'_>) -> rusqlite::Result<OwnToken> {
    let time = |column| row.get::<_, Option<i64>>(column).map(|millis| millis.map(Time::from_millis));
    Ok(OwnToken {
        id: TokenId::from_bytes(row.get(0)?),
        is_session: row.get(1)?,
        device: row.get(2)?,
        created_at: Time::from_millis(row.get(3)?),
        ends_at: time(4)?,
        last_used: time(5)?,
        name: row.get(6)?,
    })
}
