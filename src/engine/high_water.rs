//! The high-water mark: the latest time that has certainly passed. Nothing is decided by an earlier time, however the
//! clock is set.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::time::{Clock, Time};
use crate::store::clock::ClockState;
use crate::store::used_signature::KEPT;

/// A clock that leaps ahead by more than this is trusted only after it has run on for this long.
pub(crate) const LEAP: Duration = Duration::from_hours(24);

/// A step back of more than this many milliseconds is recorded. Time synchronization often sets the clock back by less.
pub(crate) const STEP: i64 = 1_000;

/// The maximum number of steps that wait to be recorded, so that a clock that jumps back and forth does not fill the
/// memory.
const MOST_STEPS: usize = 64;

/// The latest time that has certainly passed (the mark), the latest time shown by a clock that ran ahead of it, and the
/// last time that was read from the clock.
#[derive(Debug, Default)]
pub struct HighWater {
    pub(crate) mark: AtomicI64,
    /// The latest time that the clock showed while it was not trusted, after a leap or an outage of more than a day. 0
    /// if there was none.
    pub(crate) ahead: AtomicI64,
    shown: AtomicI64,
    /// The latest timestamp of a used signature that was forgotten. Up to it, a used signature cannot be told from an
    /// unused one.
    pub(crate) forgotten: AtomicI64,
    /// Steps back that are not recorded yet.
    steps: Mutex<Vec<(Time, Time)>>,
    pub(crate) stored: Mutex<ClockState>,
}

impl HighWater {
    /// Restores the state of the last process from what it stored and from the last audit entry, which may be later.
    #[must_use]
    pub fn recovered(stored: ClockState, last_entry: Option<Time>, now: Time) -> Self {
        let last = last_entry.unwrap_or(Time::from_millis(0));
        let never = stored.high_water.millis() == 0;
        let mark = match last {
            // The first start, or the first one on a database from before the mark existed.
            _ if never => {
                if last.millis() == 0 {
                    now
                } else {
                    last
                }
            }
            last if last > stored.high_water && last <= stored.high_water.plus(LEAP) => last,
            _ => stored.high_water,
        };
        let ahead = if last > mark.plus(LEAP) { stored.ahead.max(last) } else { stored.ahead };
        let is_latest = last > stored.high_water && last > stored.shown && last > stored.ahead;
        let shown = if is_latest {
            last
        } else if never {
            now
        } else {
            stored.shown
        };
        Self {
            mark: AtomicI64::new(mark.millis()),
            ahead: AtomicI64::new(ahead.millis()),
            shown: AtomicI64::new(shown.millis()),
            // Which signatures the last process forgot is unknown, so assume all that it may have forgotten.
            forgotten: AtomicI64::new(mark.minus(KEPT).millis()),
            stored: Mutex::new(ClockState { shown, ..stored }),
            ..Self::default()
        }
    }

    /// Returns the time to decide by: the clock's, but never before the mark, which follows the clock unless it leaps.
    /// While the clock runs ahead of the mark, steps back of up to a day are ignored too, so that nothing expired
    /// becomes valid again.
    pub(crate) fn judge(&self, clock: &dyn Clock) -> Time {
        let now = clock.now().millis();
        if self.shown.load(Ordering::Relaxed) != now {
            self.see(now, clock);
        }
        let mark = self.mark.load(Ordering::Relaxed);
        let believed = now <= reach(mark);
        if now > mark && believed {
            self.mark.fetch_max(now, Ordering::Relaxed);
        }
        let ahead = self.hold(now, if believed { 0 } else { now });
        Time::from_millis(now.max(mark).max(ahead))
    }

    /// Returns how far the clock has run ahead of the mark. A step back of more than a day ends a leap and resets this,
    /// so that a clock that was ten years ahead for a moment locks nobody out.
    fn hold(&self, now: i64, unbelieved: i64) -> i64 {
        let ahead = self.ahead.load(Ordering::Relaxed);
        if ahead > reach(now) {
            let _ = self.ahead.compare_exchange(ahead, unbelieved, Ordering::Relaxed, Ordering::Relaxed);
            return unbelieved;
        }
        if unbelieved > ahead {
            self.ahead.fetch_max(unbelieved, Ordering::Relaxed);
        }
        ahead.max(unbelieved)
    }

    /// Returns the latest time that has certainly passed.
    pub(crate) fn mark(&self) -> Time {
        Time::from_millis(self.mark.load(Ordering::Relaxed))
    }

    /// Stores that a used signature with this timestamp was forgotten.
    pub(crate) fn forget_used(&self, signed_at: Time) {
        self.forgotten.fetch_max(signed_at.millis(), Ordering::Relaxed);
    }

    /// Returns the time up to which used signatures may have been forgotten.
    pub(crate) fn used_forgotten(&self) -> Time {
        Time::from_millis(self.forgotten.load(Ordering::Relaxed))
    }

    fn see(&self, now: i64, clock: &dyn Clock) {
        let before = self.shown.swap(now, Ordering::Relaxed);
        if before - now <= STEP {
            return;
        }
        // This thread may have been delayed since it read the clock, so only a second reading proves a step.
        let again = clock.now().millis();
        self.shown.fetch_max(again, Ordering::Relaxed);
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        if before - again > STEP && steps.len() < MOST_STEPS {
            steps.push((Time::from_millis(before), Time::from_millis(again)));
        }
    }

    pub(crate) fn take_steps(&self) -> Vec<(Time, Time)> {
        std::mem::take(&mut *self.steps.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn put_back(&self, steps: &[(Time, Time)]) {
        let mut waiting = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.splice(0..0, steps.iter().copied());
    }
}

/// Returns the latest time after `millis` that is not a leap.
fn reach(millis: i64) -> i64 {
    Time::from_millis(millis).plus(LEAP).millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Set(AtomicI64);

    impl Clock for Set {
        fn now(&self) -> Time {
            Time::from_millis(self.0.load(Ordering::Relaxed))
        }
    }

    #[test]
    fn a_step_back_from_the_last_entry_of_a_killed_server_is_seen() {
        let time = |seconds: i64| Time::from_millis(1_705_314_600_000 + seconds * 1_000);
        let stored = ClockState { high_water: time(0), shown: time(0), ..ClockState::default() };
        let water = HighWater::recovered(stored, Some(time(20)), time(15));
        assert_eq!(water.judge(&Set(AtomicI64::new(time(15).millis()))), time(20));
        assert_eq!(water.take_steps(), [(time(20), time(15))]);
    }

    #[test]
    fn steps_back_that_are_not_recorded_yet_are_bounded_and_stay_in_order() {
        let (clock, water, begin) = (Set(AtomicI64::new(0)), HighWater::default(), 1_705_314_600_000);
        // The clock goes ahead by so many milliseconds, and back.
        let step_back = |millis: i64| {
            for shown in [begin + millis, begin] {
                clock.0.store(shown, Ordering::Relaxed);
                water.judge(&clock);
            }
            (Time::from_millis(begin + millis), Time::from_millis(begin))
        };
        let first = [step_back(2_000), step_back(3_000)];
        let taken = water.take_steps();
        assert_eq!((&taken[..], water.take_steps().len()), (&first[..], 0));
        // They could not be written, and meanwhile there is another one.
        let next = step_back(4_000);
        water.put_back(&taken);
        assert_eq!(water.take_steps(), [&first[..], &[next]].concat());
        for millis in 0..2 * i64::try_from(MOST_STEPS).expect("a number") {
            step_back(5_000 + millis);
        }
        assert_eq!(water.take_steps().len(), MOST_STEPS);
    }
}
