//! How far has time come for sure? Nothing is judged by an earlier moment, however the clock is set.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::time::{Clock, Time};
use crate::store::clock::ClockState;
use crate::store::replay::KEPT;

/// A clock that is further ahead than this is believed only once it has run on for as long.
pub(crate) const LEAP: Duration = Duration::from_hours(24);

/// Time servers pull the clock back by less than this all the time, which is no event.
pub(crate) const STEP: i64 = 1_000;

/// Steps that wait to be recorded; a clock that jumps to and fro must not fill the memory.
const MOST_STEPS: usize = 64;

/// The latest moment that has surely come, the latest that a clock showed which ran ahead of it, and what the clock showed
/// when it was last looked at.
#[derive(Debug, Default)]
pub struct HighWater {
    pub(crate) mark: AtomicI64,
    /// How far the clock came while it was not believed: after a leap, or an outage, of more than a day. 0: it did not.
    pub(crate) ahead: AtomicI64,
    shown: AtomicI64,
    /// The latest moment that a forgotten signature states: up to it a used one cannot be told from a fresh one.
    pub(crate) forgotten: AtomicI64,
    /// Steps back that are not recorded yet.
    steps: Mutex<Vec<(Time, Time)>>,
    pub(crate) stored: Mutex<ClockState>,
}

impl HighWater {
    /// As the last process left it: what it kept, and the last entry of the audit log, which may be younger.
    #[must_use]
    pub fn recovered(stored: ClockState, last_entry: Option<Time>, now: Time) -> Self {
        let last = last_entry.unwrap_or(Time::from_millis(0));
        let never = stored.high_water.millis() == 0;
        let mark = match last {
            // The first start, or one on a database that never knew of this.
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
            // What the last process forgot is not known: all that it may have.
            forgotten: AtomicI64::new(mark.minus(KEPT).millis()),
            stored: Mutex::new(ClockState { shown, ..stored }),
            ..Self::default()
        }
    }

    /// The moment to judge by: what the clock shows, but never before the mark, which follows it unless it leaps. And as long
    /// as the clock runs ahead of the mark, its steps back of up to a day bring nothing back to life either.
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

    /// How far the clock came ahead of the mark. A step back of more than a day is the end of a leap, and lets go of it: a
    /// clock that was ten years ahead for a moment locks nobody out.
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

    /// The latest moment that has surely come.
    pub(crate) fn mark(&self) -> Time {
        Time::from_millis(self.mark.load(Ordering::Relaxed))
    }

    /// Remembers that a used signature which states this moment was forgotten.
    pub(crate) fn forget_used(&self, signed_at: Time) {
        self.forgotten.fetch_max(signed_at.millis(), Ordering::Relaxed);
    }

    /// Used signatures that state this moment or an earlier one may be forgotten.
    pub(crate) fn used_forgotten(&self) -> Time {
        Time::from_millis(self.forgotten.load(Ordering::Relaxed))
    }

    fn see(&self, now: i64, clock: &dyn Clock) {
        let before = self.shown.swap(now, Ordering::Relaxed);
        if before - now <= STEP {
            return;
        }
        // This thread may have been held up since it looked: only a second look shows a step.
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

/// The last moment that follows `millis` without a leap.
fn reach(millis: i64) -> i64 {
    Time::from_millis(millis).plus(LEAP).millis()
}
