//! The state of the clock, stored across restarts, so that setting the clock back revives nothing that has expired.

use std::time::Duration;

use rusqlite::params;

use super::touched::Touched;
use super::{ReadTx, StoreError, WriteTx};
use crate::domain::id::ApiKeyId;
use crate::domain::time::Time;

const DAY: i64 = 86_400_000;

/// For all ends that were announced: stores the lead time of the last announcement that would be due by now.
const ANNOUNCED_TOO_EARLY: [&str; 3] = [
    "UPDATE token SET announced =
         CASE WHEN expires_at > ?1 + 30 * ?2 THEN NULL WHEN expires_at > ?1 + 7 * ?2 THEN 30 ELSE 7 END
     WHERE expires_at > ?1 + announced * ?2",
    "UPDATE api_key SET announced =
         CASE WHEN expire_at > ?1 + 30 * ?2 THEN NULL WHEN expire_at > ?1 + 7 * ?2 THEN 30 ELSE 7 END
     WHERE expire_at > ?1 + announced * ?2",
    "UPDATE org_key SET announced =
         CASE WHEN retire_at > ?1 + 7 * ?2 THEN NULL WHEN retire_at > ?1 + ?2 THEN 7 ELSE 1 END
     WHERE retire_at > ?1 + announced * ?2",
];

/// The stored state of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockState {
    /// The latest moment that has certainly passed.
    pub high_water: Time,
    /// How far the clock got while it was not trusted; the epoch if it was trusted.
    pub ahead: Time,
    /// What the clock showed when it was last checked.
    pub shown: Time,
    /// Since when the clock has been ahead without being trusted.
    pub leapt_at: Option<Time>,
}

impl Default for ClockState {
    fn default() -> Self {
        let never = Time::from_millis(0);
        Self { high_water: never, ahead: never, shown: never, leapt_at: None }
    }
}

/// The lifetimes of new credentials.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields are named after what has the lifetime")]
pub struct Lives {
    pub access: Duration,
    pub refresh: Duration,
    pub invitation: Duration,
    pub overlap: Duration,
}

/// Returns the state that the last process stored.
pub fn state(tx: &ReadTx<'_>) -> Result<ClockState, StoreError> {
    let state = tx.row("SELECT high_water, clock_ahead, clock_seen, leapt_at FROM server", [], |row| {
        let [high_water, ahead, shown] = [row.get(0)?, row.get(1)?, row.get(2)?].map(Time::from_millis);
        let leapt_at = Some(row.get(3)?).filter(|millis| *millis > 0).map(Time::from_millis);
        Ok(ClockState { high_water, ahead, shown, leapt_at })
    })?;
    Ok(state.unwrap_or_default())
}

/// Stores the state of the clock.
pub fn keep(tx: &WriteTx<'_>, state: ClockState) -> Result<(), StoreError> {
    let millis = |time: Time| time.millis().max(0);
    tx.execute(
        "UPDATE server SET high_water = ?1, clock_ahead = ?2, clock_seen = ?3, leapt_at = ?4",
        params![millis(state.high_water), millis(state.ahead), millis(state.shown), state.leapt_at.map_or(0, millis)],
    )
    .map(drop)
}

