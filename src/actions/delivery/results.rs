//! Stores the result of an attempt: the delivery succeeded, waits for the next attempt, or failed for good, which is an
//! event itself.

use std::collections::BTreeMap;

use rand::Rng;

use crate::domain::delivery::{Delivery, Outcome, State, Tried, wait};
use crate::domain::event::Event;
use crate::domain::id::{OrgId, WebhookId};
use crate::domain::time::Time;
use crate::domain::webhook::{Disabled, Last};
use crate::engine::environment::Environment;
use crate::engine::error::Error;
use crate::store::delivery::OnItsWay;
use crate::store::{self, WriteTx};

/// The maximum number of other deliveries of a webhook that count a failed probe as an attempt of theirs, and the
/// maximum for all webhooks recorded together, which share it. It bounds how long requests wait for this transaction.
const TOGETHER: usize = 500;
const TOGETHER_OF_ALL: usize = 2_000;

/// Writes results in one transaction and at one moment; `shown` is the wall clock of that moment.
struct Results<'t, 'c, R> {
    tx: &'t WriteTx<'c>,
    rng: R,
    now: Time,
    shown: Time,
}

/// The combined result of one webhook's attempts that are recorded together.
#[derive(Default)]
struct Settlement {
    up: bool,
    /// The outcome of the last attempt, if it found the receiver down, as an attempt of another delivery had before.
    down: Option<Outcome>,
    given_up: Vec<OnItsWay>,
}

/// Writes the results of attempts and returns the events to record. Deliveries that were deleted or have ended are
/// skipped.
pub(super) fn record(
    tx: &WriteTx<'_>,
    env: &Environment,
    now: Time,
    tries: Vec<Tried>,
) -> Result<Vec<(OrgId, Event)>, Error> {
    let mut results = Results { tx, rng: env.rng(), now, shown: env.wall_clock() };
    let (mut events, mut settlements) = (Vec::new(), BTreeMap::<_, Settlement>::new());
    for tried in tries {
        let Some(sent) = store::delivery::pending(tx, tried.id)? else { continue };
        let settlement = settlements.entry((sent.delivery.webhook, sent.org)).or_default();
        let org = sent.org;
        events.extend(results.add(settlement, sent, tried)?.map(|event| (org, event)));
    }
    let down = settlements.values().filter(|settlement| settlement.is_down()).count().max(1);
    for ((webhook, org), mut settlement) in settlements {
        if settlement.is_down() {
            results.count(webhook, &mut settlement, TOGETHER.min(TOGETHER_OF_ALL / down))?;
        }
        events.extend(results.say(webhook, &settlement.given_up)?.map(|event| (org, event)));
    }
    Ok(events)
}

impl Settlement {
    /// Whether the receiver is down. A response to another attempt shows that it is up.
    fn is_down(&self) -> bool {
        self.down.is_some() && !self.up
    }
}

impl<R: Rng> Results<'_, '_, R> {
    fn add(&mut self, settlement: &mut Settlement, sent: OnItsWay, tried: Tried) -> Result<Option<Event>, Error> {
        let (id, webhook) = (sent.delivery.id, sent.delivery.webhook);
        let (taken, is_gone) = (matches!(tried.outcome, Outcome::Taken { .. }), tried.outcome == Outcome::Gone);
        // A failure at an old URL says nothing about the new one. And an attempt that was counted by a failed probe
        // meanwhile is not counted twice.
        if !taken && (tried.url != sent.url || (!is_gone && tried.attempts != sent.delivery.attempts)) {
            return Ok(None);
        }
        let ((status, why), down) = (last_answer(&tried.outcome), tried.outcome.is_down());
        let ended = self.write(&sent.delivery, &tried.outcome)?;
        store::webhook::set_last(self.tx, webhook, &Last { at: self.now, status, why }, down.then_some(id))?;
        settlement.up |= !down;
        if is_gone && let Some(others) = store::webhook::switch_off(self.tx, webhook, Disabled::Gone)? {
            return Ok(Some(Event::WebhookDisabled { webhook, why: Disabled::Gone, failed: others + 1 }));
        }
        // A receiver may fail on one delivery again and again; only the failure of another one shows that it is down.
        if down && sent.last_failed.is_some_and(|before| before != id) {
            settlement.down = Some(tried.outcome);
        }
        if ended && !taken {
            settlement.given_up.push(sent);
        }
        Ok(None)
    }

