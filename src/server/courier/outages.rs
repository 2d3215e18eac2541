//! Which webhooks are failing, for the log: an outage is logged when it begins and when it ends, however many attempts
//! fail in between.

use std::collections::HashMap;
use std::mem;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::delivery::{Attempt, LONGEST_BACKOFF, Outcome};
use crate::domain::id::WebhookId;

/// The shortest time between the beginnings of two outages of a webhook in the log. Otherwise a receiver that refuses
/// every other delivery would fill the log.
const APART: Duration = Duration::from_mins(1);

/// The time after which a webhook without attempts is forgotten, because it was probably deleted. It is longer than any
/// wait between two attempts.
const FORGET: Duration = Duration::from_hours(48);

const _: () = assert!(FORGET.as_secs() > LONGEST_BACKOFF.as_secs());

/// The webhooks whose last attempt failed, or whose outage was logged recently. Held in memory only, so an outage is
/// logged again after a start.
#[derive(Debug, Default)]
pub(super) struct Outages(HashMap<WebhookId, Webhook>);

#[derive(Debug)]
struct Webhook {
    /// When the current outage began, and how many attempts have failed since; `None` if the last attempt succeeded.
    failing: Option<(Instant, u64)>,
    /// Whether the beginning of the current outage was logged.
    is_logged: bool,
    /// When the beginning of an outage was last logged.
    logged_at: Option<Instant>,
    last_failure: Instant,
}

/// What an attempt changed.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    /// An outage began.
    Began,
    /// An outage ended.
    Ended {
        /// How long it lasted.
        lasted: Duration,
        /// How many attempts failed.
        failed: u64,
    },
}

impl Outages {
    /// Logs the outcome of an attempt if it begins or ends an outage. Never logs the URL, which may contain a secret.
    pub fn record(&mut self, attempt: &Attempt, outcome: &Outcome, now: Instant) {
        let (webhook, organization) = (attempt.webhook, attempt.org);
        match self.change(webhook, outcome, now) {
            Some(Change::Began) => {
                let (status, why) = answer(outcome);
                tracing::warn!(
                    %webhook, %organization, status, why,
                    "a webhook is failing; this is not logged again before it has succeeded"
                );
            }
            Some(Change::Ended { lasted, failed }) => {
                let seconds = lasted.as_secs();
                tracing::warn!(%webhook, %organization, seconds, failed, "a webhook that was failing succeeds again");
            }
            None => {}
        }
    }

    fn change(&mut self, webhook: WebhookId, outcome: &Outcome, now: Instant) -> Option<Change> {
        if let Outcome::Taken { .. } = outcome {
            let webhook = self.0.get_mut(&webhook)?;
            let (since, failed) = webhook.failing.take()?;
            return mem::take(&mut webhook.is_logged).then(|| Change::Ended { lasted: now - since, failed });
        }
        if !self.0.contains_key(&webhook) {
            self.forget_old(now);
        }
        let new = Webhook { failing: None, is_logged: false, logged_at: None, last_failure: now };
        let webhook = self.0.entry(webhook).or_insert(new);
        webhook.last_failure = now;
        webhook.failing.get_or_insert((now, 0)).1 += 1;
        if webhook.is_logged || webhook.logged_at.is_some_and(|at| now < at + APART) {
            return None;
        }
        (webhook.is_logged, webhook.logged_at) = (true, Some(now));
        Some(Change::Began)
    }

    fn forget_old(&mut self, now: Instant) {
        self.0.retain(|_, webhook| {
            let needed_for = if webhook.failing.is_some() { FORGET } else { APART };
            now < webhook.last_failure + needed_for
        });
    }
}

/// Returns the status of the response, or the reason why there was none.
fn answer(outcome: &Outcome) -> (Option<u16>, Option<&'static str>) {
    match outcome {
        Outcome::Taken { status } | Outcome::Refused { status, .. } => (Some(*status), None),
        Outcome::Gone => (Some(410), None),
        Outcome::Failed { why } => (None, Some(why)),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const TAKEN: Outcome = Outcome::Taken { status: 204 };
    const DOWN: Outcome = Outcome::Refused { status: 503, retry_after: None };
    const FAILURES: [Outcome; 4] = [
        DOWN,
        Outcome::Refused { status: 404, retry_after: None },
        Outcome::Failed { why: "the connection was refused" },
        Outcome::Gone,
    ];

    fn webhook(number: u128) -> WebhookId {
        Uuid::from_u128(number).into()
    }

    #[test]
    fn an_outage_is_reported_when_it_begins_and_when_it_ends() {
        let (mut outages, mut now, webhook) = (Outages::default(), Instant::now(), webhook(1));
        assert_eq!(outages.change(webhook, &TAKEN, now), None, "nothing had failed");
        for first in &FAILURES {
            now += APART;
            assert_eq!(outages.change(webhook, first, now), Some(Change::Began));
            for (minutes, next) in (1..).zip(&FAILURES) {
                assert_eq!(outages.change(webhook, next, now + Duration::from_mins(minutes)), None);
            }
            now += Duration::from_hours(1);
            let ended = Change::Ended { lasted: Duration::from_hours(1), failed: 5 };
            assert_eq!(outages.change(webhook, &TAKEN, now), Some(ended));
            assert_eq!(outages.change(webhook, &TAKEN, now), None);
        }
    }

    #[test]
    fn each_webhook_has_its_own_outages() {
        let (mut outages, now) = (Outages::default(), Instant::now());
        for number in 1..=3 {
            assert_eq!(outages.change(webhook(number), &DOWN, now), Some(Change::Began));
        }
        let ended = Change::Ended { lasted: Duration::ZERO, failed: 1 };
        assert_eq!(outages.change(webhook(2), &TAKEN, now), Some(ended));
        assert_eq!(outages.change(webhook(1), &DOWN, now), None);
    }

    #[test]
    fn a_webhook_that_fails_now_and_then_is_reported_once_a_minute() {
        let (mut outages, began, webhook) = (Outages::default(), Instant::now(), webhook(1));
        let mut reported = 0;
        for second in 0..600 {
            let outcome = if second % 2 == 0 { DOWN } else { TAKEN };
            let change = outages.change(webhook, &outcome, began + Duration::from_secs(second));
            reported += usize::from(change.is_some());
        }
        assert_eq!(reported, 20, "10 beginnings and 10 ends");
        // A new outage that was not reported at its first attempt is reported at a later one.
        let mut outages = Outages::default();
        assert_eq!(outages.change(webhook, &DOWN, began), Some(Change::Began));
        assert!(outages.change(webhook, &TAKEN, began).is_some());
        assert_eq!(outages.change(webhook, &DOWN, began + APART - Duration::from_millis(1)), None);
        assert_eq!(outages.change(webhook, &DOWN, began + APART), Some(Change::Began));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut outages, now) = (Outages::default(), Instant::now());
        for number in 0..100 {
            outages.change(webhook(number), &DOWN, now);
        }
        for number in 0..50 {
            outages.change(webhook(number), &TAKEN, now);
        }
        // Those that succeed again are forgotten after a minute, those without attempts after two days.
        outages.change(webhook(100), &DOWN, now + APART);
        assert_eq!(outages.0.len(), 51);
        outages.change(webhook(101), &DOWN, now + FORGET - Duration::from_secs(1));
        assert_eq!(outages.0.len(), 52);
        outages.change(webhook(102), &DOWN, now + FORGET);
        assert_eq!(outages.0.len(), 3);
    }
}
