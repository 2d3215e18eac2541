//! Webhooks that need attention: those that the server disabled, and those whose receiver refuses deliveries or accepts
//! them too late.

use super::{FAILING, last};
use crate::domain::id::{OrgId, WebhookId};
use crate::domain::time::Time;
use crate::domain::webhook::{Disabled, Last};
use crate::store::{ReadTx, StoreError};

/// A webhook that needs attention, and why. Does not contain its URL.
#[derive(Clone, Debug)]
pub struct UnhealthyWebhook {
    /// The webhook's id.
    pub id: WebhookId,
    /// The organization that the webhook belongs to.
    pub org: OrgId,
    /// Why the server disabled it, if it did.
    pub off: Option<Disabled>,
    /// The outcome of the last attempt, if that failed.
    pub last: Option<Last>,
    /// How many deliveries were abandoned recently.
    pub failed: u32,
    /// When the oldest pending delivery was created, if that is too long ago.
    pub waiting: Option<Time>,
}

/// Returns the webhooks that the server disabled, and the enabled ones whose last attempt failed, that abandoned a
/// delivery after `failed`, or that have a delivery pending since before `waiting`; the oldest webhook first.
pub fn unhealthy(tx: &ReadTx<'_>, failed: Time, waiting: Time) -> Result<Vec<UnhealthyWebhook>, StoreError> {
    let sql = format!(
        "SELECT id, org, disabled, bad, failed, CASE WHEN oldest < ?2 THEN oldest END, last_at,
             last_status, last_why
         FROM (SELECT id, org, disabled, last_at, last_status, last_why, {FAILING} AS bad, (
                 SELECT count(*) FROM delivery WHERE webhook = webhook.id AND ended_at > ?1 AND state = 'failed') AS failed, (
                 SELECT min(created_at) FROM delivery WHERE webhook = webhook.id AND state = 'pending') AS oldest
             FROM webhook WHERE disabled IS NULL OR disabled <> 'administrator') AS seen
         WHERE disabled IS NOT NULL OR bad OR failed > 0 OR oldest < ?2 ORDER BY id"
    );
    tx.rows(&sql, [failed.millis(), waiting.millis()], |row| {
        let bad: bool = row.get(3)?;
        Ok(UnhealthyWebhook {
            id: WebhookId::from_bytes(row.get(0)?),
            org: OrgId::from_bytes(row.get(1)?),
            off: row.get::<_, Option<String>>(2)?.and_then(|word| Disabled::parse(&word)),
            last: last(row, 6)?.filter(|_| bad),
            failed: row.get(4)?,
            waiting: row.get::<_, Option<i64>>(5)?.map(Time::from_millis),
        })
    })
}
