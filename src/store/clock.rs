//! How far has time come? Kept across restarts, so that a clock that is set back brings nothing back to life.

use std::time::Duration;

use rusqlite::params;

use super::touched::Touched;
use super::{ReadTx, StoreError, WriteTx};
use crate::domain::id::ApiKeyId;
use crate::domain::time::Time;

const DAY: i64 = 86_400_000;

/// What is kept of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockState {
    /// The latest moment that has surely come.
    pub high_water: Time,
    /// How far the clock came while it was not believed; the beginning of time: it did not.
    pub ahead: Time,
    /// What the clock showed when it was last looked at.
    pub shown: Time,
    /// Since when the clock has run ahead without being believed.
    pub leapt_at: Option<Time>,
}

impl Default for ClockState {
    fn default() -> Self {
        let never = Time::from_millis(0);
        Self { high_water: never, ahead: never, shown: never, leapt_at: None }
    }
}

/// How long what begins now lives.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields are what lives so long")]
pub struct Lives {
    pub access: Duration,
    pub refresh: Duration,
    pub invitation: Duration,
    pub overlap: Duration,
}

/// What the last process kept.
pub fn state(tx: &ReadTx<'_>) -> Result<ClockState, StoreError> {
    let state = tx.row("SELECT high_water, clock_ahead, clock_seen, leapt_at FROM server", [], |row| {
        let [high_water, ahead, shown] = [row.get(0)?, row.get(1)?, row.get(2)?].map(Time::from_millis);
        let leapt_at = Some(row.get(3)?).filter(|millis| *millis > 0).map(Time::from_millis);
        Ok(ClockState { high_water, ahead, shown, leapt_at })
    })?;
    Ok(state.unwrap_or_default())
}

/// Keeps how far time has come.
pub fn keep(tx: &WriteTx<'_>, state: ClockState) -> Result<(), StoreError> {
    let millis = |time: Time| time.millis().max(0);
    tx.execute(
        "UPDATE server SET high_water = ?1, clock_ahead = ?2, clock_seen = ?3, leapt_at = ?4",
        params![millis(state.high_water), millis(state.ahead), millis(state.shown), state.leapt_at.map_or(0, millis)],
    )
    .map(drop)
}

/// Ends what was made while the clock ran ahead of `now` as long after `now` as it would have ended after it was made, and
/// lets nothing else state a later moment that would hold somebody up. Deliveries are due by what the clock shows, which went
/// `back` by so much, so each waits as long as it would have.
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
    tx.execute("UPDATE token SET last_used = ?1 WHERE last_used > ?1", [now])?;
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
    // What was announced too early is announced again when it comes.
    tx.execute("UPDATE node SET silent_at = NULL WHERE silent_at > ?1", [now])?;
    tx.execute(
        "UPDATE api_key SET announced =
             CASE WHEN expire_at > ?3 THEN NULL WHEN expire_at > ?4 THEN 30 ELSE 7 END
         WHERE expire_at > ?1 + announced * ?2",
        [now, DAY, now + 30 * DAY, now + 7 * DAY],
    )?;
    // The end of any other API key is a date that somebody chose; that of a rotated one was counted from the clock.
    let rotated = tx.rows("SELECT id FROM api_key WHERE rotated_at > ?1 AND expire_at IS NOT NULL", [now], |row| {
        row.get::<_, i64>(0)
    })?;
    for id in rotated {
        tx.execute(
            "UPDATE api_key SET expire_at = CASE WHEN ?2 + expire_at - rotated_at > start_at
                 THEN ?2 + expire_at - rotated_at ELSE start_at + 1 END WHERE id = ?1",
            [id, now],
        )?;
        if let Some(id) = ApiKeyId::from_number(id) {
            tx.touches.add(Touched::ApiKey(id));
        }
    }
    Ok(())
}
