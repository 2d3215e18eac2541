//! The state of a verification: checks that each entry follows the one before it in its chain.

use std::collections::HashMap;

use super::VerifiedLog;
use crate::crypto::chain::{self, ChainHash};
use crate::domain::audit::Entry;
use crate::domain::event::Head;
use crate::engine::error::{Error, ErrorKind};

/// A chain, as far as it was verified.
struct Chain {
    /// The number and the hash before its first entry.
    begin: (i64, String),
    /// Its last entry so far.
    end: (i64, ChainHash),
    /// What its latest `audit.trim` records as removed.
    trimmed: Option<Trimmed>,
}

/// The last removed entry, as an `audit.trim` records it.
#[derive(Clone, PartialEq, Eq, serde::Deserialize)]
struct Trimmed {
    seq: i64,
    hash: String,
}

/// A verification in progress: where each chain begins and ends so far.
pub(super) struct ChainVerifier<'h> {
    chains: HashMap<String, Chain>,
    wanted: HashMap<&'h str, HashMap<i64, &'h str>>,
    last_id: i64,
    entries: u64,
}

impl<'h> ChainVerifier<'h> {
    pub(super) fn new(heads: &'h [Head]) -> Self {
        let mut wanted = HashMap::<&str, HashMap<i64, &str>>::new();
        for head in heads {
            wanted.entry(&head.org).or_default().insert(head.seq, &head.hash);
        }
        Self { chains: HashMap::new(), wanted, last_id: 0, entries: 0 }
    }

    pub(super) fn take(&mut self, entry: &Entry) -> Result<(), Error> {
        let bad =
            |what: &str| Err(broken(&format!("entry {} (number {} of {}): {what}", entry.id, entry.seq, entry.org)));
        let known = self.chains.get(&entry.org);
        let (seq, prev) = match known {
            Some(chain) => chain.end,
            // Earlier entries may have been removed by retention; a later `audit.trim` entry must then say so.
            None if entry.seq > 1 => match chain::unhex(&entry.prev_hash) {
                Some(prev) => (entry.seq - 1, prev),
                None => return bad("its previous hash is not a valid hash"),
            },
            None => (0, chain::START),
        };
        if entry.id <= self.last_id {
            return bad("it is out of order");
        }
        // An export may name any number, also the last one that there is.
        let Some(expected) = seq.checked_add(1) else { return bad("no number is left for it") };
        if entry.seq != expected {
            return bad(&format!("number {expected} was expected here: an entry is missing"));
        }
        if entry.prev_hash != chain::hex(&prev) {
            return bad("its previous hash is not the hash of the entry before it");
        }
        let hash = chain::hash_entry(&prev, entry);
        let text = chain::hex(&hash);
        if entry.hash != text {
            return bad("its contents were changed");
        }
        if let Some(known) = self.wanted.get_mut(entry.org.as_str()).and_then(|heads| heads.remove(&entry.seq))
            && !known.eq_ignore_ascii_case(&text)
        {
            return bad("its hash differs from the given head: the chain was rewritten");
        }
        self.last_id = entry.id;
        self.entries += 1;
        let trimmed = trim(entry);
        if let Some(chain) = self.chains.get_mut(&entry.org) {
            chain.end = (entry.seq, hash);
            chain.trimmed = trimmed.or(chain.trimmed.take());
        } else {
            let begin = (seq, entry.prev_hash.clone());
            self.chains.insert(entry.org.clone(), Chain { begin, end: (entry.seq, hash), trimmed });
        }
        Ok(())
    }

    /// Returns the result; `trim_points` are those of the database, which an export does not have.
    pub(super) fn end(mut self, trim_points: Option<&[Head]>) -> Result<VerifiedLog, Error> {
        for (org, chain) in &self.chains {
            chain.begins_well(org)?;
        }
        if let Some(trim_points) = trim_points {
            self.check_trim_points(trim_points)?;
        }
        let removed = self.forgive_removed()?;
        if let Some((org, seq)) = self.wanted.iter().find_map(|(org, heads)| Some((org, heads.keys().min()?))) {
            let end = self.chains.get(*org).map_or(0, |chain| chain.end.0);
            return Err(broken(&format!(
                "the chain of {org} ends at {end}, before the given head {seq}: entries at its end are missing"
            )));
        }
        Ok(VerifiedLog { entries: self.entries, chains: self.chains.len(), removed })
    }

    /// Checks that each chain has the trim point that its latest `audit.trim` records. Trim points without a chain are
    /// found by the check of the whole database.
    fn check_trim_points(&self, trim_points: &[Head]) -> Result<(), Error> {
        let trim_points: HashMap<_, _> =
            trim_points.iter().map(|trim_point| (trim_point.org.as_str(), trim_point)).collect();
        for (org, chain) in &self.chains {
            let trim_point = trim_points.get(org.as_str());
            let trim_point =
                trim_point.map(|trim_point| Trimmed { seq: trim_point.seq, hash: trim_point.hash.clone() });
            if trim_point != chain.trimmed {
                return Err(broken(&format!(
                    "the trim point of {org} does not match its last audit.trim entry: it was changed by something other than the server"
                )));
            }
        }
        Ok(())
    }

    /// Returns the given heads whose entries retention removed. They cannot be compared, which is no error.
    fn forgive_removed(&mut self) -> Result<Vec<Head>, Error> {
        let mut removed = Vec::new();
        for (org, heads) in &mut self.wanted {
            let Some(chain) = self.chains.get(*org) else { continue };
            for (seq, hash) in heads.extract_if(|seq, _| *seq <= chain.begin.0) {
                if seq == chain.begin.0 && !hash.eq_ignore_ascii_case(&chain.begin.1) {
                    return Err(broken(&format!(
                        "the last removed entry of {org}, number {seq}, differs from the given head: the chain was rewritten"
                    )));
                }
                removed.push(Head { org: (*org).to_owned(), seq, hash: hash.to_owned() });
            }
        }
        removed.sort_by(|a, b| (&a.org, a.seq).cmp(&(&b.org, b.seq)));
        Ok(removed)
    }
}

impl Chain {
    /// Checks that entries missing at the beginning were removed by retention, as an entry records. The entry may cover
    /// more than has been removed so far.
    fn begins_well(&self, org: &str) -> Result<(), Error> {
        let (seq, prev) = &self.begin;
        let covered = self.trimmed.as_ref().is_some_and(|trimmed| {
            trimmed.seq > *seq || (trimmed.seq == *seq && trimmed.hash.eq_ignore_ascii_case(prev))
        });
        if *seq == 0 || covered {
            return Ok(());
        }
        Err(broken(&format!(
            "the chain of {org} begins after number {seq}, and no audit.trim entry says that retention removed the earlier ones: entries are missing"
        )))
    }
}

/// Returns what an `audit.trim` entry records as removed; `None` for any other entry.
fn trim(entry: &Entry) -> Option<Trimmed> {
    let detail = entry.detail.as_deref().filter(|_| entry.action == "audit.trim")?;
    serde_json::from_str(detail).ok().filter(|trimmed: &Trimmed| trimmed.seq < entry.seq)
}

pub(super) fn broken(what: &str) -> Error {
    Error::new(ErrorKind::Conflict, super::BROKEN, format!("The audit log is broken: {what}"))
}
