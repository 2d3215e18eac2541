//! What goes by and by, without anybody asking? What ended long ago, what a deleted webhook left behind, and what was on its way to a webhook that the server switched off.

use crate::domain::delivery::{KEPT, MOST_DELIVERED, MOST_FAILED, State};
use crate::engine::error::Error;
use crate::engine::system::System;
use crate::store;
use crate::store::delivery::forget;

/// Deliveries of one transaction: what else is written waits no longer than these take.
pub const DELIVERIES_PER_CHANGE: u32 = 500;

/// Transactions of one run, so that a stop need not wait long. More than the courier can end in the minute between two.
pub const STEPS: u32 = 200;

/// How much of what ended in which way is kept.
const MOST: [(State, u32); 2] = [(State::Delivered, MOST_DELIVERED), (State::Failed, MOST_FAILED)];

/// Does some of all that. What one run leaves the next one does.
pub fn keep(system: &System) -> Result<(), Error> {
    give_up(system)?;
    let before = system.app().env.safe_now().minus(KEPT);
    let mut steps = 0;
    for webhook in system.read(|tx| Ok(forget::webhooks(tx)?))? {
        // What goes is sought in a snapshot: going past what is kept takes longer than removing a few.
        for share in system.read(|tx| Ok(forget::shares(tx, webhook, before, &MOST)?))? {
            loop {
                if steps == STEPS {
                    return Ok(());
                }
                steps += 1;
                let some = system.write_for_orgs(move |tx, _, _| {
                    Ok((forget::forget(tx, webhook, share, DELIVERIES_PER_CHANGE)?, Vec::new()))
                })?;
                if some < DELIVERIES_PER_CHANGE as usize {
                    break;
                }
            }
        }
    }
    Ok(())
}

/// Gives up what is on its way to webhooks that the server switched off, in steps: it may be much, and was told when they
/// were switched off.
pub fn give_up(system: &System) -> Result<(), Error> {
    for (webhook, off) in system.read(|tx| Ok(store::webhook::off_with_pending(tx)?))? {
        let some = move || {
            system.write_for_orgs(move |tx, _, now| {
                Ok((store::delivery::give_up(tx, webhook, off, now, DELIVERIES_PER_CHANGE)?, Vec::new()))
            })
        };
        while some()? == DELIVERIES_PER_CHANGE as usize {}
    }
    Ok(())
}