/// Corrects what was stored while the clock was ahead of `now`. A credential created then gets the same lifetime from
/// `now`, and no other stored time may remain far enough ahead to block anything. Deliveries are scheduled by the
/// displayed clock, which went back by `back`, so each keeps its remaining delay.
///
/// What is corrected once is not ahead any more, so another step back does not correct it again.
pub fn pull_back(tx: &WriteTx<'_>, now: Time, back: Duration, lives: Lives) -> Result<(), StoreError> {
    let until = |life| now.plus(life).millis();
    let now = now.millis();
    tx.execute(
        "UPDATE token SET expires_at = CASE WHEN expires_at > ?1 THEN ?1 ELSE expires_at END,
             refresh_until = CASE WHEN refresh_until > ?2 THEN ?2 ELSE refresh_until END
         WHERE refresh_until IS NOT NULL AND (expires_at > ?1 OR refresh_until > ?2)",
        [until(lives.access), until(lives.refresh)],
    )?;
    tx.execute(
        "UPDATE token SET expires_at = ?1 + expires_at - created_at
         WHERE refresh_until IS NULL AND expires_at IS NOT NULL AND created_at > ?1",
        [now],
    )?;
    tx.execute("UPDATE token SET created_at = ?1 WHERE created_at > ?1", [now])?;
    tx.execute("UPDATE token SET last_used = ?1 WHERE last_used > ?1", [now])?;
    tx.execute("UPDATE refresh_token SET used_at = ?1 WHERE used_at > ?1", [now])?;
    tx.execute("UPDATE web_session SET password_at = ?1 WHERE password_at > ?1", [now])?;
    tx.touches.add(Touched::EveryToken);
    tx.execute("UPDATE invitation SET expires_at = ?1 WHERE expires_at > ?1", [until(lives.invitation)])?;
    tx.execute("UPDATE wrong_password SET at = ?1 WHERE at > ?1", [now])?;
    tx.execute("UPDATE known_network SET at = ?1 WHERE at > ?1", [now])?;
    let back = i64::try_from(back.as_millis()).unwrap_or(i64::MAX);
    if back > 0 {
        let sql =
            "UPDATE delivery SET due_at = CASE WHEN due_at > ?1 THEN due_at - ?1 ELSE 0 END WHERE state = 'pending'";
        tx.execute(sql, [back])?;
    }
    tx.execute("UPDATE webhook SET previous_until = ?1 WHERE previous_until > ?1", [until(lives.overlap)])?;
    tx.execute("UPDATE node SET last_contact = ?1 WHERE last_contact > ?1", [now])?;
    pull_back_org_keys(tx, now)?;
    pull_back_api_keys(tx, now)?;
    // What was announced too early is announced again in time.
    tx.execute("UPDATE node SET silent_at = NULL WHERE silent_at > ?1", [now])?;
    for sql in ANNOUNCED_TOO_EARLY {
        tx.execute(sql, [now, DAY])?;
    }
    Ok(())
}

/// Corrects the ends of organization keys that were rotated while the clock was ahead. All other ends are dates that
/// somebody chose. A key whose end was recorded stays retired, even if that was too early: it may have been ended at once.
fn pull_back_org_keys(tx: &WriteTx<'_>, now: i64) -> Result<(), StoreError> {
    // A rotation creates the successor, so that says when it was.
    tx.execute(
        "UPDATE org_key SET retire_at = ?1 + org_key.retire_at - successor.created_at FROM org_key AS successor
         WHERE successor.id = org_key.successor AND successor.created_at > ?1
         AND org_key.retire_at >= successor.created_at",
        [now],
    )?;
    tx.execute("UPDATE org_key SET retire_at = ?1 WHERE announced = 0 AND retire_at > ?1", [now])?;
    tx.execute("UPDATE org_key SET created_at = ?1 WHERE created_at > ?1", [now])?;
    tx.execute("UPDATE org_key SET deleted_at = ?1 WHERE deleted_at > ?1", [now]).map(drop)
}

/// Corrects the starts of API keys that were created while the clock was ahead, and the ends of those that were rotated
/// then. All other starts and ends are dates that somebody chose.
fn pull_back_api_keys(tx: &WriteTx<'_>, now: i64) -> Result<(), StoreError> {
    let ahead =
        tx.rows("SELECT id FROM api_key WHERE created_at > ?1 OR rotated_at > ?1", [now], |row| row.get::<_, i64>(0))?;
    for id in ahead.into_iter().filter_map(ApiKeyId::from_number) {
        tx.touches.add(Touched::ApiKey(id));
    }
    tx.execute("UPDATE api_key SET start_at = ?1 WHERE start_at = created_at AND created_at > ?1", [now])?;
    tx.execute("UPDATE api_key SET created_at = ?1 WHERE created_at > ?1", [now])?;
    tx.execute(
        "UPDATE api_key SET rotated_at = ?1, expire_at = CASE WHEN ?1 + expire_at - rotated_at > start_at
             THEN ?1 + expire_at - rotated_at ELSE start_at + 1 END
         WHERE rotated_at > ?1 AND expire_at IS NOT NULL",
        [now],
    )
    .map(drop)
}
