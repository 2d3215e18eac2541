//! Reads the pending deliveries of each webhook, and what an attempt needs.

use secrecy::SecretSlice;

use super::super::event::published;
use super::{Candidate, DeliveryCandidates};
use crate::crypto::sealed::SealingKey;
use crate::domain::delivery::Attempt;
use crate::domain::id::DeliveryId;
use crate::domain::time::Time;
use crate::engine::error::Error;
use crate::store::webhook::Ready;
use crate::store::{self, ReadTx};

/// The number of deliveries read for each webhook: those that may be in flight, as many that may be attempted next, and
/// one more that says when to look again.
const OF_EACH: usize = 9;

/// Returns the pending deliveries of webhooks whose secret this key encrypts, with what the scheduler needs to choose
/// the next.
pub(super) fn candidates(
    tx: &ReadTx<'_>,
    key: &SealingKey,
    in_flight: &[DeliveryId],
) -> Result<DeliveryCandidates, Error> {
    let mut found = DeliveryCandidates::default();
    for delivery in in_flight {
        if store::delivery::pending(tx, *delivery)?.is_none() {
            found.ended.push(*delivery);
        }
    }
    for webhook in store::webhook::ready(tx, key.id())? {
        if key.open(webhook.id.as_bytes(), &webhook.secret).is_err() {
            found.unopened.push(webhook.id);
            continue;
        }
        let waiting = store::delivery::due(tx, webhook.id, OF_EACH)?;
        let waiting = waiting.into_iter().map(|delivery| (delivery.due_at, delivery.id)).collect();
        let Ready { id, org, backoff_epoch, .. } = webhook;
        found.webhooks.push(Candidate { webhook: id, org, backoff_epoch, waiting });
    }
    Ok(found)
}

/// Returns everything needed to attempt these deliveries, in their order, without those that have ended meanwhile.
pub(super) fn attempts(
    tx: &ReadTx<'_>,
    key: &SealingKey,
    now: Time,
    deliveries: &[DeliveryId],
) -> Result<Vec<Attempt>, Error> {
    let webhooks = store::webhook::ready(tx, key.id())?;
    let mut attempts = Vec::with_capacity(deliveries.len());
    for id in deliveries {
        let Some(sent) = store::delivery::pending(tx, *id)? else { continue };
        let delivery = sent.delivery;
        let Some(webhook) = webhooks.iter().find(|webhook| webhook.id == delivery.webhook) else { continue };
        let Some(event) = published(tx, delivery.event)? else { continue };
        let Some(secrets) = secrets(key, webhook, now) else { continue };
        attempts.push(Attempt {
            id: delivery.id,
            webhook: webhook.id,
            org: webhook.org,
            url: webhook.url.clone(),
            attempts: delivery.attempts,
            backoff_epoch: webhook.backoff_epoch,
            secrets,
            body: serde_json::to_vec(&event).map_err(Error::internal)?,
        });
    }
    Ok(attempts)
}

/// Returns the current secret, and the previous one while it is still used and this key decrypts it.
fn secrets(key: &SealingKey, webhook: &Ready, now: Time) -> Option<Vec<SecretSlice<u8>>> {
    let owner = webhook.id.as_bytes();
    let mut secrets = vec![key.open(owner, &webhook.secret).ok()?];
    if let Some((previous, _)) = webhook.previous.as_ref().filter(|(_, until)| now < *until) {
        secrets.extend(key.open(owner, previous).ok());
    }
    Some(secrets)
}
