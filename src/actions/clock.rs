//! Is the clock to be believed? Nothing is judged by an earlier moment than one that has surely come, and what was made while the clock ran ahead does not outlive it.

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

/// Looks at the clock, records its steps and leaps in the server's own chain, and keeps on disk how far it has come. What
/// was made while it ran ahead ends as long after the step back as it would have ended after it was made.
pub fn keep(system: &System) -> Result<(), Error> {
    look(system, false)
}

/// The same when the server starts: where the clock is more than a day on, the server may as well have been down so long.
pub(super) fn start(system: &System) -> Result<(), Error> {
    look(system, true)
}

fn look(system: &System, at_start: bool) -> Result<(), Error> {
    let app = system.app();
    let water = &app.env.high_water;
    let judged = app.env.now();
    let (shown, mark) = (app.env.wall_clock(), water.mark());
    let steps = water.take_steps();
    let mut stored = water.stored.lock().unwrap_or_else(PoisonError::into_inner);
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
        tracing::info!(%from, %to, "the server was down for longer than a day, or the clock was set: see that it shows the right time");
    } else {
        tracing::warn!(?event, "the clock was set, or is wrong: see that it shows the right time");
    }
}

/// How long what begins now lives.
const LIVES: Lives =
    Lives { access: ACCESS_TTL, refresh: REFRESH_TTL, invitation: INVITATION_TTL, overlap: webhook::LONGEST_OVERLAP };

/// Believes the clock, although the database has seen a later moment or the clock leapt ahead: the way out after it was
/// wrong for longer than a day. Where it goes back, signatures that were used around now may be forgotten, so none is
/// taken for some minutes. Gives the mark before.
pub fn accept(system: &System) -> Result<Time, Error> {
    keep(system)?;
    let app = system.app();
    let water = &app.env.high_water;
    let (judged, shown, high_water) = (app.env.now(), app.env.wall_clock(), water.mark());
    let next = ClockState { high_water: shown, shown, ..ClockState::default() };
    let goes_back = shown < high_water;
    // Before it is recorded: an entry that states the later moment would bring it back at the next start.
    let ahead = water.ahead.swap(0, Ordering::Relaxed);
    water.mark.store(shown.millis(), Ordering::Relaxed);
    let written = system.write_reserved(move |tx| {
        store::clock::keep(tx, next)?;
        if shown < judged {
            // Deliveries went back with the clock when it did.
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
        // Until the next start, which refuses the signatures around now.
        water.forgotten.store(shown.plus(WIDEST_WINDOW).millis(), Ordering::Relaxed);
    }
    *water.stored.lock().unwrap_or_else(PoisonError::into_inner) = next;
    Ok(high_water)
}
