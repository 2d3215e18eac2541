//! Is the clock to be believed? Nothing is judged by an earlier moment than one that has surely come, and what was made while the clock ran ahead does not outlive it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::app::App;
use super::error::Error;
use super::invitation;
use crate::domain::event::Event;
use crate::domain::node::WIDEST_WINDOW;
use crate::domain::session::{ACCESS_TTL, REFRESH_TTL};
use crate::domain::time::{Clock, Time};
use crate::domain::webhook;
use crate::store;
use crate::store::clock::{self as kept, Kept, Lives};
use crate::store::replay::KEPT;

/// A clock that is further ahead than this is believed only once it has run on for as long.
const LEAP: Duration = Duration::from_hours(24);

/// Time servers pull the clock back by less than this all the time, which is no event.
const STEP: i64 = 1_000;

/// Steps that wait to be recorded; a clock that jumps to and fro must not fill the memory.
const MOST_STEPS: usize = 64;

/// The latest moment that has surely come, and what the clock showed when it was last looked at.
#[derive(Debug, Default)]
pub struct HighWater {
    mark: AtomicI64,
    seen: AtomicI64,
    /// The latest moment that a forgotten signature states: up to it a used one cannot be told from a fresh one.
    forgotten: AtomicI64,
    /// Steps back that are not recorded yet.
    steps: Mutex<Vec<(Time, Time)>>,
    kept: Mutex<Kept>,
}

impl HighWater {
    /// As the last process left it: what it kept, and the last entry of the audit log, which may be younger.
    #[must_use]
    pub fn recovered(kept: Kept, last_entry: Option<Time>, now: Time) -> Self {
        let last = last_entry.unwrap_or(Time::from_millis(0));
        let never = kept.high_water.millis() == 0;
        let mark = match last {
            // The first start, or one on a database that never knew of this.
            _ if never => {
                if last.millis() == 0 {
                    now
                } else {
                    last
                }
            }
            last if last > kept.high_water && last <= kept.high_water.plus(LEAP) => last,
            _ => kept.high_water,
        };
        let unkept = last > kept.high_water && last > kept.seen;
        let seen = if unkept {
            last
        } else if never {
            now
        } else {
            kept.seen
        };
        Self {
            mark: AtomicI64::new(mark.millis()),
            seen: AtomicI64::new(seen.millis()),
            // What the last process forgot is not known: all that it may have.
            forgotten: AtomicI64::new(mark.minus(KEPT).millis()),
            kept: Mutex::new(Kept { seen, ..kept }),
            ..Self::default()
        }
    }

    /// The moment to judge by: what the clock shows, but never before the mark, which follows it unless it leaps.
    pub(super) fn judge(&self, clock: &dyn Clock) -> Time {
        let now = clock.now().millis();
        if self.seen.load(Ordering::Relaxed) != now {
            self.see(now, clock);
        }
        let mark = self.mark.load(Ordering::Relaxed);
        if now > mark && Time::from_millis(now) <= Time::from_millis(mark).plus(LEAP) {
            self.mark.fetch_max(now, Ordering::Relaxed);
        }
        Time::from_millis(now.max(mark))
    }

    /// The latest moment that has surely come.
    pub(super) fn mark(&self) -> Time {
        Time::from_millis(self.mark.load(Ordering::Relaxed))
    }

    /// Remembers that a used signature which states this moment was forgotten.
    pub(super) fn forget_used(&self, signed_at: Time) {
        self.forgotten.fetch_max(signed_at.millis(), Ordering::Relaxed);
    }

    /// Used signatures that state this moment or an earlier one may be forgotten.
    pub(super) fn used_forgotten(&self) -> Time {
        Time::from_millis(self.forgotten.load(Ordering::Relaxed))
    }

    fn see(&self, now: i64, clock: &dyn Clock) {
        let before = self.seen.swap(now, Ordering::Relaxed);
        if before - now <= STEP {
            return;
        }
        // This thread may have been held up since it looked: only a second look shows a step.
        let again = clock.now().millis();
        self.seen.fetch_max(again, Ordering::Relaxed);
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        if before - again > STEP && steps.len() < MOST_STEPS {
            steps.push((Time::from_millis(before), Time::from_millis(again)));
        }
    }

