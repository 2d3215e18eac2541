//! What of the audit log does a machine read? The whole chain of its organization, page after page, with the hashes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::actions::access::{Grant, Rule};
use crate::actions::app::App;
use crate::actions::caller::Caller;
use crate::actions::error::Error;
use crate::actions::pending::Pending;
use crate::domain::audit::Entry;
use crate::domain::event::{Event, Head};
use crate::domain::id::{OrgId, UserId};
use crate::domain::time::Time;
use crate::store;

/// How long a reader who learns nothing new goes unrecorded.
const QUIET: Duration = Duration::from_hours(1);

/// Entries of one change, so that it stays within the room that a change may need.
const AT_ONCE: usize = 128;

/// Readers who are remembered; beyond it all are forgotten, and so recorded again.
const REMEMBERED: usize = 10_000;

/// A page of a chain.
#[derive(Debug)]
pub struct Page {
    /// The entries, by their place.
    pub entries: Vec<Entry>,
    /// The place to read on after.
    pub next: i64,
    /// The place of the chain's last entry.
    pub last: i64,
    /// The place of the last entry that retention removed; 0 if none was.
    pub removed: i64,
}

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
    fn see(&self, reader: UserId, org: OrgId, is_quiet: bool, now: Time) -> Option<u64> {
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
    fn take(&self) -> Vec<(OrgId, Event)> {
        let polls = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let quiet = polls.into_iter().filter(|(_, poll)| poll.quiet > 0);
        quiet.map(|(reader, Poll { org, quiet, .. })| (org, Event::AuditPolled { org, reader, quiet })).collect()
    }
}

/// What was recorded in the chain of an organization after place `after`, at most `limit` entries.
pub fn list(app: &App, caller: &Caller, org: Option<OrgId>, after: i64, limit: u32) -> Pending<Page> {
    app.read(caller, &Rule::SeesAudit(org), |tx, grant| {
        let org = grant.org;
        let entries = store::audit::page(tx, org, after, limit)?;
        let page = Page {
            next: entries.last().map_or(after, |entry| entry.seq),
            last: store::audit::head(tx, org)?.map_or(0, |head| head.seq),
            removed: store::anchor::find(tx, Some(org))?.map_or(0, |anchor| anchor.seq),
            entries,
        };
        let count = page.entries.len();
        let quiet = unrecorded(app, grant, &page.entries)?;
        Ok((page, quiet.map(|quiet| Event::AuditRead { org, after, count, quiet })))
    })
}

/// Where the chain of an organization ends.
pub fn head(app: &App, caller: &Caller, org: Option<OrgId>) -> Pending<Head> {
    app.read(caller, &Rule::SeesAudit(org), |tx, grant| {
        let org = grant.org;
        let head = store::audit::head(tx, org)?.ok_or_else(|| Error::internal("an organization without a chain"))?;
        let quiet = unrecorded(app, grant, &store::audit::page(tx, org, head.seq - 1, 1)?)?;
        Ok((head, quiet.map(|quiet| Event::AuditHeadRead { org, quiet })))
    })
}

/// Records the readings that were only counted so far: the server stops, and its memory with it.
pub fn flush(app: &App) -> Result<(), Error> {
    let mut taken = app.polls.take();
    while !taken.is_empty() {
        let rest = taken.split_off(taken.len().min(AT_ONCE));
        app.append_counted(std::mem::replace(&mut taken, rest))?;
    }
    Ok(())
}

/// How many readings before went unrecorded, if one that shows `entries` is to be recorded.
fn unrecorded(app: &App, grant: &Grant, entries: &[Entry]) -> Result<Option<u64>, Error> {
    let reader = grant.user.ok_or_else(|| Error::internal("a reader without a user"))?;
    let is_reading = |entry: &Entry| matches!(entry.action.as_str(), "audit.read" | "audit.head" | "audit.polled");
    Ok(app.polls.see(reader, grant.org, entries.iter().all(is_reading), grant.at))
}
