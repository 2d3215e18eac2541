//! Removal of old deliveries: finished ones beyond their age or number, those of deleted webhooks, and those of removed
//! events.

use rusqlite::params;

use crate::domain::delivery::State;
use crate::domain::id::{DeliveryId, OrgId, WebhookId};
use crate::domain::time::Time;
use crate::store::parameters::with_last;
use crate::store::{ReadTx, StoreError, WriteTx};

/// Which deliveries of a webhook to remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purge {
    /// All of them: the webhook was deleted.
    All,
    /// Those that ended in this state, up to and including this delivery, which ended at that moment.
    Until(State, Time, DeliveryId),
}

/// Pending deliveries to a webhook, of events that retention is about to remove.
#[derive(Clone, Copy, Debug)]
pub struct ExpiringDeliveries {
    /// The webhook.
    pub webhook: WebhookId,
    /// How many deliveries.
    pub count: u32,
    /// Whether all of their events only report that another delivery failed.
    pub of_failure: bool,
}

/// Returns every webhook that has deliveries, including deleted webhooks.
pub fn webhooks(tx: &ReadTx<'_>) -> Result<Vec<WebhookId>, StoreError> {
    // Steps from each webhook to the next with one index lookup, without reading its deliveries.
    let sql = "WITH RECURSIVE found (id) AS (
            SELECT (SELECT webhook FROM delivery ORDER BY webhook LIMIT 1)
            UNION ALL SELECT (SELECT webhook FROM delivery WHERE webhook > found.id ORDER BY webhook LIMIT 1)
            FROM found WHERE id IS NOT NULL)
        SELECT id FROM found WHERE id IS NOT NULL";
    tx.rows(sql, [], |row| Ok(WebhookId::from_bytes(row.get(0)?)))
}

/// Returns which deliveries of a webhook to remove: those that ended before `before`, and all but the newest of each
/// state, up to the number in `kept`.
pub fn shares(
    tx: &ReadTx<'_>,
    webhook: WebhookId,
    before: Time,
    limits: &[(State, u32)],
) -> Result<Vec<Purge>, StoreError> {
    let id = webhook.as_bytes();
    if tx.row("SELECT 1 FROM webhook WHERE id = ?1", [id], |_| Ok(()))?.is_none() {
        return Ok(vec![Purge::All]);
    }
    let sql = "SELECT ended_at, id FROM (
             SELECT * FROM (SELECT ended_at, id FROM delivery WHERE webhook = ?1 AND state = ?4 AND ended_at < ?2
                 ORDER BY ended_at DESC, id DESC LIMIT 1) AS old
             UNION ALL SELECT * FROM (SELECT ended_at, id FROM delivery
                 WHERE webhook = ?1 AND state = ?4 AND ended_at IS NOT NULL
                 ORDER BY ended_at DESC, id DESC LIMIT 1 OFFSET ?3) AS surplus) AS gone
         ORDER BY ended_at DESC, id DESC LIMIT 1";
    let mut shares = Vec::new();
    for (state, most) in limits {
        shares.extend(tx.row(sql, params![id, before.millis(), most, state.name()], |row| {
            Ok(Purge::Until(*state, Time::from_millis(row.get(0)?), DeliveryId::from_bytes(row.get(1)?)))
        })?);
    }
    Ok(shares)
}

/// Removes at most `most` deliveries of a share of a webhook; returns how many.
pub fn forget(tx: &WriteTx<'_>, webhook: WebhookId, share: Purge, most: u32) -> Result<usize, StoreError> {
    match share {
        Purge::All => tx.execute(
            "DELETE FROM delivery WHERE id IN (SELECT id FROM delivery WHERE webhook = ?1 ORDER BY id LIMIT ?2)",
            params![webhook.as_bytes(), most],
        ),
        Purge::Until(state, ended, last) => tx.execute(
            "DELETE FROM delivery WHERE id IN (SELECT id FROM delivery
                 WHERE webhook = ?1 AND state = ?5 AND ended_at IS NOT NULL AND (ended_at, id) <= (?2, ?3)
                 ORDER BY ended_at, id LIMIT ?4)",
            params![webhook.as_bytes(), ended.millis(), last.as_bytes(), most, state.name()],
        ),
    }
}

/// Returns the pending deliveries of events of an organization up to a position in its chain, per webhook.
pub fn expiring_with(tx: &ReadTx<'_>, org: OrgId, seq: i64) -> Result<Vec<ExpiringDeliveries>, StoreError> {
    let sql = "SELECT webhook.id, count(*), count(*) FILTER (WHERE audit.action NOT IN ('webhook.failed', 'webhook.disabled')) = 0
        FROM webhook CROSS JOIN delivery ON webhook = webhook.id AND state = 'pending' CROSS JOIN audit ON audit.id = event
        WHERE webhook.org = ?1 AND seq <= ?2 GROUP BY webhook.id";
    tx.rows(sql, params![org.as_bytes(), seq], |row| {
        Ok(ExpiringDeliveries {
            webhook: WebhookId::from_bytes(row.get(0)?),
            count: row.get(1)?,
            of_failure: row.get(2)?,
        })
    })
}

/// Removes the deliveries of the first entries of a chain up to `seq`: of at most `most` entries, and at most `most`
/// deliveries. Returns how many.
pub(in crate::store) fn of_first(
    tx: &WriteTx<'_>,
    org: Option<OrgId>,
    seq: i64,
    most: u32,
) -> Result<usize, StoreError> {
    let chain = org.as_ref().map(OrgId::as_bytes);
    let whose = if org.is_some() { "org = ?3" } else { "org IS NULL" };
    let sql = format!(
        "DELETE FROM delivery WHERE id IN (SELECT id FROM delivery WHERE event IN (
             SELECT id FROM audit WHERE {whose} AND seq <= ?1 ORDER BY seq LIMIT ?2) LIMIT ?2)"
    );
    tx.execute(&sql, &*with_last(params![seq, most], chain))
}
