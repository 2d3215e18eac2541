//! How long is the audit log kept? As long as it is set, by whole days; what is removed is said in the chain that it is removed from.

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

/// Entries removed in one transaction: what else is written waits no longer than these take.
pub const ENTRIES_PER_CHANGE: u32 = 500;

/// Transactions of one run, so that a stop need not wait long.
pub const STEPS: u32 = 100;

const DAY: i64 = 86_400_000;

/// Removes what is older than it is to be kept.
#[derive(Debug)]
pub struct Retention {
    days: u32,
    /// Up to when everything was removed.
    done: Mutex<Option<Time>>,
}

impl Retention {
    /// Keeps so many days; 0 keeps everything.
    #[must_use]
    pub const fn new(days: u32) -> Self {
        Self { days, done: Mutex::new(None) }
    }

    /// Removes what is due, in steps; gives how many entries it removed. What one run leaves the next one removes.
    ///
    /// A day is removed as a whole, so a chain gets one `audit.trim` a day at most. The clock is believed as little as
    /// possible: one that leapt ahead must not remove everything.
    pub fn keep(&self, system: &System) -> Result<usize, Error> {
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
                // Counted where it is written: what is replayed before counts, and nothing of it is replayed after.
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

/// What is to be said of deliveries that never arrive, since their events go: once for each webhook.
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
