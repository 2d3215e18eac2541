//! Verifies and exports the audit log. Verification hashes every chain again, from the database or an export, in
//! constant memory.

mod chain_verifier;
pub mod page;

use std::fmt;
use std::io::{self, BufRead, Write};
use std::path::Path;

use self::chain_verifier::{ChainVerifier, broken};
use crate::domain::audit::Entry;
use crate::domain::event::Head;
use crate::engine::error::{Error, ErrorKind};
use crate::store;
use crate::store::backup::Snapshot;
use crate::store::{ReadTx, StoreError, progress};

/// The result of a successful verification.
#[derive(Clone, Debug, Default)]
pub struct VerifiedLog {
    /// The number of entries that were checked.
    pub entries: u64,
    /// The number of chains that they belong to.
    pub chains: usize,
    /// The given heads that could not be compared, because retention removed their entries.
    pub removed: Vec<Head>,
}

impl fmt::Display for VerifiedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self { entries, chains, .. }, plural) = (self, if self.chains == 1 { "" } else { "s" });
        write!(f, "The audit log is intact: {entries} entries in {chains} chain{plural}")
    }
}

/// The number of entries read from one snapshot. While a snapshot is held, a running server cannot reset its
/// write-ahead log.
const SLICE: u32 = 2_000;

/// The maximum number of attempts if retention removes entries during a verification, which happens once a day.
const TRIES: usize = 3;

/// The code of the error about a log that is broken. Any other error means that it could not be looked at.
pub const BROKEN: &str = "AUDIT_BROKEN";

/// Verifies every chain of a database, and that each of `heads` is still in it. The server may be running.
pub fn verify(database: &Path, heads: &[Head]) -> Result<VerifiedLog, Error> {
    let snapshot = open(database)?;
    for _ in 0..TRIES {
        if let Some(verdict) = verify_once(&snapshot, heads)? {
            return verdict;
        }
    }
    Err(moved())
}

/// Opens a database to be verified. One that is damaged, beyond not being a database of orgkeys at all, is a broken log.
fn open(database: &Path) -> Result<Snapshot, Error> {
    Snapshot::open(database).map_err(|error| match error {
        StoreError::Damaged { ref path, .. } if store::header::check_header(path).is_ok() => broken(&error.to_string()),
        other => other.into(),
    })
}

/// Verifies once. Returns `None` if retention removed entries meanwhile, because then some may only seem to be missing.
fn verify_once(snapshot: &Snapshot, heads: &[Head]) -> Result<Option<Result<VerifiedLog, Error>>, Error> {
    let mut verifier = ChainVerifier::new(heads);
    let trim_points = snapshot.read(store::trim_point::all)?;
    let walked = each(snapshot, "Verifying the audit log", |entry| verifier.take(entry));
    let (after, problem) =
        snapshot.read(|tx| Ok::<_, Error>((store::trim_point::all(tx)?, store::whole::problem(tx)?)))?;
    if after != trim_points {
        return Ok(None);
    }
    let verdict = walked.and_then(|_| verifier.end(Some(&trim_points))).and_then(|verified| {
        // Chains that verify say nothing about a chain that is missing.
        problem.map_or(Ok(verified), |what| Err(broken(&what)))
    });
    Ok(Some(verdict))
}

/// Passes each current entry to `take`, in the order of their ids and outside of any snapshot. Returns their number.
/// Entries that are added meanwhile are left out.
fn each(
    snapshot: &Snapshot,
    what: &'static str,
    mut take: impl FnMut(&Entry) -> Result<(), Error>,
) -> Result<u64, Error> {
    let (mut count, mut after) = (0, 0);
    let (upto, total) = snapshot.read(|tx| Ok::<_, Error>((store::audit::last_id(tx)?, entries(tx)?)))?;
    loop {
        let slice = snapshot.read(|tx| store::audit::slice(tx, after, upto, SLICE))?;
        let Some(last) = slice.last() else { return Ok(count) };
        after = last.id;
        count += slice.len() as u64;
        slice.iter().try_for_each(&mut take)?;
        progress::report(what, count, total);
    }
}

/// The number of entries in a log whose chains are whole.
fn entries(tx: &ReadTx<'_>) -> Result<u64, StoreError> {
    let numbers = |heads: Vec<Head>| heads.iter().map(|head| head.seq).sum::<i64>();
    let (last, removed) = (numbers(store::audit::heads(tx)?), numbers(store::trim_point::all(tx)?));
    Ok(u64::try_from(last.saturating_sub(removed)).unwrap_or_default())
}

/// Verifies an export, one JSON object per line, without the database.
pub fn verify_file(file: impl BufRead, heads: &[Head]) -> Result<VerifiedLog, Error> {
    let mut verifier = ChainVerifier::new(heads);
    for (line, number) in file.lines().zip(1_u64..) {
        let line = line.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData if number > 1 => broken(&format!("line {number} is not text in UTF-8")),
            io::ErrorKind::InvalidData => no_export("line 1 is not text in UTF-8"),
            _ => no_export(&format!("line {number} cannot be read: {error}")),
        })?;
        let entry: Entry = serde_json::from_str(&line).map_err(|_| {
            let what = format!("line {number} is not an exported entry");
            // If not even the first line is one, this is another file.
            if number > 1 { broken(&what) } else { no_export(&what) }
        })?;
        verifier.take(&entry)?;
    }
    let log = verifier.end(None)?;
    if log.entries == 0 { Err(no_export("it contains no entry, so there is nothing to verify")) } else { Ok(log) }
}

/// Returns the last entry of every chain.
pub fn heads(database: &Path) -> Result<Vec<Head>, Error> {
    Ok(Snapshot::open(database)?.read(store::audit::heads)?)
}

/// Writes every entry as one JSON object per line. Returns the number of entries.
pub fn export(database: &Path, mut out: impl Write) -> Result<u64, Error> {
    let snapshot = Snapshot::open(database)?;
    let trim_points = snapshot.read(store::trim_point::all)?;
    let count = each(&snapshot, "Exporting the audit log", |entry| {
        serde_json::to_writer(&mut out, entry).map_err(|error| unwritten(&error.into()))?;
        out.write_all(b"\n").map_err(|error| unwritten(&error))
    })?;
    out.flush().map_err(|error| unwritten(&error))?;
    if snapshot.read(store::trim_point::all)? != trim_points {
        return Err(moved());
    }
    Ok(count)
}

fn moved() -> Error {
    let message = "Retention removed entries of the audit log while it was being read: run this command again";
    Error::new(ErrorKind::Unavailable, "AUDIT_MOVED", message)
}

fn no_export(what: &str) -> Error {
    let message = format!("The export cannot be verified: {what}. Name a file with output of `orgkeys audit export`");
    Error::new(ErrorKind::Invalid, "NO_EXPORT", message)
}

fn unwritten(error: &io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "NOT_WRITTEN", format!("The export could not be written: {error}"))
}
