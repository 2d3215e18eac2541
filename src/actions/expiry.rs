//! Announces in the audit logs of organizations that credentials are about to expire, each once per lead time.

use crate::domain::event::Event;
use crate::domain::expiry::{Span, spans};
use crate::domain::id::OrgId;
use crate::domain::time::Time;
use crate::engine::error::Error;
use crate::engine::system::System;
use crate::store::{ReadTx, StoreError, WriteTx};

/// The maximum number of announcements in one transaction, so that it stays within the space that a transaction may
/// need.
const ANNOUNCEMENTS_PER_CHANGE: u32 = 128;

/// The maximum number of transactions in one run, so that other writes do not wait long; the rest follows in the next
/// run.
const CHANGES: usize = 8;

/// Finds credentials that expire in a span and had no announcement at so many or fewer days, up to a number of them.
pub(super) type Unannounced<T> = fn(&ReadTx<'_>, Span, u32, u32) -> Result<Vec<T>, StoreError>;

/// Stores that a credential was announced so many days before its end. Returns its organization and the event.
pub(super) type Record<T> = fn(&WriteTx<'_>, T, u32) -> Result<(OrgId, Event), Error>;

/// Announces credentials of one kind. After a long outage, only the nearest lead time of each is announced.
pub(super) fn announce<T: 'static>(
    system: &System,
    unannounced: Unannounced<T>,
    record: Record<T>,
) -> Result<(), Error> {
    for _ in 0..CHANGES {
        // Nearly always there is nothing to announce, and then nothing is written.
        if system.read(|tx| due(tx, unannounced, system.app().now(), 1))?.is_empty() {
            break;
        }
        system.write_for_orgs(move |tx, _, now| {
            let due = due(tx, unannounced, now, ANNOUNCEMENTS_PER_CHANGE)?;
            let events = due.into_iter().map(|(days, ending)| record(tx, ending, days));
            Ok(((), events.collect::<Result<Vec<_>, Error>>()?))
        })?;
    }
    Ok(())
}

/// Returns what is to be announced now, each with its lead time in days.
fn due<T>(tx: &ReadTx<'_>, unannounced: Unannounced<T>, now: Time, most: u32) -> Result<Vec<(u32, T)>, Error> {
    let mut due = Vec::new();
    for (days, span) in spans(now) {
        due.extend(unannounced(tx, span, days, most)?.into_iter().map(|ending| (days, ending)));
    }
    due.truncate(most as usize);
    Ok(due)
}
