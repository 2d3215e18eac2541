//! Who hears that an API key ends? The organization's log says it 30 days before, 7 days before and on the last day, once each.

use std::time::Duration;

use crate::domain::api_key::ANNOUNCED;
use crate::domain::event::Event;
use crate::domain::id::OrgId;
use crate::domain::time::Time;
use crate::engine::error::Error;
use crate::engine::system::System;
use crate::store::{self, ReadTx, WriteTx};

/// Announcements of one change, so that it stays within the room that a change may need.
const ANNOUNCEMENTS_PER_CHANGE: u32 = 128;

/// Changes of one run, so that nobody waits long behind it; what is left comes with the next.
const CHANGES: usize = 8;

/// Announces ends that have come near. A server that was down for long says only how near each is now.
pub fn announce(system: &System) -> Result<(), Error> {
    for _ in 0..CHANGES {
        // Nearly always there is nothing to say, and then nothing is written.
        if system.read(|tx| due(tx, system.app().now(), 1))?.is_empty() {
            break;
        }
        system.write_for_orgs(|tx, _, now| say(tx, now))?;
    }
    Ok(())
}

/// When keys end of which the end is to be announced at `days`: nearer ones are for the next fewer days.
#[must_use]
pub fn spans(now: Time) -> [(u32, (Time, Time)); 3] {
    let mut after = now;
    ANNOUNCED.map(|days| {
        let until = now.plus(Duration::from_hours(24 * u64::from(days)));
        (days, (std::mem::replace(&mut after, until), until))
    })
}

type Due = Vec<(u32, store::api_key::ending::Ending)>;

fn due(tx: &ReadTx<'_>, now: Time, most: u32) -> Result<Due, Error> {
    let mut due = Vec::new();
    for (days, span) in spans(now) {
        let found = store::api_key::ending::unannounced(tx, span, days, most)?;
        due.extend(found.into_iter().map(|ending| (days, ending)));
    }
    due.truncate(most as usize);
    Ok(due)
}

fn say(tx: &WriteTx<'_>, now: Time) -> Result<((), Vec<(OrgId, Event)>), Error> {
    let mut events = Vec::new();
    for (days, ending) in due(tx, now, ANNOUNCEMENTS_PER_CHANGE)? {
        store::api_key::ending::announced(tx, ending.key, days)?;
        let projects = store::api_key::projects(tx, ending.key)?;
        events.push((ending.org, Event::ApiKeyExpiring { key: ending.key, days, ends: ending.end, projects }));
    }
    Ok(((), events))
}
