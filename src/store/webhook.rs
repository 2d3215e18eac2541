//! Webhooks: the URL, the filter and the sealed secrets.

mod unhealthy;

use rusqlite::{Row, params};

use super::{ReadTx, StoreError, WriteTx};
use crate::crypto::sealed::KeyId;
use crate::domain::delivery::MOST_PENDING;
use crate::domain::id::{DeliveryId, OrgId, WebhookId};
use crate::domain::time::Time;
use crate::domain::webhook::{Disabled, Last, Numbers, Webhook, WebhookSettings};
pub use unhealthy::{UnhealthyWebhook, unhealthy};

/// Whether the last attempt of a webhook failed.
pub(super) const FAILING: &str = "last_at IS NOT NULL AND (last_status IS NULL OR last_status NOT BETWEEN 200 AND 299)";

const COLUMNS: &str = "id, org, url, name, contexts, changes, disabled, created_at, previous_until, last_at, last_status, \
    last_why";

/// A webhook with deliveries that can be sent, and its sealed secrets.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The webhook's id.
    pub id: WebhookId,
    /// The organization that the webhook belongs to.
    pub org: OrgId,
    /// The URL to send to.
    pub url: String,
    /// The current secret.
    pub secret: Vec<u8>,
    /// The previous secret, and until when it signs too.
    pub previous: Option<(Vec<u8>, Time)>,
    /// When its first delivery is due.
    pub due: Time,
    /// How often the backoff was reset.
    pub backoff_epoch: u32,
}

/// Inserts a webhook; `false` if the organization has `most` already.
pub fn insert(tx: &WriteTx<'_>, webhook: &Webhook, secret: &[u8], most: u32) -> Result<bool, StoreError> {
    let terms = &webhook.terms;
    let added = tx.execute(
        "INSERT INTO webhook (id, org, url, name, contexts, changes, disabled, secret, created_at)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 WHERE (SELECT count(*) FROM webhook WHERE org = ?2) < ?10",
        params![
            webhook.id.as_bytes(),
            webhook.org.as_bytes(),
            terms.url,
            terms.name,
            terms.contexts.mask(),
            terms.changes.mask(),
            terms.disabled.map(Disabled::name),
            secret,
            webhook.created_at.millis(),
            most
        ],
    )?;
    Ok(added == 1)
}

/// Replaces the settings of a webhook. A new URL resets what was recorded of the previous receiver's failures.
pub fn update(tx: &WriteTx<'_>, id: WebhookId, terms: &WebhookSettings) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE webhook SET url = ?2, name = ?3, contexts = ?4, changes = ?5, disabled = ?6,
             last_failed = CASE WHEN url = ?2 THEN last_failed END,
             failure_reported = CASE WHEN url = ?2 THEN failure_reported ELSE 0 END,
             backoff_epoch = backoff_epoch
                 + CASE WHEN url <> ?2 OR (disabled IS NOT NULL AND coalesce(?6, '') = '') THEN 1 ELSE 0 END
         WHERE id = ?1",
        params![
            id.as_bytes(),
            terms.url,
            terms.name,
            terms.contexts.mask(),
            terms.changes.mask(),
            terms.disabled.map(Disabled::name)
        ],
    )
    .map(drop)
}

/// Replaces a webhook's secret; the previous one signs too until `until`, if given.
pub fn rotate(tx: &WriteTx<'_>, id: WebhookId, secret: &[u8], until: Option<Time>) -> Result<(), StoreError> {
    let changed = match until {
        Some(until) => tx.execute(
            "UPDATE webhook SET secret = ?2, previous_secret = secret, previous_until = ?3,
                 backoff_epoch = backoff_epoch + 1 WHERE id = ?1",
            params![id.as_bytes(), secret, until.millis()],
        ),
        None => tx.execute(
            "UPDATE webhook SET secret = ?2, previous_secret = NULL, previous_until = NULL,
                 backoff_epoch = backoff_epoch + 1 WHERE id = ?1",
            params![id.as_bytes(), secret],
        ),
    };
    changed.map(drop)
}