    /// Counts a failed probe as an attempt of every due delivery of the webhook, so that each keeps its schedule,
    /// however many there are. A delivery that was never attempted waits for its own first attempt: nothing fails
    /// unsent, and everything is sent as soon as the receiver is back.
    fn count(&mut self, webhook: WebhookId, settlement: &mut Settlement, most: usize) -> Result<(), Error> {
        let Some(outcome) = settlement.down.take() else { return Ok(()) };
        for sent in store::delivery::due_again(self.tx, webhook, self.shown, most)? {
            if self.write(&sent.delivery, &outcome)? {
                settlement.given_up.push(sent);
            }
        }
        Ok(())
    }

    /// Writes the result of an attempt. Returns whether the delivery has ended.
    fn write(&mut self, delivery: &Delivery, outcome: &Outcome) -> Result<bool, Error> {
        let attempts = delivery.attempts + 1;
        let asked = match outcome {
            Outcome::Refused { retry_after, .. } => *retry_after,
            Outcome::Taken { .. } | Outcome::Gone | Outcome::Failed { .. } => None,
        };
        let next = match outcome {
            Outcome::Taken { .. } | Outcome::Gone => None,
            Outcome::Refused { .. } | Outcome::Failed { .. } => wait(attempts, asked, &mut self.rng),
        };
        let state = match (outcome, next) {
            (Outcome::Taken { .. }, _) => State::Delivered,
            (_, Some(_)) => State::Pending,
            (_, None) => State::Failed,
        };
        let due_at = next.map_or(delivery.due_at, |wait| self.shown.plus(wait));
        let ended_at = (state != State::Pending).then_some(self.now);
        let (last_status, last_why) = last_answer(outcome);
        let tried = Delivery { state, due_at, attempts, last_status, last_why, ended_at, ..delivery.clone() };
        store::delivery::save(self.tx, &tried)?;
        Ok(state != State::Pending)
    }

    /// Returns the event for deliveries that failed for good. If these deliveries only carried reports of other
    /// failures, that is recorded once until the webhook accepts a delivery: otherwise webhooks that are all down would
    /// fill the log with each other's failures.
    fn say(&self, webhook: WebhookId, given_up: &[OnItsWay]) -> Result<Option<Event>, Error> {
        let of_failure = given_up.iter().all(|sent| sent.of_failure);
        if given_up.is_empty() || (of_failure && !store::webhook::report_failure(self.tx, webhook)?) {
            return Ok(None);
        }
        let only = match given_up {
            [sent] => Some((sent.delivery.id, sent.delivery.event)),
            _ => None,
        };
        Ok(Some(Event::DeliveryFailed { webhook, count: given_up.len(), only, of_failure }))
    }
}

/// Returns the status of the response, or the reason why there was none.
fn last_answer(outcome: &Outcome) -> (Option<u16>, Option<String>) {
    match outcome {
        Outcome::Taken { status } | Outcome::Refused { status, .. } => (Some(*status), None),
        Outcome::Gone => (Some(410), None),
        Outcome::Failed { why } => (None, Some(cut(why))),
    }
}

/// Returns the part of a reason that is stored: at most 200 characters, without control characters.
fn cut(why: &str) -> String {
    why.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_stored_without_control_characters_and_up_to_200_characters() {
        assert_eq!(cut("no\u{1b}[2J name\r\n"), "no[2J name");
        for (count, stored) in [(200, 200), (201, 200)] {
            assert_eq!(cut(&"é".repeat(count)).chars().count(), stored);
        }
    }
}
