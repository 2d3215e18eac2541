//! Which webhooks are left alone for now? Those that were down a moment ago: their deliveries wait, however many there are, at no cost.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::delivery::Outcome;
use crate::domain::id::WebhookId;

/// The first rest and the longest; each failure after a rest doubles it.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// A webhook that was heard of failing so long ago is as good as any.
const FORGET: Duration = Duration::from_mins(5);

/// The webhooks that were down last time; in memory only, since a start is a fresh look.
#[derive(Debug, Default)]
pub(super) struct Rests(HashMap<WebhookId, Rest>);

#[derive(Debug)]
struct Rest {
    length: Duration,
    until: Instant,
}

impl Rests {
    /// Learns what came of a try.
    pub fn learn(&mut self, webhook: WebhookId, outcome: &Outcome, now: Instant) {
        if !outcome.is_down() {
            self.0.remove(&webhook);
            return;
        }
        let asked = match outcome {
            Outcome::Refused { retry_after, .. } => retry_after.unwrap_or_default(),
            Outcome::Taken { .. } | Outcome::Gone | Outcome::Failed { .. } => Duration::ZERO,
        };
        let length = match self.0.get(&webhook) {
            // Tries that were under way together are one failure.
            Some(rest) if now < rest.until => return,
            Some(rest) => rest.length * 2,
            None => FIRST,
        };
        let length = length.max(asked).min(LONGEST);
        self.0.insert(webhook, Rest { length, until: now + length });
    }

    /// Those that are left alone.
    pub fn now(&mut self, now: Instant) -> Vec<WebhookId> {
        self.0.retain(|_, rest| now < rest.until + FORGET);
        self.0.iter().filter(|(_, rest)| now < rest.until).map(|(webhook, _)| *webhook).collect()
    }

    /// Whether it failed last time: one try will tell whether it is back.
    pub fn is_doubtful(&self, webhook: WebhookId) -> bool {
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

    #[test]
    fn a_webhook_that_keeps_failing_rests_twice_as_long_each_time_up_to_30_seconds() {
        let (mut rests, webhook) = (Rests::default(), WebhookId::from(Uuid::from_u128(1)));
        let mut now = Instant::now();
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            rests.learn(webhook, &FAILED, now);
            // A second one that was under way with the first.
            rests.learn(webhook, &FAILED, now + Duration::from_millis(500));
            let end = now + Duration::from_secs(seconds);
            assert_eq!(rests.next(now), Some(end));
            assert_eq!(rests.now(end - Duration::from_millis(1)), [webhook]);
            assert_eq!(rests.now(end), []);
            assert!(rests.is_doubtful(webhook));
            now = end;
        }
        let verdict = Outcome::Refused { status: 422, retry_after: Some(FIRST) };
        for up in [Outcome::Taken { status: 204 }, verdict] {
            rests.learn(webhook, &up, now);
            assert!(!rests.is_doubtful(webhook));
            rests.learn(webhook, &FAILED, now);
            assert_eq!(rests.next(now), Some(now + FIRST));
        }
    }

    #[test]
    fn a_webhook_rests_as_long_as_it_asks_within_bounds_and_is_forgotten_in_the_end() {
        let (mut rests, webhook) = (Rests::default(), WebhookId::from(Uuid::from_u128(1)));
        let now = Instant::now();
        let asks = |seconds| Outcome::Refused { status: 429, retry_after: Some(Duration::from_secs(seconds)) };
        rests.learn(webhook, &asks(20), now);
        assert_eq!(rests.next(now), Some(now + Duration::from_secs(20)));
        let later = now + Duration::from_secs(20);
        rests.learn(webhook, &asks(3_600), later);
        assert_eq!(rests.next(later), Some(later + LONGEST));
        assert_eq!(rests.now(later + LONGEST + FORGET), []);
        assert!(!rests.is_doubtful(webhook));
    }
}
