//! Counts per organization and hour.

use rusqlite::params;

use super::{ReadTx, StoreError, WriteTx};
use crate::domain::id::OrgId;
use crate::domain::statistics::{Counted, HourlyCount};
use crate::domain::time::Time;

/// Adds to the count of an hour.
pub fn add(tx: &WriteTx<'_>, org: OrgId, hour: Time, counted: Counted, count: i64) -> Result<(), StoreError> {
    let sql = "INSERT INTO hourly_count (org, hour, kind, outcome, count) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (org, hour, kind, outcome) DO UPDATE SET count = hourly_count.count + excluded.count";
    tx.execute(sql, params![org.as_bytes(), hour.millis(), counted.kind(), counted.outcome(), count]).map(drop)
}

/// Returns the counts of an organization for the hours from `from` to `to`, by hour, kind and outcome.
pub fn list(tx: &ReadTx<'_>, org: OrgId, from: Time, to: Time) -> Result<Vec<HourlyCount>, StoreError> {
    let sql = "SELECT hour, kind, outcome, count FROM hourly_count WHERE org = ?1 AND hour BETWEEN ?2 AND ?3
        ORDER BY hour, kind, outcome";
    tx.rows(sql, params![org.as_bytes(), from.millis(), to.millis()], |row| {
        Ok(HourlyCount {
            hour: Time::from_millis(row.get(0)?),
            kind: row.get(1)?,
            outcome: row.get(2)?,
            count: row.get(3)?,
        })
    })
}

/// Returns whether there are counts of an hour before `time`.
pub fn are_older(tx: &ReadTx<'_>, time: Time) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM hourly_count WHERE hour < ?1 LIMIT 1";
    Ok(tx.row(sql, [time.millis()], |_| Ok(()))?.is_some())
}

/// Removes the counts of the first hour of all, if it is before `time`.
pub fn remove_hour(tx: &WriteTx<'_>, time: Time) -> Result<(), StoreError> {
    let sql = "DELETE FROM hourly_count WHERE hour = (SELECT min(hour) FROM hourly_count) AND hour < ?1";
    tx.execute(sql, [time.millis()]).map(drop)
}
