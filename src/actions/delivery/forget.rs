//! What goes by and by, without anybody asking? What ended long ago, what a deleted webhook left behind, and what was on its way to a webhook that the server switched off.

use super::super::app::App;
use super::super::error::Error;
use crate::domain::delivery::{KEPT, MOST_DELIVERED, MOST_FAILED, State};
use crate::store;
use crate::store::delivery::forget;

/// Deliveries of one transaction: what else is written waits no longer than these take.
pub const AT_ONCE: u32 = 500;

/// Transactions of one run, so that a stop need not wait long. More than the courier can end in the minute between two.
pub const STEPS: u32 = 200;

/// How much of what ended in which way is kept.
const MOST: [(State, u32); 2] = [(State::Delivered, MOST_DELIVERED), (State::Failed, MOST_FAILED)];

/// Does some of all that. What one run leaves the next one does.
pub fn keep(app: &App) -> Result<(), Error> {
    give_up(app)?;
    let before = app.outside.certain().minus(KEPT);
    let mut steps = 0;
    for webhook in app.identify(|tx| Ok(forget::webhooks(tx)?))? {
        // What goes is sought in a snapshot: going past what is kept takes longer than removing a few.
        for share in app.identify(|tx| Ok(forget::shares(tx, webhook, before, &MOST)?))? {
            loop {
                if steps == STEPS {
                    return Ok(());
                }
                steps += 1;
                let some =
                    app.by_itself(move |tx, _, _| Ok((forget::forget(tx, webhook, share, AT_ONCE)?, Vec::new())))?;
                if some < AT_ONCE as usize {
                    break;
                }
            }
        }
    }
    Ok(())
}

/// Gives up what is on its way to webhooks that the server switched off, in steps: it may be much, and was told when they
/// were switched off.
pub(super) fn give_up(app: &App) -> Result<(), Error> {
    for (webhook, off) in app.identify(|tx| Ok(store::webhook::off_with_pending(tx)?))? {
        let some = move || {
            app.by_itself(move |tx, _, now| Ok((store::delivery::give_up(tx, webhook, off, now, AT_ONCE)?, Vec::new())))
        };
        while some()? == AT_ONCE as usize {}
    }
    Ok(())
}
