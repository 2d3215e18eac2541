//! Token buckets, one per key.

use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The number of buckets from which on full ones are removed.
const MANY: usize = 10_000;

/// A bucket per key. Instead of its level, the time at which it will be full again is stored (GCRA).
pub(super) struct Buckets<K> {
    /// Tokens added per second.
    pub(super) rate: u32,
    /// The time in which one token is added.
    step: Duration,
    /// The time in which all tokens but one are added.
    slack: Duration,
    levels: Mutex<Levels<K>>,
}

struct Levels<K> {
    full_at: HashMap<K, Instant>,
    /// The number of buckets at which full ones are removed next.
    many: usize,
}

impl<K: Hash + Eq> Buckets<K> {
    /// Creates buckets that hold `burst` tokens and gain `rate` per second; `None` if the rate is 0.
    pub(super) fn new(rate: u32, burst: u32) -> Option<Self> {
        let step = Duration::from_secs(1) / NonZeroU32::new(rate)?.get();
        let levels = Levels { full_at: HashMap::new(), many: MANY };
        Some(Self { rate, step, slack: step * burst.saturating_sub(1), levels: Mutex::new(levels) })
    }

    /// Returns how long a key must wait until its bucket holds a token. Takes none.
    pub(super) fn wait(&self, key: &K, now: Instant) -> Duration {
        self.lock().full_at.get(key).map_or(Duration::ZERO, |full_at| self.until(*full_at, now))
    }

    /// Takes a token if there is one. Returns how long to wait otherwise; zero means that one was taken.
    pub(super) fn take(&self, key: K, now: Instant) -> Duration {
        let mut levels = self.lock();
        levels.clear(now);
        let full_at = levels.full_at.entry(key).or_insert(now);
        let wait = self.until(*full_at, now);
        if wait.is_zero() {
            *full_at = (*full_at).max(now) + self.step;
        }
        wait
    }

    /// Takes `count` tokens even if there are not enough; the key then waits until they have been added again.
    pub(super) fn charge(&self, key: K, count: u32, now: Instant) {
        let mut levels = self.lock();
        let full_at = levels.full_at.entry(key).or_insert(now);
        *full_at = (*full_at).max(now) + self.step * count;
    }

    fn until(&self, full_at: Instant, now: Instant) -> Duration {
        full_at.saturating_duration_since(now).saturating_sub(self.slack)
    }

    fn lock(&self) -> MutexGuard<'_, Levels<K>> {
        self.levels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq> Levels<K> {
    /// Removes full buckets, which are the same as none; rarely enough that no call pays for many.
    fn clear(&mut self, now: Instant) {
        if self.full_at.len() >= self.many {
            self.full_at.retain(|_, full_at| *full_at > now);
            self.many = MANY.max(self.full_at.len() * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    fn taken(buckets: &Buckets<u32>, key: u32, now: Instant) -> u32 {
        (0..100_000).find(|_| !buckets.take(key, now).is_zero()).expect("an end")
    }

    #[test]
    fn a_bucket_refills_at_its_rate_up_to_its_burst() {
        let (buckets, now) = (Buckets::new(200, 12_000).expect("a limit"), Instant::now());
        assert_eq!(taken(&buckets, 1, now), 12_000);
        assert_eq!(buckets.take(1, now), 5 * MILLISECOND);
        assert_eq!(buckets.take(1, now + 4 * MILLISECOND), MILLISECOND);
        assert_eq!(taken(&buckets, 1, now + 5 * MILLISECOND), 1);
        assert_eq!(taken(&buckets, 1, now + 1_005 * MILLISECOND), 200);
        assert_eq!(taken(&buckets, 1, now + Duration::from_hours(1)), 12_000);
        assert_eq!(taken(&buckets, 2, now), 12_000, "another's is not touched");
    }

    #[test]
    fn checks_and_refusals_take_nothing_from_a_bucket() {
        let (buckets, now) = (Buckets::new(10, 2).expect("a limit"), Instant::now());
        for _ in 0..10 {
            assert_eq!(buckets.wait(&1, now), Duration::ZERO);
        }
        assert_eq!(taken(&buckets, 1, now), 2);
        for _ in 0..10 {
            assert_eq!(buckets.wait(&1, now), 100 * MILLISECOND);
            assert_eq!(buckets.take(1, now), 100 * MILLISECOND);
        }
        assert_eq!(buckets.wait(&1, now + 100 * MILLISECOND), Duration::ZERO);
    }

    #[test]
    fn charges_are_refilled_at_the_same_rate() {
        let (buckets, now) = (Buckets::new(10, 2).expect("a limit"), Instant::now());
        buckets.charge(1, 50, now);
        assert_eq!(buckets.wait(&1, now), 4_900 * MILLISECOND);
        assert_eq!(buckets.wait(&1, now + 4_900 * MILLISECOND), Duration::ZERO);
        assert_eq!(buckets.wait(&2, now), Duration::ZERO);
        // A bucket that has long been full holds no more than its burst.
        let later = now + Duration::from_hours(1);
        buckets.charge(1, 50, later);
        assert_eq!(buckets.wait(&1, later), 4_900 * MILLISECOND);
    }

    #[test]
    fn full_buckets_are_discarded_and_others_kept() {
        let (buckets, now) = (Buckets::new(1, 60).expect("a limit"), Instant::now());
        assert_eq!(taken(&buckets, 0, now), 60);
        for key in 1..u32::try_from(MANY).expect("a number") {
            assert_eq!(buckets.take(key, now), Duration::ZERO);
        }
        assert_eq!(buckets.take(99_999, now + Duration::from_secs(1)), Duration::ZERO);
        assert_eq!(buckets.lock().full_at.len(), 2, "the empty one, and the one that was asked for");
        assert_eq!(taken(&buckets, 0, now + Duration::from_secs(1)), 1);
    }

    #[test]
    fn strangers_without_end_do_not_fill_the_memory() {
        let (buckets, begin) = (Buckets::new(20, 100).expect("a limit"), Instant::now());
        // A thousand new networks a second, each refused once: at any time the buckets of 50 are not full.
        for key in 0..100_000 {
            assert_eq!(buckets.take(key, begin + MILLISECOND * key), Duration::ZERO);
            assert!(buckets.lock().full_at.len() <= MANY, "after {key}");
        }
    }

    #[test]
    fn rate_0_means_no_limit_and_the_maximum_rate_works() {
        assert!(Buckets::<u32>::new(0, 5).is_none());
        let buckets = Buckets::new(u32::MAX, u32::MAX).expect("a limit");
        assert_eq!(buckets.take(1, Instant::now()), Duration::ZERO);
    }
}
