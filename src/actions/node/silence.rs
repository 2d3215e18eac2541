//! Announces in the organization's audit log that a node has fallen silent, once per silence. Silence is measured by
//! the safe time, so that a clock that leaps ahead does not announce every node.

use crate::domain::event::Event;
use crate::domain::id::OrgId;
use crate::domain::time::Time;
use crate::engine::error::Error;
use crate::engine::system::System;
use crate::store::{self, WriteTx};

/// The maximum number of announcements in one transaction, so that it stays within the space that a transaction may
/// need.
const ANNOUNCEMENTS_PER_CHANGE: u32 = 128;

/// The maximum number of transactions in one run, so that other writes do not wait long; the rest follows in the next
/// run.
const CHANGES: usize = 8;

/// Announces nodes that have fallen silent.
pub fn announce(system: &System) -> Result<(), Error> {
    for _ in 0..CHANGES {
        // Nearly always there is nothing to announce, and then nothing is written.
        let since = system.app().env.safe_now().minus(system.app().limits.node_silent);
        if system.read(|tx| Ok(store::node::silent(tx, since, 1)?))?.is_empty() {
            break;
        }
        system.write_for_orgs(move |tx, _, now| Ok(((), say(tx, since, now)?)))?;
    }
    Ok(())
}

/// Returns the time at or before which the last contact of a silent node lies, by the current time rather than the safe
/// time: a count may be wrong for a while.
#[must_use]
pub fn since(system: &System) -> Time {
    system.app().now().minus(system.app().limits.node_silent)
}

fn say(tx: &WriteTx<'_>, since: Time, now: Time) -> Result<Vec<(OrgId, Event)>, Error> {
    let mut events = Vec::new();
    for node in store::node::silent(tx, since, ANNOUNCEMENTS_PER_CHANGE)? {
        store::node::announced(tx, node.id, now)?;
        events.push((node.org, Event::NodeSilent { node: node.id, ip: node.profile.ip, last: node.last_contact }));
    }
    Ok(events)
}
