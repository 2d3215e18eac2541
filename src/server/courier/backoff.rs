//! Backoff of webhooks that were down at the last attempt or sent `Retry-After`. Their deliveries wait, however many
//! there are, at no cost. When a failed delivery itself is due again is decided in `actions/delivery/results.rs`.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::delivery::{Attempt, LONGEST_BACKOFF, Outcome};
use crate::domain::id::WebhookId;

/// The first backoff, and the longest without a `Retry-After`. Each further failure doubles the backoff.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// The time after the end of a backoff at which the failure is forgotten.
const FORGET: Duration = Duration::from_mins(5);

/// The webhooks that were down at their last attempt. Held in memory only, because a start begins without backoffs.
#[derive(Debug, Default)]
pub(super) struct Backoffs(HashMap<WebhookId, Backoff>);

#[derive(Debug)]
struct Backoff {
    /// The webhook's backoff epoch when this backoff began. A later epoch ends it.
    epoch: u32,
    length: Duration,
    until: Instant,
    /// Until when its receiver asked to wait. The result of an attempt that was in flight at that time does not end it.
    asked: Instant,
}

impl Backoffs {
    /// Records the outcome of an attempt.
    pub fn record(&mut self, attempt: &Attempt, outcome: &Outcome, now: Instant) {
        let before = self.0.get(&attempt.webhook);
        if before
            .is_some_and(|backoff| attempt.backoff_epoch < backoff.epoch || (now < backoff.asked && !outcome.is_down()))
        {
            return;
        }
        if !outcome.is_down() {
            self.0.remove(&attempt.webhook);
            return;
        }
        let asked = match outcome {
            Outcome::Refused { retry_after, .. } => retry_after.unwrap_or_default().min(LONGEST_BACKOFF),
            Outcome::Taken { .. } | Outcome::Gone | Outcome::Failed { .. } => Duration::ZERO,
        };
        let (length, until) = match before {
            // Attempts that were in flight together count as one failure.
            Some(backoff) if now < backoff.until => (backoff.length, backoff.until),
            Some(backoff) => ((backoff.length * 2).min(LONGEST), now + (backoff.length * 2).min(LONGEST)),
            None => (FIRST, now + FIRST),
        };
        let asked = before.map_or(now, |backoff| backoff.asked).max(now + asked);
        self.0
            .insert(attempt.webhook, Backoff { epoch: attempt.backoff_epoch, length, until: until.max(asked), asked });
    }

    /// Forgets old failures.
    pub fn forget_old(&mut self, now: Instant) {
        self.0.retain(|_, backoff| now < backoff.until + FORGET);
    }

    /// Whether a webhook is in backoff.
    pub fn is_active(&self, webhook: WebhookId, now: Instant) -> bool {
        self.0.get(&webhook).is_some_and(|backoff| now < backoff.until)
    }

    /// Ends the backoff of a webhook whose epoch has advanced since it began.
    pub fn resume(&mut self, webhook: WebhookId, backoff_epoch: u32) {
        if self.0.get(&webhook).is_some_and(|backoff| backoff.epoch < backoff_epoch) {
            self.0.remove(&webhook);
        }
    }

    /// Whether the webhook was down at its last attempt, so that a single probe must show whether it is back.
    pub fn is_half_open(&self, webhook: WebhookId) -> bool {
        self.0.contains_key(&webhook)
    }

    /// Returns when the next backoff ends.
    pub fn next_end(&self, now: Instant) -> Option<Instant> {
        self.0.values().map(|backoff| backoff.until).filter(|until| *until > now).min()
    }

    /// Ends every backoff.
    pub fn clear(&mut self) {
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
    fn backoff_doubles_with_each_failure_up_to_30_seconds() {
        let (mut backoffs, attempt) = (Backoffs::default(), attempt(0));
        let mut now = Instant::now();
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            backoffs.record(&attempt, &FAILED, now);
            // A second attempt that was in flight with the first.
            backoffs.record(&attempt, &FAILED, now + Duration::from_millis(500));
            let end = now + Duration::from_secs(seconds);
            assert_eq!(backoffs.next_end(now), Some(end));
            assert!(backoffs.is_active(attempt.webhook, end - Duration::from_millis(1)));
            assert!(!backoffs.is_active(attempt.webhook, end));
            assert!(backoffs.is_half_open(attempt.webhook));
            now = end;
        }
        for up in [TAKEN, Outcome::Refused { status: 422, retry_after: Some(FIRST) }] {
            backoffs.record(&attempt, &up, now);
            assert!(!backoffs.is_half_open(attempt.webhook));
            backoffs.record(&attempt, &FAILED, now);
            assert_eq!(backoffs.next_end(now), Some(now + FIRST));
        }
    }

    #[test]
    fn backoff_honors_retry_after_up_to_a_day_and_is_finally_forgotten() {
        let (mut backoffs, attempt) = (Backoffs::default(), attempt(0));
        let now = Instant::now();
        backoffs.record(&attempt, &asks(20), now);
        assert_eq!(backoffs.next_end(now), Some(now + Duration::from_secs(20)));
        let later = now + Duration::from_secs(20);
        for (seconds, rested) in [(3_600, 3_600), (90_000, 86_400)] {
            backoffs.record(&attempt, &asks(seconds), later);
            assert_eq!(backoffs.next_end(later), Some(later + Duration::from_secs(rested)));
        }
        let end = later + LONGEST_BACKOFF;
        backoffs.record(&attempt, &FAILED, end);
        assert_eq!(backoffs.next_end(end), Some(end + FIRST * 4), "what was asked for once is not doubled");
        backoffs.forget_old(end + FIRST * 4 + FORGET);
        assert!(!backoffs.is_half_open(attempt.webhook));
    }

    #[test]
    fn results_of_parallel_attempts_do_not_end_a_requested_pause() {
        let (mut backoffs, attempt) = (Backoffs::default(), attempt(0));
        let now = Instant::now();
        for outcome in [FAILED, asks(60), TAKEN, FAILED] {
            backoffs.record(&attempt, &outcome, now);
        }
        assert_eq!(backoffs.next_end(now), Some(now + Duration::from_mins(1)));
    }

    #[test]
    fn a_resumed_webhook_ignores_results_of_earlier_attempts() {
        let (mut backoffs, before, after) = (Backoffs::default(), attempt(1), attempt(2));
        let (now, webhook) = (Instant::now(), before.webhook);
        backoffs.record(&before, &asks(3_600), now);
        backoffs.resume(webhook, 1);
        assert!(backoffs.is_active(webhook, now));
        backoffs.resume(webhook, 2);
        assert!(!backoffs.is_active(webhook, now));
        backoffs.record(&after, &FAILED, now);
        for outcome in [asks(3_600), TAKEN] {
            backoffs.record(&before, &outcome, now);
            assert_eq!((backoffs.is_active(webhook, now), backoffs.next_end(now)), (true, Some(now + FIRST)));
        }
    }
}
