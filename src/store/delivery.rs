//! Webhook deliveries: their state, schedule, attempts and last outcome.

pub mod forget;

use rusqlite::{Row, params};

use super::parameters::with_last;
use super::{ReadTx, StoreError, WriteTx};
use crate::domain::delivery::{Delivery, State};
use crate::domain::id::{DeliveryId, OrgId, WebhookId};
use crate::domain::time::Time;
use crate::domain::webhook::Disabled;

const COLUMNS: &str = "delivery.id, webhook, event, state, due_at, attempts, delivery.last_status, delivery.last_why, \
    delivery.created_at, ended_at";

/// The join order is fixed, because the first table yields few rows.
const ON_ITS_WAY: &str = "SELECT delivery.id, webhook, event, state, due_at, attempts, delivery.last_status, \
    delivery.last_why, delivery.created_at, ended_at, webhook.org, webhook.url, webhook.last_failed, \
    audit.action IN ('webhook.failed', 'webhook.disabled') \
    FROM delivery CROSS JOIN webhook ON webhook.id = webhook CROSS JOIN audit ON audit.id = event \
    WHERE state = 'pending'";

/// A pending delivery, with what is needed of its webhook and its event.
#[derive(Clone, Debug)]
pub struct OnItsWay {
    /// The delivery.
    pub delivery: Delivery,
    /// The organization of its webhook.
    pub org: OrgId,
    /// The current URL of the webhook.
    pub url: String,
    /// The delivery to the same webhook whose attempt last found the receiver down, if there was no other response
    /// since.
    pub last_failed: Option<DeliveryId>,
    /// Whether its event only reports that another delivery failed.
    pub of_failure: bool,
}

/// Inserts a pending delivery of an event that happened at `now`, due at `due`; `false` if the webhook is disabled or
/// gone.
pub fn insert(
    tx: &WriteTx<'_>,
    id: DeliveryId,
    webhook: WebhookId,
    event: i64,
    (now, due): (Time, Time),
) -> Result<bool, StoreError> {
    let added = tx.execute(
        "INSERT INTO delivery (id, webhook, event, state, due_at, attempts, created_at)
         SELECT ?1, ?2, ?3, 'pending', ?5, 0, ?4 FROM webhook WHERE id = ?2 AND disabled IS NULL",
        params![id.as_bytes(), webhook.as_bytes(), event, now.millis(), due.millis()],
    )?;
    Ok(added == 1)
}

/// Returns the pending deliveries of a webhook, the first due first.
pub fn due(tx: &ReadTx<'_>, webhook: WebhookId, most: usize) -> Result<Vec<Delivery>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM delivery WHERE webhook = ?1 AND state = 'pending' ORDER BY due_at, id LIMIT ?2");
    tx.rows(&sql, params![webhook.as_bytes(), i64::try_from(most).unwrap_or(i64::MAX)], delivery)
}

/// Returns the delivery with this id, if it is pending.
pub fn pending(tx: &ReadTx<'_>, id: DeliveryId) -> Result<Option<OnItsWay>, StoreError> {
    tx.row(&format!("{ON_ITS_WAY} AND delivery.id = ?1"), [id.as_bytes()], on_its_way)
}

/// Returns at most `most` pending deliveries of a webhook that were attempted before and are due at `by`, the first due
/// first.
pub fn due_again(tx: &ReadTx<'_>, webhook: WebhookId, by: Time, most: usize) -> Result<Vec<OnItsWay>, StoreError> {
    let sql = format!(
        "{ON_ITS_WAY} AND webhook = ?1 AND due_at <= ?2 AND attempts > 0 ORDER BY due_at, delivery.id LIMIT ?3"
    );
    tx.rows(&sql, params![webhook.as_bytes(), by.millis(), i64::try_from(most).unwrap_or(i64::MAX)], on_its_way)
}

/// Stores the result of an attempt: state, times, number of attempts and last outcome.
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

/// Abandons at most `most` pending deliveries of a webhook that is disabled for this reason; returns how many.
pub fn give_up(tx: &WriteTx<'_>, webhook: WebhookId, off: Disabled, now: Time, most: u32) -> Result<usize, StoreError> {
    tx.execute(
        "UPDATE delivery SET state = 'failed', last_status = NULL, last_why = ?2, ended_at = ?3 WHERE id IN (
             SELECT delivery.id FROM webhook JOIN delivery ON webhook = webhook.id
             WHERE webhook.id = ?1 AND disabled = ?5 AND state = 'pending' ORDER BY due_at, delivery.id LIMIT ?4)",
        params![webhook.as_bytes(), off.why(), now.millis(), most, off.name()],
    )
}

