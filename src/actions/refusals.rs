//! Records the counts of refusals in the audit log, every minute and at a clean stop.

use crate::engine::error::Error;
use crate::engine::system::System;

/// The maximum number of entries in one transaction, so that it stays within the space that a transaction may need.
const ENTRIES_PER_CHANGE: usize = 128;

/// Records the counts of the minutes that have ended and, at a clean stop, of the current one. Counts that cannot be
/// recorded now are retried in the next run.
pub fn flush(system: &System, stopping: bool) -> Result<(), Error> {
    let (app, refusals) = (system.app(), &system.app().refusals);
    let mut taken = refusals.take((!stopping).then(|| app.now()));
    while !taken.is_empty() {
        let rest = taken.split_off(taken.len().min(ENTRIES_PER_CHANGE));
        let entries = taken.iter().map(|(org, kind, count)| (*org, kind.event(*org, *count))).collect();
        if let Err(error) = system.write_for_orgs(move |_, _, _| Ok(((), entries))) {
            taken.extend(rest);
            refusals.put_back(taken);
            return Err(error);
        }
        taken = rest;
    }
    Ok(())
}
