//! Which webhooks need somebody? Those that were switched off by themselves, and those whose receiver does not take what it is sent, or too late.

use super::{FAILING, last};
use crate::domain::id::{OrgId, WebhookId};
use crate::domain::time::Time;
use crate::domain::webhook::{Disabled, Last};
use crate::store::{ReadTx, StoreError};

/// A webhook that needs somebody, and why. Never where it goes.
#[derive(Clone, Debug)]
pub struct UnhealthyWebhook {
    /// Its id.
    pub id: WebhookId,
    /// Its organization.
    pub org: OrgId,
    /// Why it was switched off, if no administrator did that.
    pub off: Option<Disabled>,
    /// What came of the last try, if that failed.
    pub last: Option<Last>,
    /// How many deliveries were given up lately.
    pub failed: u32,
    /// When the oldest that is on its way came to be, if that is too long ago.
    pub waiting: Option<Time>,
}

/// The webhooks that no administrator switched off, and those that are on and whose last try failed, which gave something up after `failed`, or of
/// which something has been on its way since before `waiting`; the oldest first.
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
