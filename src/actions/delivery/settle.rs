//! What comes of a try? It is taken, or waits for the next one, or is given up, which is an event itself.

use std::collections::BTreeSet;

use rand::Rng;

use super::super::error::Error;
use crate::domain::delivery::{Delivery, KEPT, MOST_KEPT, Outcome, State, wait};
use crate::domain::event::Event;
use crate::domain::id::{DeliveryId, OrgId, WebhookId};
use crate::domain::time::Time;
use crate::domain::webhook::Last;
use crate::store::{self, WriteTx};

/// At most so many that ended long ago are forgotten of a webhook at once: no write pays for many.
const FORGOTTEN: u32 = 16;

/// What everything else on its way to a receiver that is gone failed of.
const GONE: &str = "the receiver said that it is gone";

/// Writes what came of tries, and gives what is to be recorded of it. What was deleted or has ended meanwhile is passed over.
pub(super) fn settle(
    tx: &WriteTx<'_>,
    rng: &mut impl Rng,
    now: Time,
    outcomes: Vec<(DeliveryId, Outcome)>,
) -> Result<Vec<(OrgId, Event)>, Error> {
    let (mut events, mut webhooks) = (Vec::new(), BTreeSet::new());
    for (id, outcome) in outcomes {
        let Some((delivery, org, of_failure)) = store::delivery::pending(tx, id)? else { continue };
        webhooks.insert(delivery.webhook);
        let event = one(tx, rng, now, &delivery, of_failure, &outcome)?;
        events.extend(event.map(|event| (org, event)));
    }
    for webhook in webhooks {
        store::delivery::prune(tx, webhook, now.minus(KEPT), MOST_KEPT, FORGOTTEN)?;
    }
    Ok(events)
}

fn one(
    tx: &WriteTx<'_>,
    rng: &mut impl Rng,
    now: Time,
    delivery: &Delivery,
    of_failure: bool,
    outcome: &Outcome,
) -> Result<Option<Event>, Error> {
    let (id, webhook, event) = (delivery.id, delivery.webhook, delivery.event);
    let attempts = delivery.attempts + 1;
    let (status, why, asked) = match outcome {
        Outcome::Taken { status } => (Some(*status), None, None),
        Outcome::Gone => (Some(410), None, None),
        Outcome::Refused { status, retry_after } => (Some(*status), None, *retry_after),
        Outcome::Failed { why } => (None, Some(cut(why)), None),
    };
    let next = match outcome {
        Outcome::Taken { .. } | Outcome::Gone => None,
        Outcome::Refused { .. } | Outcome::Failed { .. } => wait(attempts, asked, rng).map(|wait| now.plus(wait)),
    };
    let state = match (outcome, next) {
        (Outcome::Taken { .. }, _) => State::Delivered,
        (_, Some(_)) => State::Pending,
        (_, None) => State::Failed,
    };
    store::webhook::set_last(tx, webhook, &Last { at: now, status, why: why.clone() })?;
    let ended_at = (state != State::Pending).then_some(now);
    let due_at = next.unwrap_or(delivery.due_at);
    let tried = Delivery { state, due_at, attempts, last_status: status, last_why: why, ended_at, ..delivery.clone() };
    store::delivery::save(tx, &tried)?;
    match (outcome, state) {
        (Outcome::Gone, _) => gone(tx, webhook, now),
        (_, State::Failed) => Ok(Some(Event::DeliveryFailed { webhook, delivery: id, event, of_failure })),
        (_, State::Pending | State::Delivered) => Ok(None),
    }
}

/// Switches the webhook off. One that an administrator has switched off meanwhile stays as it is.
fn gone(tx: &WriteTx<'_>, webhook: WebhookId, now: Time) -> Result<Option<Event>, Error> {
    if !store::webhook::gone(tx, webhook)? {
        return Ok(None);
    }
    let others = store::delivery::give_up(tx, webhook, GONE, now)?;
    Ok(Some(Event::WebhookDisabled { webhook, failed: others + 1 }))
}

/// As much of a reason as is kept.
fn cut(why: &str) -> String {
    why.chars().filter(|c| !c.is_control()).take(200).collect()
}
