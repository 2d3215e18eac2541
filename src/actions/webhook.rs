//! Creates, lists, changes, deletes and tests webhooks, rotates their secrets and replays failed deliveries.

mod replay;

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::key_file;
use crate::crypto::sealed::{self, SealError};
use crate::domain::delivery::MOST_PENDING;
use crate::domain::event::Event;
use crate::domain::id::{DeliveryId, OrgId, WebhookId};
use crate::domain::time::Time;
use crate::domain::webhook::{Disabled, MOST_PER_ORG, Numbers, Webhook, WebhookSettings, check_literal};
use crate::engine::access::Grant;
use crate::engine::app::App;
use crate::engine::caller::Caller;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::pending::Pending;
use crate::engine::rule::Rule;
use crate::store::{self, ReadTx};
pub use replay::{MOST_REPLAYED, deliveries, replay, replay_failed};

/// The new properties of a webhook; `None` leaves a property unchanged.
#[derive(Clone, Debug, Default)]
pub struct WebhookPatch {
    /// The URL that events are sent to.
    pub url: Option<String>,
    /// The name of the webhook.
    pub name: Option<String>,
    /// The contexts of the events to send.
    pub contexts: Option<Numbers>,
    /// The changes of the events to send.
    pub changes: Option<Numbers>,
    /// Whether it is disabled.
    pub disabled: Option<bool>,
}

/// Creates a webhook. Returns it with its secret, which is returned only once.
pub fn create(
    app: &App,
    caller: &Caller,
    org: Option<OrgId>,
    terms: WebhookSettings,
) -> Pending<(Webhook, SecretString)> {
    let (env, key, opened) = (app.env.clone(), key_file::key(app), app.limits.webhook_allow.clone());
    app.record(caller, Rule::ManagesWebhooks(org), move |tx, grant| {
        check_literal(&terms.url, &opened)?;
        let (key, mut rng) = (key?, env.rng());
        let (id, secret) = (env.id::<WebhookId>(), sealed::fresh(&mut rng));
        let webhook = Webhook { id, org: grant.org, terms, created_at: grant.at, previous_until: None, last: None };
        let sealed = key.seal(id.as_bytes(), secret.expose_secret(), &mut rng)?;
        if !store::webhook::insert(tx, &webhook, &sealed, MOST_PER_ORG)? {
            return Err(limit_reached());
        }
        let WebhookSettings { contexts, changes, disabled, .. } = webhook.terms;
        let event = Event::WebhookCreated { webhook: id, contexts, changes, disabled: disabled.is_some() };
        Ok(((webhook, sealed::shown(&secret)), event))
    })
}

/// Returns the webhooks of an organization, newest first.
pub fn list(app: &App, caller: &Caller, org: Option<OrgId>) -> Pending<Vec<Webhook>> {
    app.read(caller, &Rule::SeesWebhooks(org), |tx, grant| {
        let webhooks = store::webhook::list(tx, grant.org)?;
        let webhooks: Vec<_> = webhooks.into_iter().map(|webhook| at(webhook, grant.at)).collect();
        let event = Event::WebhooksListed { org: grant.org, count: webhooks.len() };
        Ok((webhooks, event))
    })
}

/// Returns one webhook.
pub fn read(app: &App, caller: &Caller, org: Option<OrgId>, id: Option<WebhookId>) -> Pending<Webhook> {
    app.read(caller, &Rule::SeesWebhooks(org), move |tx, grant| {
        let webhook = find(tx, grant, id)?;
        let event = Event::WebhookRead { webhook: webhook.id };
        Ok((webhook, event))
    })
}

/// Changes a webhook. Pending deliveries wait while it is disabled, and are sent when it is enabled again.
pub fn update(
    app: &App,
    caller: &Caller,
    org: Option<OrgId>,
    id: Option<WebhookId>,
    change: WebhookPatch,
) -> Pending<Webhook> {
    let opened = app.limits.webhook_allow.clone();
    app.record(caller, Rule::ManagesWebhooks(org), move |tx, grant| {
        let mut webhook = find(tx, grant, id)?;
        let terms = &mut webhook.terms;
        let moved = change.url.as_ref().is_some_and(|url| *url != terms.url);
        if let Some(url) = change.url.as_ref().filter(|_| moved) {
            check_literal(url, &opened)?;
        }
        terms.url = change.url.unwrap_or_else(|| terms.url.clone());
        terms.name = change.name.unwrap_or_else(|| terms.name.clone());
        terms.contexts = change.contexts.unwrap_or(terms.contexts);
        terms.changes = change.changes.unwrap_or(terms.changes);
        terms.disabled = match change.disabled {
            Some(true) => terms.disabled.or(Some(Disabled::Administrator)),
            Some(false) => None,
            None => terms.disabled,
        };
        store::webhook::update(tx, webhook.id, terms)?;
        let WebhookSettings { contexts, changes, disabled, .. } = *terms;
        let event =
            Event::WebhookUpdated { webhook: webhook.id, contexts, changes, disabled: disabled.is_some(), moved };
        Ok((webhook, event))
    })
}