/// An event that retention has not removed. The deliveries of removed events go with them, even pending ones.
const STANDS: &str = "audit.seq > coalesce((SELECT seq FROM trim_point WHERE chain = audit.org), 0)";

/// Replays at most `most` deliveries that failed at `since` or later, oldest first; returns how many.
pub fn replay_failed(
    tx: &WriteTx<'_>,
    webhook: WebhookId,
    since: Time,
    due: Time,
    most: u32,
) -> Result<usize, StoreError> {
    let sql = format!(
        "UPDATE delivery SET state = 'pending', due_at = ?3, attempts = 0, ended_at = NULL WHERE id IN (
             SELECT delivery.id FROM delivery CROSS JOIN audit ON audit.id = event
             WHERE webhook = ?1 AND ended_at >= ?2 AND state = 'failed' AND {STANDS}
             ORDER BY ended_at, delivery.id LIMIT ?4)"
    );
    tx.execute(&sql, params![webhook.as_bytes(), since.millis(), due.millis(), most])
}

/// Returns whether a delivery that failed at `since` or later can be replayed.
pub fn has_failed(tx: &ReadTx<'_>, webhook: WebhookId, since: Time) -> Result<bool, StoreError> {
    let sql = format!(
        "SELECT 1 FROM delivery CROSS JOIN audit ON audit.id = event
         WHERE webhook = ?1 AND ended_at >= ?2 AND state = 'failed' AND {STANDS} LIMIT 1"
    );
    Ok(tx.row(&sql, params![webhook.as_bytes(), since.millis()], |_| Ok(()))?.is_some())
}

/// Returns the delivery of a webhook with this id, unless retention removed its event.
pub fn find(tx: &ReadTx<'_>, webhook: WebhookId, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM delivery CROSS JOIN audit ON audit.id = event
         WHERE delivery.id = ?1 AND webhook = ?2 AND {STANDS}"
    );
    tx.row(&sql, [id.as_bytes(), webhook.as_bytes()], delivery)
}

/// Returns the deliveries of a webhook in a state, or in any state, newest first, and the total number.
pub fn list(
    tx: &ReadTx<'_>,
    webhook: WebhookId,
    state: Option<State>,
    skip: u32,
    take: u32,
) -> Result<(Vec<Delivery>, i64), StoreError> {
    let state = state.map(State::name);
    let fits = if state.is_some() { " AND state = ?2" } else { "" };
    let sql = format!("SELECT count(*) FROM delivery INDEXED BY delivery_by_webhook WHERE webhook = ?1{fits}");
    let total = tx.row(&sql, &*with_last(params![webhook.as_bytes()], state.as_ref()), |row| row.get(0))?;
    let fits = if state.is_some() { " AND state = ?4" } else { "" };
    let page = format!(
        "SELECT id FROM delivery INDEXED BY delivery_by_webhook WHERE webhook = ?1{fits}
         ORDER BY id DESC LIMIT ?2 OFFSET ?3"
    );
    let sql = format!("SELECT {COLUMNS} FROM delivery WHERE id IN ({page}) ORDER BY id DESC");
    let page = tx.rows(&sql, &*with_last(params![webhook.as_bytes(), take, skip], state.as_ref()), delivery)?;
    Ok((page, total.unwrap_or(0)))
}

fn on_its_way(row: &Row<'_>) -> rusqlite::Result<OnItsWay> {
    Ok(OnItsWay {
        delivery: delivery(row)?,
        org: OrgId::from_bytes(row.get(10)?),
        url: row.get(11)?,
        last_failed: row.get::<_, Option<_>>(12)?.map(DeliveryId::from_bytes),
        of_failure: row.get(13)?,
    })
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    Ok(Delivery {
        id: DeliveryId::from_bytes(row.get(0)?),
        webhook: WebhookId::from_bytes(row.get(1)?),
        event: row.get(2)?,
        // The schema permits no unknown word.
        state: State::parse(&row.get::<_, String>(3)?).ok_or(rusqlite::Error::InvalidQuery)?,
        due_at: Time::from_millis(row.get(4)?),
        attempts: row.get(5)?,
        last_status: row.get(6)?,
        last_why: row.get(7)?,
        created_at: Time::from_millis(row.get(8)?),
        ended_at: row.get::<_, Option<i64>>(9)?.map(Time::from_millis),
    })
}
