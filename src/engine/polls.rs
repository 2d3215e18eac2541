//! Which readings of the audit log were counted instead of recorded? Those that showed nothing but readings.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::event::Event;
use crate::domain::id::{OrgId, UserId};
use crate::domain::time::Time;

/// How long a reader who learns nothing new goes unrecorded.
const QUIET: Duration = Duration::from_hours(1);

/// Readers who are remembered; beyond it all are forgotten, and so recorded again.
const REMEMBERED: usize = 10_000;

/// Which readings were not recorded. A reader who polls sees the entry of the reading before; if each reading left one,
/// they would feed themselves, and two of them each other. So one that shows nothing but readings is counted, and recorded
/// with the reader's next that shows something, or after an hour, or at a clean stop.
#[derive(Default)]
pub struct Polls(Mutex<HashMap<UserId, Poll>>);

#[derive(Clone, Copy)]
struct Poll {
    org: OrgId,
    recorded: Time,
    quiet: u64,
}

impl Polls {
    /// How many readings before went unrecorded, if this one is to be recorded.
    pub(crate) fn see(&self, reader: UserId, org: OrgId, is_quiet: bool, now: Time) -> Option<u64> {
        let mut polls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(poll) = polls.get_mut(&reader)
            && is_quiet
            && now < poll.recorded.plus(QUIET)
        {
            poll.quiet += 1;
            return None;
        }
        if polls.len() >= REMEMBERED {
            polls.clear();
        }
        Some(polls.insert(reader, Poll { org, recorded: now, quiet: 0 }).map_or(0, |poll| poll.quiet))
    }

    /// Takes out who read what was not recorded, and how often.
    pub(crate) fn take(&self) -> Vec<(OrgId, Event)> {
        let polls = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let quiet = polls.into_iter().filter(|(_, poll)| poll.quiet > 0);
        quiet.map(|(reader, Poll { org, quiet, .. })| (org, Event::AuditPolled { org, reader, quiet })).collect()
    }
}