/// Ends a webhook's backoff, even one that its receiver asked for, because somebody wants to know whether the receiver
/// is back.
pub fn end_backoff(tx: &WriteTx<'_>, id: WebhookId) -> Result<(), StoreError> {
    tx.execute("UPDATE webhook SET backoff_epoch = backoff_epoch + 1 WHERE id = ?1", [id.as_bytes()]).map(drop)
}

/// Disables a webhook. Returns how many deliveries are pending, or `None` if it is already disabled.
pub fn switch_off(tx: &WriteTx<'_>, id: WebhookId, why: Disabled) -> Result<Option<usize>, StoreError> {
    let sql = "UPDATE webhook SET disabled = ?2 WHERE id = ?1 AND disabled IS NULL RETURNING pending";
    tx.returning(sql, params![id.as_bytes(), why.name()], |row| Ok(row.get::<_, u32>(0)? as usize))
}

/// Returns the webhooks that the server disabled and that still have pending deliveries.
pub fn off_with_pending(tx: &ReadTx<'_>) -> Result<Vec<(WebhookId, Disabled)>, StoreError> {
    let sql = "SELECT id, disabled FROM webhook WHERE disabled IN (?1, ?2) AND pending > 0";
    tx.rows(sql, [Disabled::Gone.name(), Disabled::Overfull.name()], |row| {
        // The schema permits no unknown word.
        let why = Disabled::parse(&row.get::<_, String>(1)?).ok_or(rusqlite::Error::InvalidQuery)?;
        Ok((WebhookId::from_bytes(row.get(0)?), why))
    })
}

/// Records the outcome of the last attempt, and the delivery if the attempt found the receiver down.
pub fn set_last(tx: &WriteTx<'_>, id: WebhookId, last: &Last, failed: Option<DeliveryId>) -> Result<(), StoreError> {
    let taken = last.status.is_some_and(|status| (200..300).contains(&status));
    let reported = if taken { ", failure_reported = 0" } else { "" };
    tx.execute(
        &format!(
            "UPDATE webhook SET last_at = ?2, last_status = ?3, last_why = ?4, last_failed = ?5{reported} WHERE id = ?1"
        ),
        params![id.as_bytes(), last.at.millis(), last.status, last.why, failed.map(|delivery| *delivery.as_bytes())],
    )
    .map(drop)
}

/// Records that the audit log reports the webhook's failure to accept reports about failures; `false` if it already
/// does.
pub fn report_failure(tx: &WriteTx<'_>, id: WebhookId) -> Result<bool, StoreError> {
    Ok(tx.execute("UPDATE webhook SET failure_reported = 1 WHERE id = ?1 AND failure_reported = 0", [id.as_bytes()])?
        == 1)
}

/// Returns how many more deliveries may be pending for a webhook.
pub fn room(tx: &ReadTx<'_>, id: WebhookId) -> Result<u32, StoreError> {
    let pending = tx.row("SELECT pending FROM webhook WHERE id = ?1", [id.as_bytes()], |row| row.get::<_, u32>(0))?;
    Ok(MOST_PENDING.saturating_sub(pending.unwrap_or(0)))
}

/// Deletes a webhook. Its deliveries can no longer be read, and are removed gradually.
pub fn delete(tx: &WriteTx<'_>, id: WebhookId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM webhook WHERE id = ?1", [id.as_bytes()]).map(drop)
}

/// Returns the webhooks of an organization, newest first.
pub fn list(tx: &ReadTx<'_>, org: OrgId) -> Result<Vec<Webhook>, StoreError> {
    tx.rows(&format!("SELECT {COLUMNS} FROM webhook WHERE org = ?1 ORDER BY id DESC"), [org.as_bytes()], webhook)
}

/// Returns the webhook of an organization with this id.
pub fn find(tx: &ReadTx<'_>, org: OrgId, id: WebhookId) -> Result<Option<Webhook>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM webhook WHERE id = ?1 AND org = ?2");
    tx.row(&sql, [id.as_bytes(), org.as_bytes()], webhook)
}

