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
pub(super) const LEAP: Duration = Duration::from_hours(24);

/// Time servers pull the clock back by less than this all the time, which is no event.
pub(super) const STEP: i64 = 1_000;

/// Steps that wait to be recorded; a clock that jumps to and fro must not fill the memory.
const MOST_STEPS: usize = 64;

/// The latest moment that has surely come, the latest that a clock showed which ran ahead of it, and what the clock showed
/// when it was last looked at.
#[derive(Debug, Default)]
pub struct HighWater {
    mark: AtomicI64,
    /// How far the clock came while it was not believed: after a leap, or an outage, of more than a day. 0: it did not.
    ahead: AtomicI64,
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
        let ahead = if last > mark.plus(LEAP) { kept.ahead.max(last) } else { kept.ahead };
        let unkept = last > kept.high_water && last > kept.seen && last > kept.ahead;
        let seen = if unkept {
            last
        } else if never {
            now
        } else {
            kept.seen
        };
        Self {
            mark: AtomicI64::new(mark.millis()),
            ahead: AtomicI64::new(ahead.millis()),
            seen: AtomicI64::new(seen.millis()),
            // What the last process forgot is not known: all that it may have.
            forgotten: AtomicI64::new(mark.minus(KEPT).millis()),
            kept: Mutex::new(Kept { seen, ..kept }),
            ..Self::default()
        }
    }

    /// The moment to judge by: what the clock shows, but never before the mark, which follows it unless it leaps. And as long
    /// as the clock runs ahead of the mark, its steps back of up to a day bring nothing back to life either.
    pub(super) fn judge(&self, clock: &dyn Clock) -> Time {
        let now = clock.now().millis();
        if self.seen.load(Ordering::Relaxed) != now {
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

/// The last moment that follows `millis` without a leap.
fn reach(millis: i64) -> i64 {
    Time::from_millis(millis).plus(LEAP).millis()
}

/// Looks at the clock, records its steps and leaps in the server's own chain, and keeps on disk how far it has come. What
/// was made while it ran ahead ends as long after the step back as it would have ended after it was made.
pub fn keep(app: &App) -> Result<(), Error> {
    look(app, false)
}

/// The same when the server starts: where the clock is more than a day on, the server may as well have been down so long.
pub(super) fn start(app: &App) -> Result<(), Error> {
    look(app, true)
}

fn look(app: &App, at_start: bool) -> Result<(), Error> {
    let water = &app.outside.high_water;
    let judged = app.outside.now();
    let (shown, mark) = (app.outside.shown(), water.mark());
    let steps = water.take_steps();
    let mut kept = water.kept.lock().unwrap_or_else(PoisonError::into_inner);
    let mut events: Vec<Event> = steps.iter().map(|(from, to)| Event::ClockWentBack { from: *from, to: *to }).collect();
    let ahead = Time::from_millis(water.ahead.load(Ordering::Relaxed));
    let mut next = Kept { high_water: mark, ahead, seen: shown, leapt_at: None };
    if shown > mark.plus(LEAP) {
        match kept.leapt_at.filter(|_| shown <= kept.seen.plus(LEAP)) {
            None => {
                next.leapt_at = Some(shown);
                events.push(Event::ClockLeapt { from: kept.seen, to: shown, at_start });
            }
            Some(since) if shown >= since.plus(LEAP) => next.high_water = shown,
            Some(since) => next.leapt_at = Some(since.min(shown)),
        }
    }
    if next == *kept && events.is_empty() {
        return Ok(());
    }
    for event in &events {
        warn(event);
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

fn warn(event: &Event) {
    if let Event::ClockLeapt { from, to, at_start: true } = event {
        tracing::info!(%from, %to, "the server was down for longer than a day, or the clock was set: see that it shows the right time");
    } else {
        tracing::warn!(?event, "the clock was set, or is wrong: see that it shows the right time");
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
    let (judged, shown, high_water) = (app.outside.now(), app.outside.shown(), water.mark());
    let next = Kept { high_water: shown, seen: shown, ..Kept::default() };
    let goes_back = shown < high_water;
    // Before it is recorded: an entry that states the later moment would bring it back at the next start.
    let ahead = water.ahead.swap(0, Ordering::Relaxed);
    water.mark.store(shown.millis(), Ordering::Relaxed);
    let written = app.note(move |tx| {
        kept::keep(tx, next)?;
        if shown < judged {
            // Deliveries went back with the clock when it did.
            kept::pull_back(tx, shown, Duration::ZERO, LIVES)?;
        }
        if goes_back {
            store::server::set_signed_after(tx, shown.plus(WIDEST_WINDOW))?;
        }
        Ok(vec![Event::ClockAccepted { high_water }])
    });
    if let Err(error) = written {
        water.mark.store(high_water.millis(), Ordering::Relaxed);
        water.ahead.store(ahead, Ordering::Relaxed);
        return Err(error);
    }
    if goes_back {
        // Until the next start, which refuses the signatures around now.
        water.forgotten.store(shown.plus(WIDEST_WINDOW).millis(), Ordering::Relaxed);
    }
    *water.kept.lock().unwrap_or_else(PoisonError::into_inner) = next;
    Ok(high_water)
}
