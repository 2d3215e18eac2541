//! Server-wide counts of all organizations together, taken from indexes alone.

use rusqlite::{Row, params};

use super::webhook::FAILING;
use super::{ReadTx, StoreError};
use crate::domain::expiry::Span;
use crate::domain::time::Time;

/// Returns how many organizations there are.
pub fn orgs(tx: &ReadTx<'_>) -> Result<i64, StoreError> {
    Ok(tx.row("SELECT count(*) FROM org", [], count)?.unwrap_or(0))
}

/// Returns how many organization keys are active, retiring, retired and deleted.
pub fn org_keys(tx: &ReadTx<'_>, now: Time) -> Result<[i64; 4], StoreError> {
    let sql = "SELECT count(*) FILTER (WHERE deleted_at IS NULL AND retire_at IS NULL),
        count(*) FILTER (WHERE deleted_at IS NULL AND retire_at > ?1),
        count(*) FILTER (WHERE deleted_at IS NULL AND retire_at <= ?1),
        count(*) FILTER (WHERE deleted_at IS NOT NULL) FROM org_key";
    let counts = |row: &Row<'_>| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]);
    Ok(tx.row(sql, [now.millis()], counts)?.unwrap_or_default())
}

/// Returns how many nodes use organization keys that end in `span`.
pub fn nodes_on_ending_keys(tx: &ReadTx<'_>, span: Span) -> Result<i64, StoreError> {
    let sql = "SELECT count(*) FROM org_key CROSS JOIN node ON node.key = org_key.id
        WHERE retire_at > ?1 AND retire_at <= ?2 AND org_key.deleted_at IS NULL";
    Ok(tx.row(sql, params![span.0.millis(), span.1.millis()], count)?.unwrap_or(0))
}

/// Returns how many API keys there are, including expired ones.
pub fn api_keys(tx: &ReadTx<'_>) -> Result<i64, StoreError> {
    Ok(tx.row("SELECT count(*) FROM api_key", [], count)?.unwrap_or(0))
}

/// Returns how many nodes there are, without deleted ones.
pub fn nodes(tx: &ReadTx<'_>) -> Result<i64, StoreError> {
    Ok(tx.row("SELECT count(*) FROM node WHERE deleted_at IS NULL", [], count)?.unwrap_or(0))
}

/// Returns the number of nodes of the organization that has the most, including deleted ones.
pub fn most_nodes(tx: &ReadTx<'_>) -> Result<i64, StoreError> {
    Ok(tx.row("SELECT coalesce(max(nodes), 0) FROM org", [], count)?.unwrap_or(0))
}

/// Returns how many nodes had their last contact at `since` or before.
pub fn silent_nodes(tx: &ReadTx<'_>, since: Time) -> Result<i64, StoreError> {
    // In two halves, because the index starts with the nodes whose silence has not been announced.
    let halves =
        "SELECT (SELECT count(*) FROM node WHERE deleted_at IS NULL AND silent_at IS NULL AND last_contact <= ?1)
        + (SELECT count(*) FROM node WHERE deleted_at IS NULL AND silent_at IS NOT NULL AND last_contact <= ?1)";
    Ok(tx.row(halves, [since.millis()], count)?.unwrap_or(0))
}

/// Returns how many deliveries are pending, and since when the oldest of an enabled webhook.
pub fn deliveries(tx: &ReadTx<'_>) -> Result<(i64, Option<Time>), StoreError> {
    // The join order is fixed, because the index starts with the webhook.
    let sql = "SELECT count(*), min(delivery.created_at) FILTER (WHERE webhook.disabled IS NULL)
        FROM webhook CROSS JOIN delivery ON delivery.webhook = webhook.id WHERE state = 'pending'";
    let found = tx.row(sql, [], |row| Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?.map(Time::from_millis))))?;
    Ok(found.unwrap_or_default())
}

/// Returns how many webhooks there are, and how many are failing: enabled with a failed last attempt, or disabled by
/// the server.
pub fn webhooks(tx: &ReadTx<'_>) -> Result<(i64, i64), StoreError> {
    let sql = format!(
        "SELECT count(*), count(*) FILTER (WHERE disabled <> 'administrator' OR (disabled IS NULL AND {FAILING}))
         FROM webhook"
    );
    Ok(tx.row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?.unwrap_or_default())
}

fn count(row: &Row<'_>) -> rusqlite::Result<i64> {
    row.get(0)
}
