//! What of the audit log does a machine read? The whole chain of its organization, page after page, with the hashes.

use crate::domain::audit::Entry;
use crate::domain::event::{Event, Head};
use crate::domain::id::OrgId;
use crate::engine::access::Grant;
use crate::engine::app::App;
use crate::engine::caller::Caller;
use crate::engine::error::Error;
use crate::engine::pending::Pending;
use crate::engine::rule::Rule;
use crate::engine::system::System;
use crate::store;

/// Entries of one change, so that it stays within the room that a change may need.
const ENTRIES_PER_CHANGE: usize = 128;

/// A page of a chain.
#[derive(Debug)]
pub struct ChainPage {
    /// The entries, by their place.
    pub entries: Vec<Entry>,
    /// The place to read on after.
    pub next: i64,
    /// The place of the chain's last entry.
    pub last: i64,
    /// The place of the last entry that retention removed; 0 if none was.
    pub removed: i64,
}

/// What was recorded in the chain of an organization after place `after`, at most `limit` entries.
pub fn list(app: &App, caller: &Caller, org: Option<OrgId>, after: i64, limit: u32) -> Pending<ChainPage> {
    app.read(caller, &Rule::SeesAudit(org), |tx, grant| {
        let org = grant.org;
        let entries = store::audit::page(tx, org, after, limit)?;
        let page = ChainPage {
            next: entries.last().map_or(after, |entry| entry.seq),
            last: store::audit::head(tx, org)?.map_or(0, |head| head.seq),
            removed: store::trim_point::find(tx, Some(org))?.map_or(0, |trim_point| trim_point.seq),
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
pub fn flush(system: &System) -> Result<(), Error> {
    let mut taken = system.app().polls.take();
    while !taken.is_empty() {
        let rest = taken.split_off(taken.len().min(ENTRIES_PER_CHANGE));
        let entries = std::mem::replace(&mut taken, rest);
        system.write_for_orgs(move |_, _, _| Ok(((), entries)))?;
    }
    Ok(())
}

/// How many readings before went unrecorded, if one that shows `entries` is to be recorded.
fn unrecorded(app: &App, grant: &Grant, entries: &[Entry]) -> Result<Option<u64>, Error> {
    let reader = grant.user.ok_or_else(|| Error::internal("a reader without a user"))?;
    let is_reading = |entry: &Entry| matches!(entry.action.as_str(), "audit.read" | "audit.head" | "audit.polled");
    Ok(app.polls.see(reader, grant.org, entries.iter().all(is_reading), grant.at))
}
