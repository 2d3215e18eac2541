//! What is a delivery? One event on its way to one webhook, tried again and again until it is taken or given up.

use std::time::Duration;

use rand::{Rng, RngExt};
use secrecy::SecretSlice;

use super::id::{DeliveryId, OrgId, WebhookId};
use super::time::Time;

/// How long each try waits after the one before; the first goes out at once.
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

/// The longest that a receiver may ask to be left alone.
pub const LONGEST_BACKOFF: Duration = Duration::from_hours(24);

/// For how long what has ended is kept.
pub const KEPT: Duration = Duration::from_hours(30 * 24);

/// How much that was taken is kept of a webhook: it only tells what happened.
pub const MOST_DELIVERED: u32 = 1_000;

/// How much may be on its way to a webhook. What comes beyond switches it off: it would fill the disk for a receiver that
/// has taken nothing for long.
pub const MOST_PENDING: u32 = 10_000;

/// How much that was given up is kept of a webhook: all that was on its way at once can be replayed, however much was taken
/// since.
pub const MOST_FAILED: u32 = MOST_PENDING;

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is tried until it is taken or given up.
    Pending,
    /// The receiver took it.
    Delivered,
    /// It was given up.
    Failed,
}

/// An event on its way to a webhook, or at its end.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// The webhook that it is for.
    pub webhook: WebhookId,
    /// The number of the event.
    pub event: i64,
    /// What became of it.
    pub state: State,
    /// When the next try is due.
    pub due_at: Time,
    /// How often it was tried, or was due while another delivery's try found the receiver down; the first try is its own.
    pub attempts: u32,
    /// The status of the last try.
    pub last_status: Option<u16>,
    /// Why the last try had none.
    pub last_why: Option<String>,
    /// When the event happened.
    pub created_at: Time,
    /// When it was taken or given up.
    pub ended_at: Option<Time>,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Failed];

    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    /// What the word means.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// How long to wait after `attempts` tries, and up to a tenth more, so that receivers that come back are not met by all at
/// once; never less than the receiver asked for. `None` after the last.
pub fn wait(attempts: u32, asked: Option<Duration>, rng: &mut impl Rng) -> Option<Duration> {
    let wait = *WAITS.get(usize::try_from(attempts).ok()?)?;
    let jitter = wait / 10;
    let millis = u64::try_from(jitter.as_millis()).ok()?;
    let jittered = wait + Duration::from_millis(rng.random_range(0..=millis));
    Some(jittered.max(asked.unwrap_or_default().min(LONGEST_BACKOFF)))
}

/// One try of a delivery, with all that it takes.
#[derive(Debug)]
pub struct Attempt {
    /// The delivery; the same for every try of it, so that a receiver can drop repeats.
    pub id: DeliveryId,
    /// The webhook that it is for.
    pub webhook: WebhookId,
    /// The organization of the webhook.
    pub org: OrgId,
    /// Where it goes.
    pub url: String,
    /// How often it was tried before.
    pub attempts: u32,
    /// How often somebody had done what ends a backoff of the webhook.
    pub backoff_epoch: u32,
    /// The keys that sign it, at least one; two while one takes the other's place.
    pub secrets: Vec<SecretSlice<u8>>,
    /// The event, as JSON.
    pub body: Vec<u8>,
}

/// A try that has ended, with what was known when it began: much may have changed meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The delivery.
    pub id: DeliveryId,
    /// Where it went.
    pub url: String,
    /// How often it was tried before.
    pub attempts: u32,
    /// What came of it.
    pub outcome: Outcome,
}

/// A try that has begun and not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InFlight {
    /// The delivery.
    pub delivery: DeliveryId,
    /// The webhook that it is for.
    pub webhook: WebhookId,
    /// The organization of the webhook.
    pub org: OrgId,
}

impl Attempt {
    /// The try once it has begun.
    #[must_use]
    pub const fn in_flight(&self) -> InFlight {
        InFlight { delivery: self.id, webhook: self.webhook, org: self.org }
    }

    /// The try with what came of it.
    #[must_use]
    pub fn ended(&self, outcome: Outcome) -> Tried {
        Tried { id: self.id, url: self.url.clone(), attempts: self.attempts, outcome }
    }
}

/// What came of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver took it: a 2xx.
    Taken {
        /// The status that it answered.
        status: u16,
    },
    /// The receiver wants nothing any more: a 410.
    Gone,
    /// The receiver answered anything else.
    Refused {
        /// The status that it answered.
        status: u16,
        /// How long it asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// There was no answer.
    Failed {
        /// Why, in a few words for an administrator; nothing of what the other side sent.
        why: &'static str,
    },
}

impl Outcome {
    /// Whether it shows that the receiver is down: no answer, or one that says that it takes nothing now. Any other answer is
    /// its verdict on this event alone.
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
    fn the_waits_are_those_of_the_schedule_and_up_to_a_tenth_more() {
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
    fn a_receiver_is_left_alone_for_as_long_as_it_asks_up_to_a_day() {
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
