//! Is the audit log whole? Every chain is walked and hashed again, in constant memory, from the database or from an export.

pub mod page;
mod walk;

use std::io::{BufRead, Write};
use std::path::Path;

use self::walk::{Walk, broken};
use super::error::{Error, Kind};
use crate::domain::audit::Entry;
use crate::domain::event::Head;
use crate::store;
use crate::store::backup::Snapshot;

/// What a verification saw.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    /// Entries that were checked.
    pub entries: u64,
    /// Chains that they belong to.
    pub chains: usize,
    /// Kept heads that could not be compared, since retention removed their entries.
    pub removed: Vec<Head>,
}

/// Checks every chain of a database, beside a running server too, and that each of `heads` is still in it.
pub fn verify(database: &Path, heads: &[Head]) -> Result<Verified, Error> {
    let snapshot = Snapshot::open(database)?;
    let mut walk = Walk::new(heads);
    let (anchors, problem) = snapshot.read(|tx| {
        store::audit::walk(tx, |entry| walk.take(&entry))?;
        Ok::<_, Error>((store::anchor::all(tx)?, store::whole::problem(tx)?))
    })?;
    let verified = walk.end(Some(&anchors))?;
    // What is well in each chain that is there says nothing of one that is not.
    problem.map_or(Ok(verified), |what| Err(broken(&what)))
}

/// Checks an export, one JSON object a line, without the database.
pub fn verify_file(file: impl BufRead, heads: &[Head]) -> Result<Verified, Error> {
    let mut walk = Walk::new(heads);
    for (line, number) in file.lines().zip(1_u64..) {
        let line = line.map_err(|error| broken(&format!("line {number} cannot be read: {error}")))?;
        let entry: Entry = serde_json::from_str(&line)
            .map_err(|error| broken(&format!("line {number} is not an exported entry: {error}")))?;
        walk.take(&entry)?;
    }
    walk.end(None)
}

/// The last entry of every chain.
pub fn heads(database: &Path) -> Result<Vec<Head>, Error> {
    Ok(Snapshot::open(database)?.read(store::audit::heads)?)
}

/// Writes every entry as one JSON object a line; gives their number.
pub fn export(database: &Path, mut out: impl Write) -> Result<u64, Error> {
    let mut count = 0;
    Snapshot::open(database)?.read(|tx| {
        store::audit::walk(tx, |entry| {
            serde_json::to_writer(&mut out, &entry).map_err(|error| unwritten(&error.into()))?;
            out.write_all(b"\n").map_err(|error| unwritten(&error))?;
            count += 1;
            Ok::<_, Error>(())
        })
    })?;
    out.flush().map_err(|error| unwritten(&error))?;
    Ok(count)
}

fn unwritten(error: &std::io::Error) -> Error {
    Error::new(Kind::Unavailable, "NOT_WRITTEN", format!("The export could not be written: {error}"))
}
