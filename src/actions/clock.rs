//! Guards against a wrong system clock: time never goes back behind the high-water mark, and what was created while the
//! clock ran ahead does not live longer because of it.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::domain::event::Event;
use crate::domain::node::WIDEST_WINDOW;
use crate::domain::session::{ACCESS_TTL, INVITATION_TTL, REFRESH_TTL};
use crate::domain::time::Time;
use crate::domain::webhook;
use crate::engine::error::Error;
use crate::engine::high_water::LEAP;
use crate::engine::system::System;
use crate::store;
use crate::store::clock::{ClockState, Lives};

/// Checks the clock, records steps back and leaps in the server's own chain, and stores the high-water mark. After a
/// step back, what was created while the clock ran ahead gets at most the lifetime that it had when it was created.
pub fn keep(system: &System) -> Result<(), Error> {
    look(system, false)
}

/// As [`keep`], at the start of the server: if the clock is more than a day ahead, the server may simply have been down
/// that long.
pub(super) fn start(system: &System) -> Result<(), Error> {
    look(system, true)
}

fn look(system: &System, at_start: bool) -> Result<(), Error> {
    let app = system.app();
    let water = &app.env.high_water;
    // Before the clock is read: of two checks at once, the later one must not store an earlier time.
    let mut stored = water.stored.lock().unwrap_or_else(PoisonError::into_inner);
    let judged = app.env.now();
    let (shown, mark) = (app.env.wall_clock(), water.mark());
    let steps = water.take_steps();
    let mut events: Vec<Event> = steps.iter().map(|(from, to)| Event::ClockWentBack { from: *from, to: *to }).collect();
    let ahead = Time::from_millis(water.ahead.load(Ordering::Relaxed));
    let mut next = ClockState { high_water: mark, ahead, shown, leapt_at: None };
    if shown > mark.plus(LEAP) {
        match stored.leapt_at.filter(|_| shown <= stored.shown.plus(LEAP)) {
            None => {
                next.leapt_at = Some(shown);
                events.push(Event::ClockLeapt { from: stored.shown, to: shown, at_start });
            }
            Some(since) if shown >= since.plus(LEAP) => next.high_water = shown,
            Some(since) => next.leapt_at = Some(since.min(shown)),
        }
    }
    if next == *stored && events.is_empty() {
        return Ok(());
    }
    for event in &events {
        warn(event);
    }
    let stepped = !steps.is_empty();
    let back = steps.iter().map(|(from, to)| Duration::from_millis(from.millis().abs_diff(to.millis()))).sum();
    let written = system.write_reserved(move |tx| {
        store::clock::keep(tx, next)?;
        if stepped {
            store::clock::pull_back(tx, judged, back, LIVES)?;
        }
        Ok(events)
    });
    match written {
        Ok(()) => {
            water.mark.fetch_max(next.high_water.millis(), Ordering::Relaxed);
            *stored = next;
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
        tracing::info!(%from, %to, "the server was down for more than a day, or the system clock was changed: check that the clock is correct");
    } else {
        tracing::warn!(?event, "the system clock was changed or is wrong: check that the clock is correct");
    }
}

/// The lifetimes of what is created now.
const LIVES: Lives =
    Lives { access: ACCESS_TTL, refresh: REFRESH_TTL, invitation: INVITATION_TTL, overlap: webhook::LONGEST_OVERLAP };

/// Trusts the current clock, even if the database has recorded a later time or the clock leapt ahead: the recovery
/// after it was wrong by more than a day. If time goes back, signatures used around now may be forgotten, so signed
/// calls are refused for 15 minutes. Returns the previous high-water mark.
pub fn accept(system: &System) -> Result<Time, Error> {
    keep(system)?;
    let app = system.app();
    let water = &app.env.high_water;
    let (judged, shown, high_water) = (app.env.now(), app.env.wall_clock(), water.mark());
    let next = ClockState { high_water: shown, shown, ..ClockState::default() };
    let goes_back = shown < high_water;
    // Before the event is recorded: an entry with the later time would restore it at the next start.
    let ahead = water.ahead.swap(0, Ordering::Relaxed);
    water.mark.store(shown.millis(), Ordering::Relaxed);
    let written = system.write_reserved(move |tx| {
        store::clock::keep(tx, next)?;
        if shown < judged {
            // The due times of deliveries were moved when the clock stepped back.
            store::clock::pull_back(tx, shown, Duration::ZERO, LIVES)?;
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
        // Until the next start, which refuses signatures around now by the stored time.
        water.forgotten.store(shown.plus(WIDEST_WINDOW).millis(), Ordering::Relaxed);
    }
    *water.stored.lock().unwrap_or_else(PoisonError::into_inner) = next;
    Ok(high_water)
}
