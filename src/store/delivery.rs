//! What is remembered of a delivery? That it is on its way, how often it was tried, and what came of it.

pub mod forget;

use rusqlite::{Row, params};

use super::{ReadTx, StoreError, WriteTx};
use crate::domain::delivery::{Delivery, State};
use crate::domain::id::{DeliveryId, OrgId, WebhookId};
use crate::domain::time::Time;

const COLUMNS: &str = "delivery.id, webhook, event, state, due_at, attempts, delivery.last_status, delivery.last_why, \
    delivery.created_at, ended_at";

/// Puts an event on its way to a webhook that is on; whether it is.
pub fn insert(tx: &WriteTx<'_>, id: DeliveryId, webhook: WebhookId, event: i64, now: Time) -> Result<bool, StoreError> {
    let added = tx.execute(
        "INSERT INTO delivery (id, webhook, event, state, due_at, attempts, created_at)
         SELECT ?1, ?2, ?3, 'pending', ?4, 0, ?4 FROM webhook WHERE id = ?2 AND disabled IS NULL",
        params![id.as_bytes(), webhook.as_bytes(), event, now.millis()],
    )?;
    Ok(added == 1)
}

/// What is due of a webhook, the longest due first.
pub fn due(tx: &ReadTx<'_>, webhook: WebhookId, most: usize) -> Result<Vec<Delivery>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM delivery WHERE webhook = ?1 AND state = 'pending' ORDER BY due_at, id LIMIT ?2");
    tx.rows(&sql, params![webhook.as_bytes(), i64::try_from(most).unwrap_or(i64::MAX)], delivery)
}

/// A delivery that is on its way, with the organization of its webhook and whether its event says of another that it failed.
pub fn pending(tx: &ReadTx<'_>, id: DeliveryId) -> Result<Option<(Delivery, OrgId, bool)>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS}, webhook.org, audit.action = 'webhook.failed'
         FROM delivery JOIN webhook ON webhook.id = webhook JOIN audit ON audit.id = event
         WHERE delivery.id = ?1 AND state = 'pending'"
    );
    tx.row(&sql, [id.as_bytes()], |row| Ok((delivery(row)?, OrgId::from_bytes(row.get(10)?), row.get(11)?)))
}

/// Writes what a try made of a delivery: its state, its times, its tries and what came of the last.
pub fn save(tx: &WriteTx<'_>, delivery: &Delivery) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE delivery SET state = ?2, due_at = ?3, attempts = ?4, last_status = ?5, last_why = ?6, ended_at = ?7
         WHERE id = ?1",
        params![
            delivery.id.as_bytes(),
            delivery.state.name(),
            delivery.due_at.millis(),
            delivery.attempts,
            delivery.last_status,
            delivery.last_why,
            delivery.ended_at.map(Time::millis)
        ],
    )
    .map(drop)
}

/// How many are on their way to a webhook.
pub fn waiting(tx: &ReadTx<'_>, webhook: WebhookId) -> Result<u32, StoreError> {
    let sql = "SELECT count(*) FROM delivery WHERE webhook = ?1 AND state = 'pending'";
    Ok(tx.row(sql, [webhook.as_bytes()], |row| row.get(0))?.unwrap_or_default())
}

/// Gives up what is on its way to a webhook whose receiver is gone, at most so many; how many that were.
pub fn give_up(tx: &WriteTx<'_>, webhook: WebhookId, why: &str, now: Time, most: u32) -> Result<usize, StoreError> {
    tx.execute(
        "UPDATE delivery SET state = 'failed', last_status = NULL, last_why = ?2, ended_at = ?3 WHERE id IN (
             SELECT delivery.id FROM webhook JOIN delivery ON webhook = webhook.id
             WHERE webhook.id = ?1 AND disabled = 'gone' AND state = 'pending' ORDER BY due_at, delivery.id LIMIT ?4)",
        params![webhook.as_bytes(), why, now.millis(), most],
    )
}

/// Sends once more what failed from `since` on, the oldest first and at most `most`; how many these are.
pub fn replay_failed(
    tx: &WriteTx<'_>,
    webhook: WebhookId,
    since: Time,
    now: Time,
    most: u32,
) -> Result<usize, StoreError> {
    tx.execute(
        "UPDATE delivery SET state = 'pending', due_at = ?3, attempts = 0, ended_at = NULL WHERE id IN (
             SELECT id FROM delivery WHERE webhook = ?1 AND ended_at >= ?2 AND state = 'failed'
             ORDER BY ended_at, id LIMIT ?4)",
        params![webhook.as_bytes(), since.millis(), now.millis(), most],
    )
}

/// Whether something failed from `since` on.
pub fn has_failed(tx: &ReadTx<'_>, webhook: WebhookId, since: Time) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM delivery WHERE webhook = ?1 AND ended_at >= ?2 AND state = 'failed' LIMIT 1";
    Ok(tx.row(sql, params![webhook.as_bytes(), since.millis()], |_| Ok(()))?.is_some())
}

/// The delivery of a webhook with this id.
pub fn find(tx: &ReadTx<'_>, webhook: WebhookId, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM delivery WHERE delivery.id = ?1 AND webhook = ?2");
    tx.row(&sql, [id.as_bytes(), webhook.as_bytes()], delivery)
}

/// The deliveries of a webhook in a state, or in any, newest first, and how many there are in all.
pub fn list(
    tx: &ReadTx<'_>,
    webhook: WebhookId,
    state: Option<State>,
    skip: u32,
    take: u32,
) -> Result<(Vec<Delivery>, i64), StoreError> {
    let fits = "FROM delivery WHERE webhook = ?1 AND (?2 IS NULL OR state = ?2)";
    let state = state.map(State::name);
    let total =
        tx.row(&format!("SELECT count(*) {fits}"), params![webhook.as_bytes(), state], |row| row.get(0))?.unwrap_or(0);
    let sql = format!("SELECT {COLUMNS} {fits} ORDER BY id DESC LIMIT ?3 OFFSET ?4");
    Ok((tx.rows(&sql, params![webhook.as_bytes(), state, take, skip], delivery)?, total))
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    Ok(Delivery {
        id: DeliveryId::from_bytes(row.get(0)?),
        webhook: WebhookId::from_bytes(row.get(1)?),
        event: row.get(2)?,
        // The schema allows no word that is none.
        state: State::parse(&row.get::<_, String>(3)?).ok_or(rusqlite::Error::InvalidQuery)?,
        due_at: Time::from_millis(row.get(4)?),
        attempts: row.get(5)?,
        last_status: row.get(6)?,
        last_why: row.get(7)?,
        created_at: Time::from_millis(row.get(8)?),
        ended_at: row.get::<_, Option<i64>>(9)?.map(Time::from_millis),
    })
}
