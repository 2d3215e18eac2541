//! Is the audit log whole? Every chain is walked and hashed again, in constant memory, from the database or from an export.

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::path::Path;

use super::error::{Error, Kind};
use crate::crypto::chain::{self, Hash};
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
}

/// Checks every chain of a database, beside a running server too, and that each of `heads` is still in it.
pub fn verify(database: &Path, heads: &[Head]) -> Result<Verified, Error> {
    let snapshot = Snapshot::open(database)?;
    let mut walk = Walk::new(heads);
    snapshot.read(|tx| store::audit::walk(tx, |entry| walk.take(&entry)))?;
    walk.end()
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
    walk.end()
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

/// A verification on its way: where each chain ends so far.
struct Walk<'h> {
    ends: HashMap<String, (i64, Hash)>,
    wanted: HashMap<&'h str, HashMap<i64, &'h str>>,
    last_id: i64,
    entries: u64,
}

impl<'h> Walk<'h> {
    fn new(heads: &'h [Head]) -> Self {
        let mut wanted = HashMap::<&str, HashMap<i64, &str>>::new();
        for head in heads {
            wanted.entry(&head.org).or_default().insert(head.seq, &head.hash);
        }
        Self { ends: HashMap::new(), wanted, last_id: 0, entries: 0 }
    }

    fn take(&mut self, entry: &Entry) -> Result<(), Error> {
        let bad =
            |what: &str| Err(broken(&format!("entry {} (number {} of {}): {what}", entry.id, entry.seq, entry.org)));
        let (seq, prev) = self.ends.get(&entry.org).copied().unwrap_or((0, chain::START));
        if entry.id <= self.last_id {
            return bad("it is out of order");
        }
        if entry.seq != seq + 1 {
            return bad(&format!("number {} should stand here: an entry is missing", seq + 1));
        }
        if entry.prev_hash != chain::hex(&prev) {
            return bad("it does not follow the entry before it");
        }
        let hash = chain::hash_entry(&prev, entry);
        let text = chain::hex(&hash);
        if entry.hash != text {
            return bad("its contents were changed");
        }
        if let Some(kept) = self.wanted.get_mut(entry.org.as_str()).and_then(|heads| heads.remove(&entry.seq))
            && !kept.eq_ignore_ascii_case(&text)
        {
            return bad("it is not the entry whose hash was kept: the chain was written anew");
        }
        self.last_id = entry.id;
        self.entries += 1;
        match self.ends.get_mut(&entry.org) {
            Some(end) => *end = (entry.seq, hash),
            None => drop(self.ends.insert(entry.org.clone(), (entry.seq, hash))),
        }
        Ok(())
    }

    fn end(self) -> Result<Verified, Error> {
        if let Some((org, seq)) = self.wanted.iter().find_map(|(org, heads)| Some((org, heads.keys().min()?))) {
            let end = self.ends.get(*org).map_or(0, |(seq, _)| *seq);
            return Err(broken(&format!(
                "the chain of {org} ends at {end}, but entry {seq} was kept: its tail was cut"
            )));
        }
        Ok(Verified { entries: self.entries, chains: self.ends.len() })
    }
}

fn broken(what: &str) -> Error {
    Error::new(Kind::Conflict, "AUDIT_BROKEN", format!("The audit log is broken: {what}"))
}

fn unwritten(error: &std::io::Error) -> Error {
    Error::new(Kind::Unavailable, "NOT_WRITTEN", format!("The export could not be written: {error}"))
}