/// Deletes a webhook with its pending deliveries.
pub fn delete(app: &App, caller: &Caller, org: Option<OrgId>, id: Option<WebhookId>) -> Pending<()> {
    app.revoke(caller, Rule::ManagesWebhooks(org), move |tx, grant| {
        let webhook = find(tx, grant, id)?.id;
        store::webhook::delete(tx, webhook)?;
        Ok(((), Event::WebhookDeleted { webhook }))
    })
}

/// Replaces the secret of a webhook. The new secret is returned only once. The previous one also signs deliveries for
/// `overlap`.
pub fn rotate(
    app: &App,
    caller: &Caller,
    org: Option<OrgId>,
    id: Option<WebhookId>,
    overlap: Duration,
) -> Pending<(Webhook, SecretString)> {
    let (env, key) = (app.env.clone(), key_file::key(app));
    app.record(caller, Rule::ManagesWebhooks(org), move |tx, grant| {
        let (key, mut rng) = (key?, env.rng());
        let webhook = find(tx, grant, id)?;
        let (id, secret) = (webhook.id, sealed::fresh(&mut rng));
        // A secret whose key is lost can sign nothing more, so it neither overlaps nor stands in the way.
        let overlap = if store::webhook::is_sealed_under(tx, id, key.id())? { overlap } else { Duration::ZERO };
        if webhook.previous_until.is_some() && !overlap.is_zero() {
            let message = "The previous secret of this webhook is still in use: wait until it expires, or rotate with overlapSeconds 0, which invalidates both secrets immediately";
            return Err(Error::new(ErrorKind::Conflict, "WEBHOOK_ALREADY_ROTATED", message));
        }
        let until = grant.at.plus(overlap);
        let previous_until = (!overlap.is_zero()).then_some(until);
        store::webhook::rotate(tx, id, &key.seal(id.as_bytes(), secret.expose_secret(), &mut rng)?, previous_until)?;
        let event = Event::WebhookRotated { webhook: id, until };
        Ok(((Webhook { previous_until, ..webhook }, sealed::shown(&secret)), event))
    })
}

/// Sends a test event to a webhook, whatever its filters. Returns the delivery.
pub fn test(app: &App, caller: &Caller, org: Option<OrgId>, id: Option<WebhookId>) -> Pending<DeliveryId> {
    let env = app.env.clone();
    app.record(caller, Rule::ManagesWebhooks(org), move |tx, grant| {
        let (webhook, _) = find_open(tx, grant, id)?;
        store::webhook::end_backoff(tx, webhook)?;
        let delivery = env.id();
        Ok((delivery, Event::WebhookTested { webhook, delivery }))
    })
}

fn find(tx: &ReadTx<'_>, grant: &Grant, id: Option<WebhookId>) -> Result<Webhook, Error> {
    let missing = || Error::new(ErrorKind::Missing, "WEBHOOK_NOT_FOUND", "Webhook not found");
    let found = store::webhook::find(tx, grant.org, id.ok_or_else(missing)?)?.ok_or_else(missing)?;
    Ok(at(found, grant.at))
}

/// Returns the webhook as it is at `now`, without a previous secret that has expired.
fn at(webhook: Webhook, now: Time) -> Webhook {
    Webhook { previous_until: webhook.previous_until.filter(|until| now < *until), ..webhook }
}

/// Returns a webhook that is enabled. Nothing can be sent to a disabled one.
fn find_on(tx: &ReadTx<'_>, grant: &Grant, id: Option<WebhookId>) -> Result<Webhook, Error> {
    let webhook = find(tx, grant, id)?;
    if webhook.terms.disabled.is_some() {
        let message = "The webhook is disabled: set `disabled` to false first";
        return Err(Error::new(ErrorKind::Conflict, "WEBHOOK_DISABLED", message));
    }
    Ok(webhook)
}

/// Returns a webhook that is enabled and may have more pending deliveries, and how many more.
fn find_open(tx: &ReadTx<'_>, grant: &Grant, id: Option<WebhookId>) -> Result<(WebhookId, u32), Error> {
    let webhook = find_on(tx, grant, id)?.id;
    let room = store::webhook::room(tx, webhook)?;
    if room == 0 {
        let message = format!(
            "The webhook has {MOST_PENDING} pending deliveries, which is the maximum: wait until its receiver has accepted some"
        );
        return Err(Error::new(ErrorKind::Conflict, "WEBHOOK_FULL", message));
    }
    Ok((webhook, room))
}

fn limit_reached() -> Error {
    let message = format!(
        "Maximum number of webhooks ({MOST_PER_ORG}) has been reached. Please delete existing webhooks before creating new ones."
    );
    Error::new(ErrorKind::Invalid, "WEBHOOK_LIMIT_REACHED", message)
}

impl From<SealError> for Error {
    fn from(error: SealError) -> Self {
        Self::internal(error)
    }
}
