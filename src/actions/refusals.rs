//! What of the signed calls and the passwords that are refused? Counted in memory and recorded by the minute, so that a stranger cannot fill the disk.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::mem;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use super::app::App;
use super::error::Error;
use crate::domain::event::{Event, network};
use crate::domain::id::OrgId;
use crate::domain::time::Time;

/// Networks that are told apart in an organization's minute; the rest is one network, `other`.
const TOLD_APART: usize = 256;

/// Entries of one change, so that it stays within the room that a change may need.
const AT_ONCE: usize = 128;

const MINUTE: i64 = 60_000;

/// What was refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    SignedCall,
    Login,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Kind {
    what: What,
    code: &'static str,
    /// `None` for those that are not told apart.
    network: Option<IpAddr>,
    minute: i64,
}

impl Kind {
    fn of(what: What, code: &'static str, address: Option<IpAddr>, now: Time) -> Self {
        let minute = now.millis() - now.millis().rem_euclid(MINUTE);
        Self { what, code, network: address.map(network), minute }
    }
}

/// The counts that are not recorded yet.
#[derive(Default)]
pub(super) struct Refusals {
    counts: Mutex<HashMap<OrgId, HashMap<Kind, u64>>>,
}

impl Refusals {
    /// Counts a refused signed call.
    pub(super) fn count(&self, org: OrgId, code: &'static str, address: Option<IpAddr>, now: Time) {
        self.add(org, Kind::of(What::SignedCall, code, address, now));
    }

    /// Counts a password of a member that was wrong, or not looked at any more.
    pub(super) fn count_login(&self, org: OrgId, code: &'static str, address: Option<IpAddr>, now: Time) {
        self.add(org, Kind::of(What::Login, code, address, now));
    }

    fn add(&self, org: OrgId, mut kind: Kind) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = counts.entry(org).or_default();
        if counts.len() >= TOLD_APART && !counts.contains_key(&kind) {
            kind.network = None;
        }
        *counts.entry(kind).or_default() += 1;
    }

    /// Takes counts back that could not be recorded, the newest first. What is not told apart any more is added to the newest
    /// minute's `other` of its code, so that there are no more of them however long the disk stays full.
    fn put_back(&self, mut taken: Vec<(OrgId, Kind, u64)>) {
        taken.sort_by_key(|(_, kind, _)| (Reverse(kind.minute), kind.network));
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for (org, mut kind, count) in taken {
            let counts = counts.entry(org).or_default();
            if counts.len() >= TOLD_APART && !counts.contains_key(&kind) {
                let alike = |other: &&Kind| (other.what, other.code, other.network) == (kind.what, kind.code, None);
                let others = counts.keys().filter(alike);
                kind.minute = others.map(|other| other.minute).max().unwrap_or(kind.minute);
                kind.network = None;
            }
            *counts.entry(kind).or_default() += count;
        }
    }

    /// Takes out the counts of minutes that ended before `now`, or all of them.
    fn take(&self, ended_before: Option<Time>) -> Vec<(OrgId, Kind, u64)> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = |kind: &Kind| ended_before.is_none_or(|now| kind.minute + MINUTE <= now.millis());
        let mut taken = Vec::new();
        for (org, kinds) in counts.iter_mut() {
            let (out, kept) = mem::take(kinds).into_iter().partition(|(kind, _)| ended(kind));
            *kinds = kept;
            let out: HashMap<Kind, u64> = out;
            taken.extend(out.into_iter().map(|(kind, count)| (*org, kind, count)));
        }
        counts.retain(|_, kinds| !kinds.is_empty());
        taken
    }
}

fn event(org: OrgId, kind: &Kind, count: u64) -> Event {
    let (code, minute) = (kind.code, Time::from_millis(kind.minute));
    let network = kind.network.map_or_else(|| "other".to_owned(), |network| network.to_string());
    match kind.what {
        What::SignedCall => Event::SignedCallsRefused { org, code, network, minute, count },
        What::Login => Event::LoginsRefused { org, code, network, minute, count },
    }
}

/// Records the counts of the minutes that have ended; at a clean stop, those of the running one too. Counts that cannot be recorded now are kept for the next time.
pub fn flush(app: &App, stopping: bool) -> Result<(), Error> {
    let mut taken = app.refusals.take((!stopping).then(|| app.now()));
    while !taken.is_empty() {
        let rest = taken.split_off(taken.len().min(AT_ONCE));
        let entries = taken.iter().map(|(org, kind, count)| (*org, event(*org, kind, *count))).collect();
        if let Err(error) = app.append_counted(entries) {
            taken.extend(rest);
            app.refusals.put_back(taken);
            return Err(error);
        }
        taken = rest;
    }
    Ok(())
}
