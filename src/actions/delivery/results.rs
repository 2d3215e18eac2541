//! What comes of a try? It is taken, or waits for the next one, or is given up, which is an event itself.

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

/// At most so many other deliveries of a webhook count a try of theirs when its receiver is known to be down, and of all
/// webhooks that are settled together, which share it: no request waits long for this.
const TOGETHER: usize = 500;
const TOGETHER_OF_ALL: usize = 2_000;

/// Who writes what came of tries: in one transaction and at one moment, which the clock shows as `shown`.
struct Results<'t, 'c, R> {
    tx: &'t WriteTx<'c>,
    rng: R,
    now: Time,
    shown: Time,
}

/// What came of one webhook's tries that are settled together.
#[derive(Default)]
struct Settlement {
    up: bool,
    /// What came of the last one, if it found the receiver down as another delivery's had before.
    down: Option<Outcome>,
    given_up: Vec<OnItsWay>,
}

/// Writes what came of tries, and gives what is to be recorded of it. What was deleted or has ended meanwhile is passed over.
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
    /// What was answered meanwhile shows that the receiver is up.
    fn is_down(&self) -> bool {
        self.down.is_some() && !self.up
    }
}

impl<R: Rng> Results<'_, '_, R> {
    fn add(&mut self, settlement: &mut Settlement, sent: OnItsWay, tried: Tried) -> Result<Option<Event>, Error> {
        let (id, webhook) = (sent.delivery.id, sent.delivery.webhook);
        let (taken, is_gone) = (matches!(tried.outcome, Outcome::Taken { .. }), tried.outcome == Outcome::Gone);
        // Where it went says nothing of where it goes now. And what was counted while the try was under way is not counted twice.
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
        // The same delivery again may be one that its receiver does not like; another one shows that it is down.
        if down && sent.last_failed.is_some_and(|before| before != id) {
            settlement.down = Some(tried.outcome);
        }
        if ended && !taken {
            settlement.given_up.push(sent);
        }
        Ok(None)
    }

    /// Has what else is due of a webhook that is down count its try as theirs: each keeps its schedule, however many they are.
    /// What was never sent waits for its own first try, so nothing is given up unsent, and all of it goes out as soon as the
    /// receiver is back.
    fn count(&mut self, webhook: WebhookId, settlement: &mut Settlement, most: usize) -> Result<(), Error> {
        let Some(outcome) = settlement.down.take() else { return Ok(()) };
        for sent in store::delivery::due_again(self.tx, webhook, self.shown, most)? {
            if self.write(&sent.delivery, &outcome)? {
                settlement.given_up.push(sent);
            }
        }
        Ok(())
    }

    /// Writes what a try made of a delivery; whether it has ended.
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

    /// What is to be recorded of what was given up. Of events that themselves say that others failed it is recorded once,
    /// until the webhook takes something: webhooks that are all down would else fill the log with each other's failures.
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

/// The status that a try was answered with, or why there was none.
fn last_answer(outcome: &Outcome) -> (Option<u16>, Option<String>) {
    match outcome {
        Outcome::Taken { status } | Outcome::Refused { status, .. } => (Some(*status), None),
        Outcome::Gone => (Some(410), None),
        Outcome::Failed { why } => (None, Some(cut(why))),
    }
}

/// As much of a reason as is kept.
fn cut(why: &str) -> String {
    why.chars().filter(|c| !c.is_control()).take(200).collect()
}
