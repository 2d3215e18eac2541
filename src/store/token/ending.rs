//! Access tokens of owners and administrators that expire soon, and the last expiry notice recorded for each. Sessions do
//! not count, and neither does a token at a lead time that is no shorter than its whole life: whoever created it knows.

use rusqlite::{Row, params};

use crate::domain::expiry::{SOON, Span, days};
use crate::domain::id::{OrgId, TokenId, UserId};
use crate::domain::time::Time;
use crate::store::{ReadTx, StoreError, WriteTx};

/// The tokens that expire in a span, with a life longer than `?3`. The join order is fixed, because the index starts with
/// the expiry.
const ENDING: &str = "FROM token CROSS JOIN person ON person.id = token.person
    WHERE expires_at IS NOT NULL AND revoked_at IS NULL AND refresh_until IS NULL
    AND expires_at > ?1 AND expires_at <= ?2 AND expires_at - token.created_at > ?3
    AND role IN (254, 255) AND person.deleted_at IS NULL";

/// An access token that expires soon.
#[derive(Clone, Copy, Debug)]
pub struct Ending {
    /// The token's id.
    pub token: TokenId,
    /// Its user.
    pub user: UserId,
    /// The organization of the user.
    pub org: OrgId,
    /// When the token expires.
    pub end: Time,
}

/// An access token that expires soon, and the e-mail address of its user.
#[derive(Clone, Debug)]
pub struct EndingOf {
    /// The token's id.
    pub token: TokenId,
    /// The e-mail address of its user.
    pub email: String,
    /// When the token expires.
    pub end: Time,
}

/// Returns tokens that expire in `span` and had no notice at `within` or fewer days, the first to expire first.
pub fn unannounced(tx: &ReadTx<'_>, span: Span, within: u32, most: u32) -> Result<Vec<Ending>, StoreError> {
    let sql = format!(
        "SELECT token.id, person.id, org, expires_at {ENDING} AND (announced IS NULL OR announced > ?4)
         ORDER BY expires_at, token.id LIMIT ?5"
    );
    let life = millis(within);
    tx.rows(&sql, params![span.0.millis(), span.1.millis(), life, within, most], |row| {
        let (token, org) = (TokenId::from_bytes(row.get(0)?), OrgId::from_bytes(row.get(2)?));
        Ok(Ending { token, user: UserId::from_bytes(row.get(1)?), org, end: end(row, 3)? })
    })
}

/// Records that a token's expiry was announced this many days before.
pub fn announced(tx: &WriteTx<'_>, token: TokenId, within: u32) -> Result<(), StoreError> {
    tx.execute("UPDATE token SET announced = ?2 WHERE id = ?1", params![token.as_bytes(), within]).map(drop)
}

/// Returns how many tokens expire soon.
pub fn count(tx: &ReadTx<'_>, now: Time) -> Result<i64, StoreError> {
    let sql = format!("SELECT count(*) {ENDING}");
    Ok(tx.row(&sql, soon(now), |row| row.get(0))?.unwrap_or(0))
}

/// Returns the first `most` of the tokens that expire soon.
pub fn list(tx: &ReadTx<'_>, now: Time, most: u32) -> Result<Vec<EndingOf>, StoreError> {
    let [after, until, life] = soon(now);
    let sql = format!("SELECT token.id, email, expires_at {ENDING} ORDER BY expires_at, token.id LIMIT ?4");
    tx.rows(&sql, params![after, until, life, most], |row| {
        Ok(EndingOf { token: TokenId::from_bytes(row.get(0)?), email: row.get(1)?, end: end(row, 2)? })
    })
}

/// The span of what expires soon, and the life above which a token counts.
fn soon(now: Time) -> [i64; 3] {
    let until = now.plus(SOON).millis();
    [now.millis(), until, until - now.millis()]
}

fn millis(number: u32) -> i64 {
    i64::try_from(days(number).as_millis()).unwrap_or(i64::MAX)
}

fn end(row: &Row<'_>, column: usize) -> rusqlite::Result<Time> {
    row.get(column).map(Time::from_millis)
}
