//! Announces in the audit logs of organizations that keys are about to end, each once per lead time, and that they ended.

use std::time::Duration;

use super::give_way;
use crate::domain::event::Event;
use crate::domain::expiry::{Span, days};
use crate::domain::id::OrgId;
use crate::domain::org_key::{ANNOUNCED, Retirement};
use crate::domain::time::Time;
use crate::engine::error::Error;
use crate::engine::limits::Limits;
use crate::engine::system::System;
use crate::store::org_key::ending::{Ending, announced, unannounced};
use crate::store::{self, ReadTx, WriteTx};

/// The maximum number of announcements in one transaction, so that it stays within the space that a transaction may
/// need.
const ANNOUNCEMENTS_PER_CHANGE: u32 = 128;

/// The maximum number of transactions in one run, so that other writes do not wait long; the rest follows in the next
/// run.
const CHANGES: usize = 8;

/// A key that ends within a day while nodes still use it needs attention.
pub const SOON: Duration = Duration::from_hours(24);

/// Announces keys that end soon or have ended. A state follows from the time alone; only the announcement can be late.
pub fn announce(system: &System) -> Result<(), Error> {
    for _ in 0..CHANGES {
        // Nearly always there is nothing to announce, and then nothing is written.
        if system.read(|tx| due(tx, system.app().now(), 1))?.is_empty() {
            break;
        }
        let limits = system.app().limits.clone();
        system.write_for_orgs(move |tx, _, now| Ok(((), say(tx, &limits, now)?)))?;
    }
    Ok(())
}

/// The spans of ends that are announced, each with its number of days; 0 for ends that have come.
fn spans(now: Time) -> [(u32, Span); 3] {
    let [day, week] = ANNOUNCED;
    let (tomorrow, later) = (now.plus(days(day)), now.plus(days(week)));
    [(0, (Time::from_millis(i64::MIN), now)), (day, (now, tomorrow)), (week, (tomorrow, later))]
}

fn due(tx: &ReadTx<'_>, now: Time, most: u32) -> Result<Vec<(u32, Ending)>, Error> {
    let mut due = Vec::new();
    for (days, span) in spans(now) {
        due.extend(unannounced(tx, span, days, most)?.into_iter().map(|ending| (days, ending)));
    }
    due.truncate(most as usize);
    Ok(due)
}

fn say(tx: &WriteTx<'_>, limits: &Limits, now: Time) -> Result<Vec<(OrgId, Event)>, Error> {
    let mut events = Vec::new();
    for (days, Ending { key, org, end }) in due(tx, now, ANNOUNCEMENTS_PER_CHANGE)? {
        announced(tx, key, days)?;
        let nodes = store::org_key::count_nodes(tx, key)?;
        if days == 0 {
            events.push((org, Event::OrgKeyRetired { key, why: Retirement::Time, nodes }));
            give_way(tx, org, limits, now)?;
        } else {
            events.push((org, Event::OrgKeyRetiring { key, days, nodes, ends: end }));
        }
    }
    Ok(events)
}
