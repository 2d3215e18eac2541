//! Does each entry follow the one before it? What a verification knows on its way through the chains.

use std::collections::HashMap;

use super::VerifiedLog;
use crate::crypto::chain::{self, ChainHash};
use crate::domain::audit::Entry;
use crate::domain::event::Head;
use crate::engine::error::{Error, ErrorKind};

/// A chain as far as it was walked.
struct Chain {
    /// The place and the hash before its first entry.
    begin: (i64, String),
    /// Its last entry so far.
    end: (i64, ChainHash),
    /// What its latest `audit.trim` says was removed.
    trimmed: Option<Trimmed>,
}

/// What an `audit.trim` says: the last removed entry.
#[derive(Clone, PartialEq, Eq, serde::Deserialize)]
struct Trimmed {
    seq: i64,
    hash: String,
}

/// A verification on its way: where each chain begins and ends so far.
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
            // What was before may have been removed: whether it was is said by an entry that follows.
            None if entry.seq > 1 => match chain::unhex(&entry.prev_hash) {
                Some(prev) => (entry.seq - 1, prev),
                None => return bad("the hash before it is none"),
            },
            None => (0, chain::START),
        };
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
        if let Some(known) = self.wanted.get_mut(entry.org.as_str()).and_then(|heads| heads.remove(&entry.seq))
            && !known.eq_ignore_ascii_case(&text)
        {
            return bad("it is not the entry whose hash was kept: the chain was written anew");
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

    /// The verdict; `trim_points` are those of a database, which an export does not have.
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
                "the chain of {org} ends at {end}, but entry {seq} was kept: its tail was cut"
            )));
        }
        Ok(VerifiedLog { entries: self.entries, chains: self.chains.len(), removed })
    }

    /// A trim point says what the latest `audit.trim` of its chain says, and each of these has its trim point.
    fn check_trim_points(&self, trim_points: &[Head]) -> Result<(), Error> {
        let mut trim_points: HashMap<_, _> =
            trim_points.iter().map(|trim_point| (trim_point.org.as_str(), trim_point)).collect();
        for (org, chain) in &self.chains {
            let trim_point = trim_points.remove(org.as_str());
            let trim_point =
                trim_point.map(|trim_point| Trimmed { seq: trim_point.seq, hash: trim_point.hash.clone() });
            if trim_point != chain.trimmed {
                return Err(broken(&format!(
                    "the trim point of {org} is not what its last audit.trim says was removed: it was moved by hand"
                )));
            }
        }
        match trim_points.keys().next() {
            Some(org) => Err(broken(&format!("there is a trim point of {org}, but no entry: the chain is missing"))),
            None => Ok(()),
        }
    }

    /// Kept heads of what retention removed are no alarm; they can only be counted.
    fn forgive_removed(&mut self) -> Result<Vec<Head>, Error> {
        let mut removed = Vec::new();
        for (org, heads) in &mut self.wanted {
            let Some(chain) = self.chains.get(*org) else { continue };
            for (seq, hash) in heads.extract_if(|seq, _| *seq <= chain.begin.0) {
                if seq == chain.begin.0 && !hash.eq_ignore_ascii_case(&chain.begin.1) {
                    return Err(broken(&format!(
                        "the last removed entry of {org}, number {seq}, is not the one whose hash was kept: the chain was written anew"
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
    /// What is missing at the beginning was removed by retention: an entry says so. It may say more than is gone yet.
    fn begins_well(&self, org: &str) -> Result<(), Error> {
        let (seq, prev) = &self.begin;
        let covered = self.trimmed.as_ref().is_some_and(|trimmed| {
            trimmed.seq > *seq || (trimmed.seq == *seq && trimmed.hash.eq_ignore_ascii_case(prev))
        });
        if *seq == 0 || covered {
            return Ok(());
        }
        Err(broken(&format!(
            "the chain of {org} begins after number {seq}, and no audit.trim says that retention removed what came before: entries are missing"
        )))
    }
}

/// What an entry says was removed, if it is an `audit.trim` that comes after it.
fn trim(entry: &Entry) -> Option<Trimmed> {
    let detail = entry.detail.as_deref().filter(|_| entry.action == "audit.trim")?;
    serde_json::from_str(detail).ok().filter(|trimmed: &Trimmed| trimmed.seq < entry.seq)
}

pub(super) fn broken(what: &str) -> Error {
    Error::new(ErrorKind::Conflict, "AUDIT_BROKEN", format!("The audit log is broken: {what}"))
}
