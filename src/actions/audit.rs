//! Is the audit log whole? Every chain is walked and hashed again, in constant memory, from the database or from an export.

mod chain_verifier;
pub mod page;

use std::io::{BufRead, Write};
use std::path::Path;

use self::chain_verifier::{ChainVerifier, broken};
use crate::domain::audit::Entry;
use crate::domain::event::Head;
use crate::engine::error::{Error, ErrorKind};
use crate::store;
use crate::store::backup::Snapshot;

/// What a verification saw.
#[derive(Clone, Debug, Default)]
pub struct VerifiedLog {
    /// Entries that were checked.
    pub entries: u64,
    /// Chains that they belong to.
    pub chains: usize,
    /// Kept heads that could not be compared, since retention removed their entries.
    pub removed: Vec<Head>,
}

/// Entries that are read from one snapshot: as long as one is held, a server cannot begin its write-ahead log anew.
const SLICE: u32 = 2_000;

/// How often a verification is tried if retention removes entries meanwhile, which it does once a day.
const TRIES: usize = 3;

/// Checks every chain of a database, beside a running server too, and that each of `heads` is still in it.
pub fn verify(database: &Path, heads: &[Head]) -> Result<VerifiedLog, Error> {
    let snapshot = Snapshot::open(database)?;
    for _ in 0..TRIES {
        if let Some(verdict) = verify_once(&snapshot, heads)? {
            return verdict;
        }
    }
    Err(moved())
}

/// The verdict, or nothing when retention removed entries on the way: then some may only seem to be missing.
fn verify_once(snapshot: &Snapshot, heads: &[Head]) -> Result<Option<Result<VerifiedLog, Error>>, Error> {
    let mut verifier = ChainVerifier::new(heads);
    let trim_points = snapshot.read(store::trim_point::all)?;
    let walked = each(snapshot, |entry| verifier.take(entry));
    let (after, problem) =
        snapshot.read(|tx| Ok::<_, Error>((store::trim_point::all(tx)?, store::whole::problem(tx)?)))?;
    if after != trim_points {
        return Ok(None);
    }
    let verdict = walked.and_then(|_| verifier.end(Some(&trim_points))).and_then(|verified| {
        // What is well in each chain that is there says nothing of one that is not.
        problem.map_or(Ok(verified), |what| Err(broken(&what)))
    });
    Ok(Some(verdict))
}

/// Gives each entry that there is now to `take`, in the order of their ids and outside of any snapshot, and how many they
/// were. What is added meanwhile is left out.
fn each(snapshot: &Snapshot, mut take: impl FnMut(&Entry) -> Result<(), Error>) -> Result<u64, Error> {
    let (mut count, mut after, upto) = (0, 0, snapshot.read(store::audit::last_id)?);
    loop {
        let slice = snapshot.read(|tx| store::audit::slice(tx, after, upto, SLICE))?;
        let Some(last) = slice.last() else { return Ok(count) };
        after = last.id;
        count += slice.len() as u64;
        slice.iter().try_for_each(&mut take)?;
    }
}

/// Checks an export, one JSON object a line, without the database.
pub fn verify_file(file: impl BufRead, heads: &[Head]) -> Result<VerifiedLog, Error> {
    let mut verifier = ChainVerifier::new(heads);
    for (line, number) in file.lines().zip(1_u64..) {
        let line = line.map_err(|error| broken(&format!("line {number} cannot be read: {error}")))?;
        let entry: Entry = serde_json::from_str(&line)
            .map_err(|error| broken(&format!("line {number} is not an exported entry: {error}")))?;
        verifier.take(&entry)?;
    }
    verifier.end(None)
}

/// The last entry of every chain.
pub fn heads(database: &Path) -> Result<Vec<Head>, Error> {
    Ok(Snapshot::open(database)?.read(store::audit::heads)?)
}

/// Writes every entry as one JSON object a line; gives their number.
pub fn export(database: &Path, mut out: impl Write) -> Result<u64, Error> {
    let snapshot = Snapshot::open(database)?;
    let trim_points = snapshot.read(store::trim_point::all)?;
    let count = each(&snapshot, |entry| {
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
    let message = "Retention removed entries of the audit log while it was read: run this again";
    Error::new(ErrorKind::Unavailable, "AUDIT_MOVED", message)
}

fn unwritten(error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "NOT_WRITTEN", format!("The export could not be written: {error}"))
}
