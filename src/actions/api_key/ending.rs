//! Announces in the organization's audit log that an API key is about to expire: 30 days before, 7 days before and on
//! the last day, once each.

use std::time::Duration;

use crate::domain::api_key::ANNOUNCED;
use crate::domain::event::Event;
use crate::domain::id::OrgId;
use crate::domain::time::Time;
use crate::engine::error::Error;
use crate::engine::system::System;
use crate::store::{self, ReadTx, WriteTx};

/// The maximum number of announcements in one transaction, so that it stays within the space that a transaction may
/// need.
const ANNOUNCEMENTS_PER_CHANGE: u32 = 128;

/// The maximum number of transactions in one run, so that other writes do not wait long; the rest follows in the next
/// run.
const CHANGES: usize = 8;

/// Announces keys that are about to expire. After a long outage, only the nearest interval of each key is announced.
pub fn announce(system: &System) -> Result<(), Error> {
    for _ in 0..CHANGES {
        // Nearly always there is nothing to announce, and then nothing is written.
        if system.read(|tx| due(tx, system.app().now(), 1))?.is_empty() {
            break;
        }
        system.write_for_orgs(|tx, _, now| say(tx, now))?;
    }
    Ok(())
}

/// Returns, for each interval in days, the range of expiry times that belongs to it. Earlier expiries belong to shorter
/// intervals.
#[must_use]
pub fn spans(now: Time) -> [(u32, (Time, Time)); 3] {
    let mut after = now;
    ANNOUNCED.map(|days| {
        let until = now.plus(Duration::from_hours(24 * u64::from(days)));
        (days, (std::mem::replace(&mut after, until), until))
    })
}

type EndingKeys = Vec<(u32, store::api_key::ending::Ending)>;

fn due(tx: &ReadTx<'_>, now: Time, most: u32) -> Result<EndingKeys, Error> {
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
