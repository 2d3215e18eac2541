//! Deliveries: one event to be sent to one webhook, with retries until it is accepted or abandoned.

use std::time::Duration;

use rand::{Rng, RngExt};
use secrecy::SecretSlice;

use super::id::{DeliveryId, OrgId, WebhookId};
use super::time::Time;

/// The delay of each attempt after the one before. The first is made immediately.
const WAITS: [Duration; 10] = [
    Duration::ZERO,
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(14),
    Duration::from_hours(20),
    Duration::from_hours(24),
];

/// The maximum delay that a receiver may request.
pub const LONGEST_BACKOFF: Duration = Duration::from_hours(24);

/// How long finished deliveries are retained.
pub const KEPT: Duration = Duration::from_hours(30 * 24);

/// How many successful deliveries are retained per webhook. They only serve as history.
pub const MOST_DELIVERED: u32 = 1_000;

/// The maximum number of pending deliveries per webhook. One more disables the webhook: otherwise a receiver that has
/// long been down would fill the disk.
pub const MOST_PENDING: u32 = 10_000;

/// How many failed deliveries are retained per webhook. All deliveries that were pending at once can be replayed,
/// however many have succeeded since.
pub const MOST_FAILED: u32 = MOST_PENDING;

/// The state of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Attempted until it is accepted or abandoned.
    Pending,
    /// The receiver accepted it.
    Delivered,
    /// It was abandoned.
    Failed,
}

/// The delivery of an event to a webhook.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The delivery's id.
    pub id: DeliveryId,
    /// The webhook to send to.
    pub webhook: WebhookId,
    /// The id of the event.
    pub event: i64,
    /// The state.
    pub state: State,
    /// When the next attempt is due.
    pub due_at: Time,
    /// How often the delivery was attempted, plus how often it was due while an attempt of another delivery found the
    /// receiver down. The first is always an attempt of its own.
    pub attempts: u32,
    /// The HTTP status of the last attempt.
    pub last_status: Option<u16>,
    /// Why the last attempt has no status.
    pub last_why: Option<String>,
    /// When the event happened.
    pub created_at: Time,
    /// When it was accepted or abandoned.
    pub ended_at: Option<Time>,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Failed];

    /// The name of the state.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    /// Parses the name of a state.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// Returns the delay after `attempts` attempts, plus a jitter of up to a tenth, so that a receiver that comes back is
/// not sent everything at once; never less than the receiver requested, up to [`LONGEST_BACKOFF`]. `None` after the
/// last attempt.
pub fn wait(attempts: u32, asked: Option<Duration>, rng: &mut impl Rng) -> Option<Duration> {
    let wait = *WAITS.get(usize::try_from(attempts).ok()?)?;
    let jitter = wait / 10;
    let millis = u64::try_from(jitter.as_millis()).ok()?;
    let jittered = wait + Duration::from_millis(rng.random_range(0..=millis));
    Some(jittered.max(asked.unwrap_or_default().min(LONGEST_BACKOFF)))
}

/// One attempt of a delivery, with everything that is needed to send it.
#[derive(Debug)]
pub struct Attempt {
    /// The delivery's id; the same for every attempt, so that a receiver can discard duplicates.
    pub id: DeliveryId,
    /// The webhook to send to.
    pub webhook: WebhookId,
    /// The organization of the webhook.
    pub org: OrgId,
    /// The URL to send to.
    pub url: String,
    /// How many attempts preceded this one.
    pub attempts: u32,
    /// How often the webhook's backoff had been reset.
    pub backoff_epoch: u32,
    /// The secrets to sign with: one, or two during a rotation.
    pub secrets: Vec<SecretSlice<u8>>,
    /// The event, as JSON.
    pub body: Vec<u8>,
}

/// A finished attempt, with what was known when it started: much may have changed since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The delivery's id.
    pub id: DeliveryId,
    /// The URL that it was sent to.
    pub url: String,
    /// How many attempts preceded it.
    pub attempts: u32,
    /// The outcome.
    pub outcome: Outcome,
}

/// An attempt that has started and not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InFlight {
    /// The delivery's id.
    pub delivery: DeliveryId,
    /// The webhook being sent to.
    pub webhook: WebhookId,
    /// The organization of the webhook.
    pub org: OrgId,
}

impl Attempt {
    /// The started attempt.
    #[must_use]
    pub const fn in_flight(&self) -> InFlight {
        InFlight { delivery: self.id, webhook: self.webhook, org: self.org }
    }

    /// The finished attempt with its outcome.
    #[must_use]
    pub fn ended(&self, outcome: Outcome) -> Tried {
        Tried { id: self.id, url: self.url.clone(), attempts: self.attempts, outcome }
    }
}

/// The outcome of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver accepted the delivery with a 2xx response.
    Taken {
        /// The response's status.
        status: u16,
    },
    /// The receiver wants no more deliveries: a 410 response.
    Gone,
    /// Any other response.
    Refused {
        /// The response's status.
        status: u16,
        /// The delay that the receiver requested.
        retry_after: Option<Duration>,
    },
    /// There was no response.
    Failed {
        /// Why, in a few words for an administrator; contains nothing that the receiver sent.
        why: &'static str,
    },
}

impl Outcome {
    /// Returns whether the receiver appears to be down: no response, 408, 429 or 5xx. Any other response concerns this
    /// event alone.
    #[must_use]
    pub const fn is_down(&self) -> bool {
        match self {
            Self::Failed { .. } => true,
            Self::Refused { status, .. } => matches!(*status, 408 | 429 | 500..=599),
            Self::Taken { .. } | Self::Gone => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn waits_follow_the_schedule_plus_up_to_10_percent() {
        let mut rng = StdRng::seed_from_u64(1);
        let seconds = [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
        for (attempts, least) in (0..).zip(seconds) {
            let least = Duration::from_secs(least);
            let waits: Vec<_> = (0..200).filter_map(|_| wait(attempts, None, &mut rng)).collect();
            assert_eq!(waits.len(), 200);
            assert!(waits.iter().all(|wait| (least..=least + least / 10).contains(wait)), "{attempts}");
            assert!(least.is_zero() || waits.iter().any(|wait| *wait != waits[0]), "{attempts}");
        }
        assert_eq!(wait(10, None, &mut rng), None);
        assert_eq!(wait(u32::MAX, Some(Duration::from_secs(1)), &mut rng), None);
    }

    #[test]
    fn retry_after_can_extend_a_wait_up_to_a_day() {
        let mut rng = StdRng::seed_from_u64(1);
        let day = Duration::from_hours(24);
        for (asked, waits) in [(60, 60), (86_400, 86_400), (86_401, 86_400), (u64::MAX, 86_400)] {
            let asked = Some(Duration::from_secs(asked));
            assert_eq!(wait(1, asked, &mut rng), Some(Duration::from_secs(waits)));
        }
        assert!(wait(1, Some(Duration::from_secs(1)), &mut rng) >= Some(Duration::from_secs(5)));
        assert!(wait(9, Some(Duration::from_secs(1)), &mut rng) >= Some(day));
    }
}
