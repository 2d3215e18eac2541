//! Which events are on their way to webhooks, and what came of them? Asked and told by whoever carries them out.

pub mod forget;
mod settle;

use std::collections::HashMap;

use secrecy::SecretSlice;

use super::app::App;
use super::error::Error;
use super::event::published;
use super::outside::Outside;
use crate::crypto::sealed::Key;
use crate::domain::delivery::{Attempt, Delivery, Outcome};
use crate::domain::event::Audience;
use crate::domain::id::{DeliveryId, OrgId, WebhookId};
use crate::domain::time::Time;
use crate::store::webhook::Ready;
use crate::store::{self, ReadTx, WriteTx};

/// At most so many of one webhook are given at once, those that are being tried included: a receiver that hangs must not
/// take every place.
const AT_ONCE: usize = 4;

/// The same of one organization: its many webhooks must not take every place either.
const AT_ONCE_OF_ORG: usize = 8;

/// What is to be tried now.
#[derive(Debug, Default)]
pub struct Due {
    /// The tries, the longest due first.
    pub attempts: Vec<Attempt>,
    /// When the next one after them is due; `None` while nothing waits.
    pub next: Option<Time>,
}

/// An event as the outbox needs to know it.
pub(super) struct Sent {
    pub(super) id: i64,
    pub(super) org: OrgId,
    pub(super) context: u8,
    pub(super) change: u8,
    pub(super) at: Time,
}

/// Puts an event on its way to the webhooks that ask for it, in the transaction that records it.
pub(super) fn post(tx: &WriteTx<'_>, outside: &Outside, audience: Audience, sent: &Sent) -> Result<(), Error> {
    let mut webhooks = match audience {
        Audience::Nobody => return Ok(()),
        Audience::Only(webhook, delivery) => {
            store::delivery::insert(tx, delivery, webhook, sent.id, sent.at)?;
            return Ok(());
        }
        Audience::Subscribed | Audience::SubscribedBut(_) => {
            store::webhook::subscribed(tx, sent.org, sent.context, sent.change)?
        }
    };
    webhooks.retain(|webhook| audience != Audience::SubscribedBut(*webhook));
    for webhook in webhooks {
        store::delivery::insert(tx, outside.id(), webhook, sent.id, sent.at)?;
    }
    Ok(())
}

/// At most so many deliveries that are due, not among those that are being tried, and not of a webhook that is left alone
/// for now: the many of one that fails must not hide the few of another. What is left alone does not count as next either.
/// Nothing while there is no key.
pub fn due(app: &App, being_tried: &[DeliveryId], left_alone: &[WebhookId], most: usize) -> Result<Due, Error> {
    let Some(key) = app.key.get() else { return Ok(Due::default()) };
    let now = app.now();
    app.identify(|tx| gather(tx, key, (being_tried, left_alone), most, now))
}

/// Remembers what came of tries. It is on disk when this returns, so nothing that was taken is tried again after. What else
/// was on its way to a receiver that is gone is given up in steps, after it was told: it may be much.
pub fn settle(app: &App, outcomes: Vec<(DeliveryId, Outcome)>) -> Result<(), Error> {
    if outcomes.is_empty() {
        return Ok(());
    }
    let somebody_is_gone = outcomes.iter().any(|(_, outcome)| *outcome == Outcome::Gone);
    app.by_itself(move |tx, outside, now| Ok(((), settle::settle(tx, &mut outside.rng(), now, outcomes)?)))?;
    if somebody_is_gone { forget::give_up(app) } else { Ok(()) }
}

fn gather(
    tx: &ReadTx<'_>,
    key: &Key,
    (being_tried, left_alone): (&[DeliveryId], &[WebhookId]),
    most: usize,
    now: Time,
) -> Result<Due, Error> {
    let (mut busy, mut busy_orgs) = (HashMap::<WebhookId, usize>::new(), HashMap::<OrgId, usize>::new());
    for id in being_tried {
        if let Some((delivery, org, _)) = store::delivery::pending(tx, *id)? {
            *busy.entry(delivery.webhook).or_default() += 1;
            *busy_orgs.entry(org).or_default() += 1;
        }
    }
    let (mut found, mut next) = (Vec::new(), None::<Time>);
    let webhooks = store::webhook::ready(tx, key.id())?;
    for webhook in webhooks.iter().filter(|webhook| !left_alone.contains(&webhook.id)) {
        let busy = busy.get(&webhook.id).copied().unwrap_or(0);
        let of_org = busy_orgs.entry(webhook.org).or_default();
        let share = AT_ONCE.saturating_sub(busy).min(AT_ONCE_OF_ORG.saturating_sub(*of_org));
        if share == 0 {
            // When one of its tries ends, there is a place, and that is when to ask again.
            continue;
        }
        let waiting = store::delivery::due(tx, webhook.id, AT_ONCE + busy + 1)?;
        let waiting = waiting.into_iter().filter(|delivery| !being_tried.contains(&delivery.id));
        let (now_due, later): (Vec<_>, Vec<_>) = waiting.partition(|delivery| delivery.due_at <= now);
        let first_later = later.first().map(|delivery| delivery.due_at);
        next = [next, first_later].into_iter().flatten().min();
        *of_org += now_due.len().min(share);
        found.extend(now_due.into_iter().take(share).map(|delivery| (delivery, webhook)));
    }
    found.sort_by_key(|(delivery, _)| (delivery.due_at, delivery.id));
    if let Some((delivery, _)) = found.get(most) {
        next = [next, Some(delivery.due_at)].into_iter().flatten().min();
    }
    found.truncate(most);
    let mut attempts = Vec::with_capacity(found.len());
    for (delivery, webhook) in found {
        attempts.extend(attempt(tx, key, webhook, &delivery, now)?);
    }
    Ok(Due { attempts, next })
}

/// One try with all that it takes; `None` where the secret cannot be opened, which must keep nobody else waiting.
fn attempt(
    tx: &ReadTx<'_>,
    key: &Key,
    webhook: &Ready,
    delivery: &Delivery,
    now: Time,
) -> Result<Option<Attempt>, Error> {
    let Some(event) = published(tx, delivery.event)? else { return Ok(None) };
    let Some(secrets) = secrets(key, webhook, now) else {
        tracing::warn!(webhook = %webhook.id, "a webhook waits: its secret was changed in the database; rotate it");
        return Ok(None);
    };
    Ok(Some(Attempt {
        id: delivery.id,
        webhook: webhook.id,
        url: webhook.url.clone(),
        secrets,
        body: serde_json::to_vec(&event).map_err(Error::internal)?,
    }))
}

/// The secret, and the one before while it signs too and this key opens it.
fn secrets(key: &Key, webhook: &Ready, now: Time) -> Option<Vec<SecretSlice<u8>>> {
    let owner = webhook.id.as_bytes();
    let mut secrets = vec![key.open(owner, &webhook.secret).ok()?];
    if let Some((previous, _)) = webhook.previous.as_ref().filter(|(_, until)| now < *until) {
        secrets.extend(key.open(owner, previous).ok());
    }
    Some(secrets)
}
