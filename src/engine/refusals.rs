//! Counts refused signed calls and passwords in memory, to be recorded per minute, so that strangers cannot fill the
//! disk.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::mem;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::environment::Environment;
use super::error::{self, Error};
use super::limits::Limiter;
use crate::domain::event::{Event, network};
use crate::domain::id::OrgId;
use crate::domain::time::Time;

/// The maximum number of separate counts per organization; further networks are counted together as `other`.
const TOLD_APART: usize = 256;

const MINUTE: i64 = 60_000;

/// The error code for a new node of an organization at its limit.
pub(crate) const NODE_LIMIT: &str = "NODE_LIMIT_REACHED";

/// What was refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Refused {
    SignedCall,
    Login,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct RefusalKey {
    what: Refused,
    code: &'static str,
    /// `None` for networks that are counted together.
    network: Option<IpAddr>,
    minute: i64,
}

impl RefusalKey {
    /// Returns the event that records `count` of these refusals.
    pub(crate) fn event(&self, org: OrgId, count: u64) -> Event {
        let (code, minute) = (self.code, Time::from_millis(self.minute));
        let network = self.network.map_or_else(|| "other".to_owned(), |network| network.to_string());
        match self.what {
            Refused::SignedCall => Event::SignedCallsRefused { org, code, network, minute, count },
            Refused::Login => Event::LoginsRefused { org, code, network, minute, count },
        }
    }

    fn of(what: Refused, code: &'static str, address: Option<IpAddr>, now: Time) -> Self {
        let minute = now.millis() - now.millis().rem_euclid(MINUTE);
        Self { what, code, network: address.map(network), minute }
    }
}

/// The counts that are not recorded yet.
#[derive(Default)]
pub struct RefusalCounts {
    counts: Mutex<HashMap<OrgId, HashMap<RefusalKey, u64>>>,
}

impl RefusalCounts {
    /// Counts a refused signed call.
    pub(crate) fn count(&self, org: OrgId, code: &'static str, address: Option<IpAddr>, now: Time) {
        self.add(org, RefusalKey::of(Refused::SignedCall, code, address, now));
    }

    /// Counts a password attempt for a member that failed or was beyond the limits.
    pub(crate) fn count_login(&self, org: OrgId, code: &'static str, address: Option<IpAddr>, now: Time) {
        self.add(org, RefusalKey::of(Refused::Login, code, address, now));
    }

    fn add(&self, org: OrgId, mut kind: RefusalKey) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = counts.entry(org).or_default();
        if counts.len() >= TOLD_APART && !counts.contains_key(&kind) {
            kind.network = None;
        }
        *counts.entry(kind).or_default() += 1;
    }

    /// Puts back counts that could not be recorded, the newest first. Counts that no longer fit are added to the newest
    /// minute's `other` of their code, so that their number stays bounded however long the disk is full.
    pub(crate) fn put_back(&self, mut taken: Vec<(OrgId, RefusalKey, u64)>) {
        taken.sort_by_key(|(_, kind, _)| (Reverse(kind.minute), kind.network));
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for (org, mut kind, count) in taken {
            let counts = counts.entry(org).or_default();
            if counts.len() >= TOLD_APART && !counts.contains_key(&kind) {
                let alike =
                    |other: &&RefusalKey| (other.what, other.code, other.network) == (kind.what, kind.code, None);
                let others = counts.keys().filter(alike);
                kind.minute = others.map(|other| other.minute).max().unwrap_or(kind.minute);
                kind.network = None;
            }
            *counts.entry(kind).or_default() += count;
        }
    }

    /// Removes and returns the counts of minutes that have ended at `ended_before`, or all counts if it is `None`.
    pub(crate) fn take(&self, ended_before: Option<Time>) -> Vec<(OrgId, RefusalKey, u64)> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = |kind: &RefusalKey| ended_before.is_none_or(|now| kind.minute + MINUTE <= now.millis());
        let mut taken = Vec::new();
        for (org, kinds) in counts.iter_mut() {
            let (out, rest) = mem::take(kinds).into_iter().partition(|(kind, _)| ended(kind));
            *kinds = rest;
            let out: HashMap<RefusalKey, u64> = out;
            taken.extend(out.into_iter().map(|(kind, count)| (*org, kind, count)));
        }
        counts.retain(|_, kinds| !kinds.is_empty());
        taken
    }
}

/// Counts a refused signed call against its network and for its organization.
pub struct RefusalCounter {
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) refusals: Arc<RefusalCounts>,
    pub(crate) env: Environment,
    pub(crate) org: Option<OrgId>,
    pub(crate) address: Option<IpAddr>,
}

impl RefusalCounter {
    /// Counts the error of a call, if it is a refusal.
    pub(crate) fn see(&self, error: &Error) {
        if error.kind != error::ErrorKind::Invalid {
            return;
        }
        // A node beyond the limit has a valid signature, so the other nodes of its network must not be slowed down.
        if error.code != NODE_LIMIT {
            self.limiter.signed_call_refused(self.address);
        }
        if let Some(org) = self.org {
            self.refusals.count(org, error.code, self.address, self.env.now());
        }
    }
}
