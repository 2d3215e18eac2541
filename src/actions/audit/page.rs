//! Pages of the audit log for machines: the whole chain of an organization, with its hashes.

use crate::domain::audit::Entry;
use crate::domain::event::{Event, Head};
use crate::domain::id::OrgId;
use crate::engine::access::Grant;
use crate::engine::app::App;
use crate::engine::caller::Caller;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::pending::Pending;
use crate::engine::rule::Rule;
use crate::engine::system::System;
use crate::store::audit::backwards::AuditFilter;
use crate::store::{self, ReadTx};

/// The maximum number of entries in one transaction, so that it stays within the space that a transaction may need.
const ENTRIES_PER_CHANGE: usize = 128;

/// A page of a chain.
#[derive(Debug)]
pub struct ChainPage {
    /// The entries, by their number in the chain or newest first.
    pub entries: Vec<Entry>,
    /// The number to continue after, or before; 0 if there is nothing older.
    pub next: i64,
    /// The number of the chain's last entry.
    pub last: i64,
    /// The number of the last entry that retention removed; 0 if none was.
    pub removed: i64,
}

/// Returns at most `limit` entries of the chain of an organization, from the one after number `after`.
pub fn list(app: &App, caller: &Caller, org: Option<OrgId>, after: i64, limit: u32) -> Pending<ChainPage> {
    app.scan(caller, &Rule::SeesAudit(org), |tx, grant| {
        let org = grant.org;
        let last = store::audit::head(tx, org)?.map_or(0, |head| head.seq);
        if after > last {
            return Err(beyond(after, last));
        }
        let entries = store::audit::page(tx, org, after, limit)?;
        let next = entries.last().map_or(after, |entry| entry.seq);
        Ok(read(app, grant, ("after", Some(after)), ChainPage { entries, next, last, removed: removed(tx, org)? }))
    })
}

/// Returns at most `limit` entries of an organization that `filter` selects, newest first, from the one before number
/// `before` or from the newest.
pub fn list_newest(
    app: &App,
    caller: &Caller,
    org: Option<OrgId>,
    filter: &AuditFilter,
    before: Option<i64>,
    limit: u32,
) -> Pending<ChainPage> {
    app.scan(caller, &Rule::SeesAudit(org), |tx, grant| {
        let org = grant.org;
        let (last, removed) = (store::audit::head(tx, org)?.map_or(0, |head| head.seq), removed(tx, org)?);
        let (entries, next) = match store::audit::backwards::page(tx, org, filter, before, limit)? {
            Some((entries, next)) => (entries, next.unwrap_or(0)),
            // Retention removed it meanwhile, and with it everything older.
            None if before.is_some_and(|before| before <= removed) => (Vec::new(), 0),
            None => {
                let message = format!("before must be the number of an entry, and the last one is {last}");
                return Err(Error::new(ErrorKind::Invalid, "INVALID_FIELD", message));
            }
        };
        Ok(read(app, grant, ("before", before), ChainPage { entries, next, last, removed }))
    })
}

/// Returns the number of the last entry that retention removed; 0 if none was.
fn removed(tx: &ReadTx<'_>, org: OrgId) -> Result<i64, Error> {
    Ok(store::trim_point::find(tx, Some(org))?.map_or(0, |trim_point| trim_point.seq))
}

/// Returns a page with the event of its reading, if that is to be recorded.
fn read(app: &App, grant: &Grant, from: (&'static str, Option<i64>), page: ChainPage) -> (ChainPage, Option<Event>) {
    let (org, count) = (grant.org, page.entries.len());
    let quiet = unrecorded(app, grant, &page.entries);
    (page, quiet.map(|quiet| Event::AuditRead { org, from, count, quiet }))
}

/// The error for a page after an entry that does not exist: an empty page would hide that entries are missing.
fn beyond(after: i64, last: i64) -> Error {
    let message = format!(
        "after is {after}, but the last entry of the audit log is {last}. If you have read entry {after}, the server was \
        restored from an older backup: read again from after={last}, or from the last entry whose hash is still the same"
    );
    Error::new(ErrorKind::Invalid, "INVALID_FIELD", message)
}

/// Returns the last entry of the chain of an organization.
pub fn head(app: &App, caller: &Caller, org: Option<OrgId>) -> Pending<Head> {
    app.read(caller, &Rule::SeesAudit(org), |tx, grant| {
        let org = grant.org;
        let head = store::audit::head(tx, org)?.ok_or_else(|| Error::internal("an organization without a chain"))?;
        let quiet = unrecorded(app, grant, &store::audit::page(tx, org, head.seq - 1, 1)?);
        Ok((head, quiet.map(|quiet| Event::AuditHeadRead { org, quiet })))
    })
}

/// Records the reads that were only counted in memory so far, when the server stops.
pub fn flush(system: &System) -> Result<(), Error> {
    let mut taken = system.app().polls.take();
    while !taken.is_empty() {
        let rest = taken.split_off(taken.len().min(ENTRIES_PER_CHANGE));
        let entries = std::mem::replace(&mut taken, rest);
        system.write_for_orgs(move |_, _, _| Ok(((), entries)))?;
    }
    Ok(())
}

/// Returns the number of earlier unrecorded reads, or `None` if a read that returns `entries` is not recorded either.
fn unrecorded(app: &App, grant: &Grant, entries: &[Entry]) -> Option<u64> {
    let is_reading = |entry: &Entry| matches!(entry.action.as_str(), "audit.read" | "audit.head" | "audit.polled");
    app.polls.see(grant.user, grant.org, entries.iter().all(is_reading), grant.at)
}
