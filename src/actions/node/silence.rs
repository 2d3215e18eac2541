//! Who hears that nothing is heard of a node? The organization's log says it, once for each silence, by a moment that has
//! surely come: a clock that leaps ahead must not announce every node.

use crate::domain::event::Event;
use crate::domain::id::OrgId;
use crate::domain::time::Time;
use crate::engine::error::Error;
use crate::engine::system::System;
use crate::store::{self, WriteTx};

/// Announcements of one change, so that it stays within the room that a change may need.
const ANNOUNCEMENTS_PER_CHANGE: u32 = 128;

/// Changes of one run, so that nobody waits long behind it; what is left comes with the next.
const CHANGES: usize = 8;

/// Announces nodes that have fallen silent.
pub fn announce(system: &System) -> Result<(), Error> {
    for _ in 0..CHANGES {
        // Nearly always there is nothing to say, and then nothing is written.
        let since = system.app().env.safe_now().minus(system.app().limits.node_silent);
        if system.read(|tx| Ok(store::node::silent(tx, since, 1)?))?.is_empty() {
            break;
        }
        system.write_for_orgs(move |tx, _, now| Ok(((), say(tx, since, now)?)))?;
    }
    Ok(())
}

/// A node that was last heard of at this moment, or before, is silent as far as the clock is to be believed: what is only
/// counted may be wrong for a while.
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
