//! What comes of a try? It is taken, or waits for the next one, or is given up, which is an event itself.

use rand::Rng;

use super::super::error::Error;
use crate::domain::delivery::{Delivery, Outcome, State, wait};
use crate::domain::event::Event;
use crate::domain::id::{DeliveryId, OrgId, WebhookId};
use crate::domain::time::Time;
use crate::domain::webhook::Last;
use crate::store::{self, WriteTx};

/// Writes what came of tries, and gives what is to be recorded of it. What was deleted or has ended meanwhile is passed over.
pub(super) fn settle(
    tx: &WriteTx<'_>,
    rng: &mut impl Rng,
    now: Time,
    outcomes: Vec<(DeliveryId, Outcome)>,
) -> Result<Vec<(OrgId, Event)>, Error> {
    let mut events = Vec::new();
    for (id, outcome) in outcomes {
        let Some((delivery, org, of_failure)) = store::delivery::pending(tx, id)? else { continue };
        let event = one(tx, rng, now, &delivery, of_failure, &outcome)?;
        events.extend(event.map(|event| (org, event)));
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
        (Outcome::Gone, _) => gone(tx, webhook),
        (_, State::Failed) => {
            Ok(Some(Event::DeliveryFailed { webhook, count: 1, only: Some((id, event)), of_failure }))
        }
        (_, State::Pending | State::Delivered) => Ok(None),
    }
}

/// Switches the webhook off. One that an administrator has switched off meanwhile stays as it is.
fn gone(tx: &WriteTx<'_>, webhook: WebhookId) -> Result<Option<Event>, Error> {
    if !store::webhook::gone(tx, webhook)? {
        return Ok(None);
    }
    let others = store::delivery::waiting(tx, webhook)?;
    Ok(Some(Event::WebhookDisabled { webhook, failed: others as usize + 1 }))
}

/// As much of a reason as is kept.
fn cut(why: &str) -> String {
    why.chars().filter(|c| !c.is_control()).take(200).collect()
}
