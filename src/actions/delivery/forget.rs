//! Cleans up deliveries in the background: removes those that ended long ago and those of deleted webhooks, and fails
//! those that were pending for a webhook that the server disabled.

use crate::domain::delivery::{KEPT, MOST_DELIVERED, MOST_FAILED, State};
use crate::engine::error::Error;
use crate::engine::system::System;
use crate::store;
use crate::store::delivery::forget;

/// The maximum number of deliveries in one transaction, so that other writes do not wait long.
pub const DELIVERIES_PER_CHANGE: u32 = 500;

/// The maximum number of transactions in one run, so that a stop does not wait long. More than the courier needs in the
/// minute between two runs.
pub const STEPS: u32 = 200;

/// The number of ended deliveries that are stored, by state.
const MOST: [(State, u32); 2] = [(State::Delivered, MOST_DELIVERED), (State::Failed, MOST_FAILED)];

/// Runs the cleanup, up to [`STEPS`] transactions; the next run continues.
pub fn remove_ended(system: &System) -> Result<(), Error> {
    give_up(system)?;
    let before = system.app().env.safe_now().minus(KEPT);
    let mut steps = 0;
    for webhook in system.read(|tx| Ok(forget::webhooks(tx)?))? {
        // The deliveries to remove are found in a snapshot, because skipping the ones that stay takes longer than
        // removing a few.
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

/// Fails the pending deliveries of webhooks that the server disabled, in steps, because there may be many. The event
/// that disabled the webhook has already reported them.
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
