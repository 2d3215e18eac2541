//! Retention of the audit log, by whole days. Each removal is recorded in the chain that it is removed from.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::crypto::chain::hex;
use crate::domain::event::Event;
use crate::domain::id::OrgId;
use crate::domain::time::Time;
use crate::engine::error::Error;
use crate::engine::system::System;
use crate::store::delivery::forget::{ExpiringDeliveries, expiring_with};
use crate::store::{self, ReadTx, WriteTx, trim_point};

/// The maximum number of entries removed in one transaction, so that other writes do not wait long.
pub const ENTRIES_PER_CHANGE: u32 = 500;

/// The maximum number of transactions in one run, so that a stop does not wait long.
pub const STEPS: u32 = 100;

const DAY: i64 = 86_400_000;

/// Removes entries that are older than the retention period.
#[derive(Debug)]
pub struct Retention {
    days: u32,
    /// Everything before this time was removed.
    done: Mutex<Option<Time>>,
}

impl Retention {
    /// Retains this many days; 0 retains everything.
    #[must_use]
    pub const fn new(days: u32) -> Self {
        Self { days, done: Mutex::new(None) }
    }

    /// Removes expired entries in steps, and returns their number. The next run continues.
    ///
    /// A day is removed as a whole, so a chain gets at most one `audit.trim` per day. Age is measured by the safe time,
    /// so that a clock that leaps ahead does not remove everything.
    pub fn remove_old(&self, system: &System) -> Result<usize, Error> {
        if self.days == 0 {
            return Ok(0);
        }
        let now = system.app().env.safe_now();
        let kept_from = now.minus(Duration::from_hours(24 * u64::from(self.days))).millis();
        let cutoff = Time::from_millis(kept_from - kept_from.rem_euclid(DAY));
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if done.is_some_and(|done| done >= cutoff) {
            return Ok(0);
        }
        let (mut removed, mut steps) = (0, 0);
        for chain in system.read(|tx| Ok(store::audit::chains(tx)?))? {
            if let Some((last, count)) = system.read(|tx| Ok(trim_point::removable(tx, chain, cutoff, now)?))? {
                let trimmed = Event::AuditTrimmed { org: chain, seq: last.seq, hash: hex(&last.hash), count };
                // Counted in the transaction that writes it: deliveries replayed before are counted, and none can be
                // replayed after.
                let events = move |tx: &WriteTx<'_>| {
                    let mut events = given_up(tx, chain, last.seq)?;
                    events.push(trimmed);
                    Ok(events)
                };
                system.trim(chain, last, events)?;
            }
            while system.read(|tx| Ok(trim_point::is_unpurged(tx, chain)?))? {
                if steps == STEPS {
                    return Ok(removed);
                }
                removed += system.purge(chain, ENTRIES_PER_CHANGE)?;
                steps += 1;
            }
        }
        *done = Some(cutoff);
        Ok(removed)
    }
}

/// Returns the events for pending deliveries that fail because their audit entries are removed, one per webhook.
fn given_up(tx: &ReadTx<'_>, chain: Option<OrgId>, seq: i64) -> Result<Vec<Event>, Error> {
    let Some(org) = chain else { return Ok(Vec::new()) };
    let event = |ExpiringDeliveries { webhook, count, of_failure }| Event::DeliveryFailed {
        webhook,
        count: count as usize,
        only: None,
        of_failure,
    };
    Ok(expiring_with(tx, org, seq)?.into_iter().map(event).collect())
}
