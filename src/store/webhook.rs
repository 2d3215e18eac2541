//! What is remembered of a webhook? Where it goes, what it asks for, and its secrets, sealed.

mod unhealthy;

use rusqlite::{Row, params};

use super::{ReadTx, StoreError, WriteTx};
use crate::crypto::sealed::KeyId;
use crate::domain::delivery::MOST_PENDING;
use crate::domain::id::{DeliveryId, OrgId, WebhookId};
use crate::domain::time::Time;
use crate::domain::webhook::{Disabled, Last, Numbers, Webhook, WebhookSettings};
pub use unhealthy::{UnhealthyWebhook, unhealthy};

/// Whether the last try of a webhook failed.
pub(super) const FAILING: &str = "last_at IS NOT NULL AND (last_status IS NULL OR last_status NOT BETWEEN 200 AND 299)";

const COLUMNS: &str = "id, org, url, name, contexts, changes, disabled, created_at, previous_until, last_at, last_status, \
    last_why";

/// A webhook whose events can be sent, with its sealed secrets.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Its id.
    pub id: WebhookId,
    /// Its organization.
    pub org: OrgId,
    /// Where it goes.
    pub url: String,
    /// The secret that signs.
    pub secret: Vec<u8>,
    /// The secret before, and until when it signs too.
    pub previous: Option<(Vec<u8>, Time)>,
    /// When its first delivery is due.
    pub due: Time,
    /// How often somebody did what ends a rest.
    pub backoff_epoch: u32,
}

/// Adds a webhook unless the organization has `most` of them; whether it did.
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

/// Makes a webhook into what `terms` say. What another receiver did says nothing of the one at a new URL.
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

/// Gives a webhook another secret; the one before signs too until `until`, if that is given.
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

/// Ends the rest that a webhook's receiver may have asked for: somebody wants to know whether it is back.
pub fn end_backoff(tx: &WriteTx<'_>, id: WebhookId) -> Result<(), StoreError> {
    tx.execute("UPDATE webhook SET backoff_epoch = backoff_epoch + 1 WHERE id = ?1", [id.as_bytes()]).map(drop)
}

/// Switches a webhook off; how much is on its way to it, or `None` when it is off already.
pub fn switch_off(tx: &WriteTx<'_>, id: WebhookId, why: Disabled) -> Result<Option<usize>, StoreError> {
    let sql = "UPDATE webhook SET disabled = ?2 WHERE id = ?1 AND disabled IS NULL RETURNING pending";
    tx.returning(sql, params![id.as_bytes(), why.name()], |row| Ok(row.get::<_, u32>(0)? as usize))
}

/// The webhooks that the server switched off, and to which something is on its way still.
pub fn off_with_pending(tx: &ReadTx<'_>) -> Result<Vec<(WebhookId, Disabled)>, StoreError> {
    let sql = "SELECT id, disabled FROM webhook WHERE disabled IN (?1, ?2) AND pending > 0";
    tx.rows(sql, [Disabled::Gone.name(), Disabled::Overfull.name()], |row| {
        // The schema allows no word that is none.
        let why = Disabled::parse(&row.get::<_, String>(1)?).ok_or(rusqlite::Error::InvalidQuery)?;
        Ok((WebhookId::from_bytes(row.get(0)?), why))
    })
}

/// Remembers what came of a try, and of which delivery if that found the receiver down.
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

/// Remembers that the log says that the webhook fails to take what says of others that they failed; `false` when it does already.
pub fn report_failure(tx: &WriteTx<'_>, id: WebhookId) -> Result<bool, StoreError> {
    Ok(tx.execute("UPDATE webhook SET failure_reported = 1 WHERE id = ?1 AND failure_reported = 0", [id.as_bytes()])?
        == 1)
}

/// How much more may be on its way to a webhook.
pub fn room(tx: &ReadTx<'_>, id: WebhookId) -> Result<u32, StoreError> {
    let pending = tx.row("SELECT pending FROM webhook WHERE id = ?1", [id.as_bytes()], |row| row.get::<_, u32>(0))?;
    Ok(MOST_PENDING.saturating_sub(pending.unwrap_or(0)))
}

/// Deletes a webhook. Nobody asks for what was sent to it, or is on its way, any more; that goes by and by.
pub fn delete(tx: &WriteTx<'_>, id: WebhookId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM webhook WHERE id = ?1", [id.as_bytes()]).map(drop)
}

/// The webhooks of an organization, newest first.
pub fn list(tx: &ReadTx<'_>, org: OrgId) -> Result<Vec<Webhook>, StoreError> {
    tx.rows(&format!("SELECT {COLUMNS} FROM webhook WHERE org = ?1 ORDER BY id DESC"), [org.as_bytes()], webhook)
}

/// The webhook of an organization with this id.
pub fn find(tx: &ReadTx<'_>, org: OrgId, id: WebhookId) -> Result<Option<Webhook>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM webhook WHERE id = ?1 AND org = ?2");
    tx.row(&sql, [id.as_bytes(), org.as_bytes()], webhook)
}

/// The webhooks of an organization that are on and ask for such an event, and whether there is room for it on the way to each.
pub fn subscribed(tx: &ReadTx<'_>, org: OrgId, context: u8, change: u8) -> Result<Vec<(WebhookId, bool)>, StoreError> {
    tx.rows(
        "SELECT id, pending < ?4 FROM webhook WHERE org = ?1 AND disabled IS NULL
             AND (contexts = 0 OR contexts & ?2 <> 0) AND (changes = 0 OR changes & ?3 <> 0)",
        params![org.as_bytes(), 1_i64 << context, 1_i64 << change, MOST_PENDING],
        |row| Ok((WebhookId::from_bytes(row.get(0)?), row.get(1)?)),
    )
}

/// The webhooks that are on, have something on its way, and whose secret is sealed under this key; the longest due first.
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

/// Whether the secret of a webhook is sealed under this key.
pub fn is_sealed_under(tx: &ReadTx<'_>, id: WebhookId, key: KeyId) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM webhook WHERE id = ?1 AND substr(secret, 1, 8) = ?2";
    Ok(tx.row(sql, params![id.as_bytes(), key], |_| Ok(()))?.is_some())
}

/// How many webhooks have a secret, and how many of these one that is not sealed under this key.
pub fn sealed(tx: &ReadTx<'_>, key: Option<KeyId>) -> Result<(u32, u32), StoreError> {
    let sql = "SELECT count(*), count(*) FILTER (WHERE substr(secret, 1, 8) <> ?1 OR ?1 IS NULL) FROM webhook";
    Ok(tx.row(sql, params![key], |row| Ok((row.get(0)?, row.get(1)?)))?.unwrap_or_default())
}

fn webhook(row: &Row<'_>) -> rusqlite::Result<Webhook> {
    // The schema allows no word that is none.
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

/// What came of the last try, from the three columns that begin at `first`.
fn last(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Last>> {
    let Some(at) = row.get::<_, Option<i64>>(first)? else { return Ok(None) };
    Ok(Some(Last { at: Time::from_millis(at), status: row.get(first + 1)?, why: row.get(first + 2)? }))
}