/// Returns the enabled webhooks of an organization whose filter matches such an event, and whether each has room for
/// another pending delivery.
pub fn subscribed(tx: &ReadTx<'_>, org: OrgId, context: u8, change: u8) -> Result<Vec<(WebhookId, bool)>, StoreError> {
    tx.rows(
        "SELECT id, pending < ?4 FROM webhook WHERE org = ?1 AND disabled IS NULL
             AND (contexts = 0 OR contexts & ?2 <> 0) AND (changes = 0 OR changes & ?3 <> 0)",
        params![org.as_bytes(), 1_i64 << context, 1_i64 << change, MOST_PENDING],
        |row| Ok((WebhookId::from_bytes(row.get(0)?), row.get(1)?)),
    )
}

/// Returns the enabled webhooks with pending deliveries whose secret is sealed with this key, the first due first.
pub fn ready(tx: &ReadTx<'_>, key: KeyId) -> Result<Vec<Ready>, StoreError> {
    tx.rows(
        "SELECT id, url, secret, previous_secret, previous_until, due, org, backoff_epoch FROM (
             SELECT id, org, url, secret, previous_secret, previous_until, backoff_epoch, (
                 SELECT min(due_at) FROM delivery WHERE webhook = webhook.id AND state = 'pending') AS due
             FROM webhook WHERE disabled IS NULL AND substr(secret, 1, 8) = ?1) AS waiting
         WHERE due IS NOT NULL ORDER BY due, id",
        params![key],
        |row| {
            let previous: Option<Vec<u8>> = row.get(3)?;
            let until: Option<i64> = row.get(4)?;
            Ok(Ready {
                id: WebhookId::from_bytes(row.get(0)?),
                url: row.get(1)?,
                secret: row.get(2)?,
                previous: previous.zip(until.map(Time::from_millis)),
                due: Time::from_millis(row.get(5)?),
                org: OrgId::from_bytes(row.get(6)?),
                backoff_epoch: row.get(7)?,
            })
        },
    )
}

/// Returns whether the secret of a webhook is sealed with this key.
pub fn is_sealed_under(tx: &ReadTx<'_>, id: WebhookId, key: KeyId) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM webhook WHERE id = ?1 AND substr(secret, 1, 8) = ?2";
    Ok(tx.row(sql, params![id.as_bytes(), key], |_| Ok(()))?.is_some())
}

/// Returns how many webhooks there are, and how many have a secret that is not sealed with this key.
pub fn sealed(tx: &ReadTx<'_>, key: Option<KeyId>) -> Result<(u32, u32), StoreError> {
    let sql = "SELECT count(*), count(*) FILTER (WHERE substr(secret, 1, 8) <> ?1 OR ?1 IS NULL) FROM webhook";
    Ok(tx.row(sql, params![key], |row| Ok((row.get(0)?, row.get(1)?)))?.unwrap_or_default())
}

fn webhook(row: &Row<'_>) -> rusqlite::Result<Webhook> {
    // The schema permits no unknown word.
    let disabled = |word: String| Disabled::parse(&word).ok_or(rusqlite::Error::InvalidQuery);
    Ok(Webhook {
        id: WebhookId::from_bytes(row.get(0)?),
        org: OrgId::from_bytes(row.get(1)?),
        terms: WebhookSettings {
            url: row.get(2)?,
            name: row.get(3)?,
            contexts: Numbers::from_mask(row.get(4)?),
            changes: Numbers::from_mask(row.get(5)?),
            disabled: row.get::<_, Option<String>>(6)?.map(disabled).transpose()?,
        },
        created_at: Time::from_millis(row.get(7)?),
        previous_until: row.get::<_, Option<i64>>(8)?.map(Time::from_millis),
        last: last(row, 9)?,
    })
}

/// Reads the outcome of the last attempt from the three columns that start at `first`.
fn last(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Last>> {
    let Some(at) = row.get::<_, Option<i64>>(first)? else { return Ok(None) };
    Ok(Some(Last { at: Time::from_millis(at), status: row.get(first + 1)?, why: row.get(first + 2)? }))
}
