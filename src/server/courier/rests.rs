//! Which webhooks are left alone for now? Those that were down a moment ago, or asked for it: their deliveries wait, however many there are, at no cost.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::delivery::{Attempt, LONGEST_REST, Outcome};
use crate::domain::id::WebhookId;

/// The first rest and the longest that nobody asked for; each failure after a rest doubles it.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// A webhook that was heard of failing so long ago is as good as any.
const FORGET: Duration = Duration::from_mins(5);

/// The webhooks that were down last time; in memory only, since a start is a fresh look.
#[derive(Debug, Default)]
pub(super) struct Backoffs(HashMap<WebhookId, Rest>);

#[derive(Debug)]
struct Rest {
    /// How often the webhook had been roused before: more often, and the rest is over.
    backoff_epoch: u32,
    length: Duration,
    until: Instant,
    /// Until when its receiver asked for it, which what was under way meanwhile does not end.
    asked: Instant,
}

impl Backoffs {
    /// Learns what came of a try.
    pub fn learn(&mut self, attempt: &Attempt, outcome: &Outcome, now: Instant) {
        let before = self.0.get(&attempt.webhook);
        if before
            .is_some_and(|rest| attempt.backoff_epoch < rest.backoff_epoch || (now < rest.asked && !outcome.is_down()))
        {
            return;
        }
        if !outcome.is_down() {
            self.0.remove(&attempt.webhook);
            return;
        }
        let asked = match outcome {
            Outcome::Refused { retry_after, .. } => retry_after.unwrap_or_default().min(LONGEST_REST),
            Outcome::Taken { .. } | Outcome::Gone | Outcome::Failed { .. } => Duration::ZERO,
        };
        let (length, until) = match before {
            // Tries that were under way together are one failure.
            Some(rest) if now < rest.until => (rest.length, rest.until),
            Some(rest) => ((rest.length * 2).min(LONGEST), now + (rest.length * 2).min(LONGEST)),
            None => (FIRST, now + FIRST),
        };
        let asked = before.map_or(now, |rest| rest.asked).max(now + asked);
        self.0.insert(
            attempt.webhook,
            Rest { backoff_epoch: attempt.backoff_epoch, length, until: until.max(asked), asked },
        );
    }

    /// Those that are left alone, and how often each had been roused.
    pub fn now(&mut self, now: Instant) -> Vec<(WebhookId, u32)> {
        self.0.retain(|_, rest| now < rest.until + FORGET);
        self.0
            .iter()
            .filter(|(_, rest)| now < rest.until)
            .map(|(webhook, rest)| (*webhook, rest.backoff_epoch))
            .collect()
    }

    /// Ends the rest of a webhook that has been roused since it began.
    pub fn end_backoff(&mut self, webhook: WebhookId, backoff_epoch: u32) {
        if self.0.get(&webhook).is_some_and(|rest| rest.backoff_epoch < backoff_epoch) {
            self.0.remove(&webhook);
        }
    }

    /// Whether it was down last time: one try will tell whether it is back.
    pub fn is_half_open(&self, webhook: WebhookId) -> bool {
        self.0.contains_key(&webhook)
    }

    /// When the next one may be tried again.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        self.0.values().map(|rest| rest.until).filter(|until| *until > now).min()
    }

    /// Lets everybody be tried at once.
    pub fn end(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const FAILED: Outcome = Outcome::Failed { why: "the connection was refused" };
    const TAKEN: Outcome = Outcome::Taken { status: 204 };

    fn attempt(backoff_epoch: u32) -> Attempt {
        let (id, one) = (Uuid::from_u128(1).into(), Uuid::from_u128(1));
        let (webhook, org) = (one.into(), one.into());
        Attempt {
            id,
            webhook,
            org,
            url: String::new(),
            attempts: 0,
            backoff_epoch,
            secrets: Vec::new(),
            body: Vec::new(),
        }
    }

    fn asks(seconds: u64) -> Outcome {
        Outcome::Refused { status: 429, retry_after: Some(Duration::from_secs(seconds)) }
    }

    #[test]
    fn a_webhook_that_keeps_failing_rests_twice_as_long_each_time_up_to_30_seconds() {
        let (mut rests, attempt) = (Backoffs::default(), attempt(0));
        let mut now = Instant::now();
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            rests.learn(&attempt, &FAILED, now);
            // A second one that was under way with the first.
            rests.learn(&attempt, &FAILED, now + Duration::from_millis(500));
            let end = now + Duration::from_secs(seconds);
            assert_eq!(rests.next(now), Some(end));
            assert_eq!(rests.now(end - Duration::from_millis(1)), [(attempt.webhook, 0)]);
            assert_eq!(rests.now(end), []);
            assert!(rests.is_half_open(attempt.webhook));
            now = end;
        }
        for up in [TAKEN, Outcome::Refused { status: 422, retry_after: Some(FIRST) }] {
            rests.learn(&attempt, &up, now);
            assert!(!rests.is_half_open(attempt.webhook));
            rests.learn(&attempt, &FAILED, now);
            assert_eq!(rests.next(now), Some(now + FIRST));
        }
    }

    #[test]
    fn a_webhook_rests_as_long_as_it_asks_up_to_a_day_and_is_forgotten_in_the_end() {
        let (mut rests, attempt) = (Backoffs::default(), attempt(0));
        let now = Instant::now();
        rests.learn(&attempt, &asks(20), now);
        assert_eq!(rests.next(now), Some(now + Duration::from_secs(20)));
        let later = now + Duration::from_secs(20);
        for (seconds, rested) in [(3_600, 3_600), (90_000, 86_400)] {
            rests.learn(&attempt, &asks(seconds), later);
            assert_eq!(rests.next(later), Some(later + Duration::from_secs(rested)));
        }
        let end = later + LONGEST_REST;
        rests.learn(&attempt, &FAILED, end);
        assert_eq!(rests.next(end), Some(end + FIRST * 4), "what was asked for once is not doubled");
        assert_eq!(rests.now(end + FIRST * 4 + FORGET), []);
        assert!(!rests.is_half_open(attempt.webhook));
    }

    #[test]
    fn what_was_under_way_with_it_neither_ends_nor_hides_a_rest_that_was_asked_for() {
        let (mut rests, attempt) = (Backoffs::default(), attempt(0));
        let now = Instant::now();
        for outcome in [FAILED, asks(60), TAKEN, FAILED] {
            rests.learn(&attempt, &outcome, now);
        }
        assert_eq!(rests.next(now), Some(now + Duration::from_mins(1)));
    }

    #[test]
    fn a_webhook_that_was_roused_begins_anew_and_hears_nothing_of_before() {
        let (mut rests, before, after) = (Backoffs::default(), attempt(1), attempt(2));
        let (now, webhook) = (Instant::now(), before.webhook);
        rests.learn(&before, &asks(3_600), now);
        rests.end_backoff(webhook, 1);
        assert_eq!(rests.now(now), [(webhook, 1)]);
        rests.end_backoff(webhook, 2);
        assert_eq!(rests.now(now), []);
        rests.learn(&after, &FAILED, now);
        for outcome in [asks(3_600), TAKEN] {
            rests.learn(&before, &outcome, now);
            assert_eq!((rests.now(now), rests.next(now)), (vec![(webhook, 2)], Some(now + FIRST)));
        }
    }
}