    fn take_steps(&self) -> Vec<(Time, Time)> {
        std::mem::take(&mut *self.steps.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put_back(&self, steps: &[(Time, Time)]) {
        let mut waiting = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.splice(0..0, steps.iter().copied());
    }
}

/// Looks at the clock, records its steps and leaps in the server's own chain, and keeps on disk how far it has come. What
/// was made while it ran ahead ends as long after the step back as it would have ended after it was made.
pub fn keep(app: &App) -> Result<(), Error> {
    let water = &app.outside.high_water;
    let judged = app.outside.now();
    let (shown, mark) = (app.outside.shown(), water.mark());
    let steps = water.take_steps();
    let mut kept = water.kept.lock().unwrap_or_else(PoisonError::into_inner);
    let mut events: Vec<Event> = steps.iter().map(|(from, to)| Event::ClockWentBack { from: *from, to: *to }).collect();
    let mut next = Kept { high_water: mark, seen: shown, leapt_at: kept.leapt_at };
    if shown <= mark.plus(LEAP) {
        next.leapt_at = None;
    } else if kept.leapt_at.is_none_or(|since| shown < since) || shown > kept.seen.plus(LEAP) {
        next.leapt_at = Some(shown);
        events.push(Event::ClockLeapt { from: kept.seen, to: shown });
    } else if kept.leapt_at.is_some_and(|since| shown >= since.plus(LEAP)) {
        (next.high_water, next.leapt_at) = (shown, None);
    }
    if next == *kept && events.is_empty() {
        return Ok(());
    }
    for event in &events {
        tracing::warn!(?event, "the clock was set, or is wrong: see that it shows the right time");
    }
    let stepped = !steps.is_empty();
    let back = steps.iter().map(|(from, to)| Duration::from_millis(from.millis().abs_diff(to.millis()))).sum();
    let written = app.note(move |tx| {
        kept::keep(tx, next)?;
        if stepped {
            kept::pull_back(tx, judged, back, LIVES)?;
        }
        Ok(events)
    });
    match written {
        Ok(()) => {
            water.mark.fetch_max(next.high_water.millis(), Ordering::Relaxed);
            *kept = next;
            Ok(())
        }
        Err(error) => {
            water.put_back(&steps);
            Err(error)
        }
    }
}

/// How long what begins now lives.
const LIVES: Lives =
    Lives { access: ACCESS_TTL, refresh: REFRESH_TTL, invitation: invitation::LIFE, overlap: webhook::LONGEST_OVERLAP };

/// Believes the clock, although the database has seen a later moment or the clock leapt ahead: the way out after it was
/// wrong for longer than a day. Where it goes back, signatures that were used around now may be forgotten, so none is
/// taken for some minutes. Gives the mark before.
pub fn accept(app: &App) -> Result<Time, Error> {
    keep(app)?;
    let water = &app.outside.high_water;
    let (shown, high_water) = (app.outside.shown(), water.mark());
    let next = Kept { high_water: shown, seen: shown, leapt_at: None };
    let goes_back = shown < high_water;
    app.note(move |tx| {
        kept::keep(tx, next)?;
        if goes_back {
            // Deliveries went back with the clock when it did.
            kept::pull_back(tx, shown, Duration::ZERO, LIVES)?;
            store::server::set_signed_after(tx, shown.plus(WIDEST_WINDOW))?;
        }
        Ok(vec![Event::ClockAccepted { high_water }])
    })?;
    water.mark.store(shown.millis(), Ordering::Relaxed);
    if goes_back {
        // Until the next start, which refuses the signatures around now.
        water.forgotten.store(shown.plus(WIDEST_WINDOW).millis(), Ordering::Relaxed);
    }
    *water.kept.lock().unwrap_or_else(PoisonError::into_inner) = next;
    Ok(high_water)
}
