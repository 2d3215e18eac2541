//! Reads of the audit log that are counted instead of recorded, because they returned nothing but entries of reads.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::event::Event;
use crate::domain::id::{OrgId, UserId};
use crate::domain::time::Time;

/// The time after which a reader who sees nothing new is recorded again.
const QUIET: Duration = Duration::from_hours(1);

/// The maximum number of readers in memory; beyond it all are forgotten, and therefore recorded again.
const REMEMBERED: usize = 10_000;

/// The unrecorded reads per reader. A reader who polls sees the entry of their previous read; if each read added an
/// entry, readers would keep each other busy for ever. So a read that returns nothing but entries of reads is counted,
/// and recorded with the reader's next read that returns something else, after an hour, or at a clean stop.
#[derive(Default)]
pub struct Polls(Mutex<HashMap<Reader, Poll>>);

/// A user, or the server's administrator, and the organization whose log is read.
type Reader = (Option<UserId>, OrgId);

#[derive(Clone, Copy)]
struct Poll {
    recorded: Time,
    quiet: u64,
}

impl Polls {
    /// Returns the number of earlier unrecorded reads if this one is to be recorded, or `None` if it is only counted.
    pub(crate) fn see(&self, reader: Option<UserId>, org: OrgId, is_quiet: bool, now: Time) -> Option<u64> {
        let mut polls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(poll) = polls.get_mut(&(reader, org))
            && is_quiet
            && now < poll.recorded.plus(QUIET)
        {
            poll.quiet += 1;
            return None;
        }
        if polls.len() >= REMEMBERED {
            polls.clear();
        }
        Some(polls.insert((reader, org), Poll { recorded: now, quiet: 0 }).map_or(0, |poll| poll.quiet))
    }

    /// Removes and returns the events for reads that were not recorded.
    pub(crate) fn take(&self) -> Vec<(OrgId, Event)> {
        let polls = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let quiet = polls.into_iter().filter(|(_, poll)| poll.quiet > 0);
        quiet.map(|((reader, org), Poll { quiet, .. })| (org, Event::AuditPolled { org, reader, quiet })).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_without_end_do_not_fill_the_memory() {
        let (polls, now, org) = (Polls::default(), Time::from_millis(0), OrgId::from_bytes([7; 16]));
        let reader = |number: u128| Some(UserId::from_bytes(number.to_be_bytes()));
        assert_eq!(polls.see(reader(0), org, true, now), Some(0), "the first read");
        assert_eq!(polls.see(reader(0), org, true, now), None);
        for number in 1..=REMEMBERED as u128 {
            assert_eq!(polls.see(reader(number), org, true, now), Some(0));
        }
        assert!(polls.0.lock().expect("not poisoned").len() <= REMEMBERED);
        assert_eq!(polls.see(reader(0), org, true, now), Some(0), "a reader that was forgotten is recorded again");
    }
}
