//! Limits open event streams: per credential, per organization and in total.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::api::http::metrics::Metrics;
use crate::domain::id::OrgId;
use crate::engine::caller::{Caller, CredentialId};
use crate::engine::error::Error;

/// Maximum number of open streams.
const MOST: u32 = 1_000;

/// Maximum number of open streams of one organization, which leaves room for others.
const MOST_OF_ONE: usize = 200;

/// Maximum number of open streams of one credential.
const MOST_EACH: usize = 20;

/// How long a refused client waits before it retries.
const AGAIN: Duration = Duration::from_secs(10);

/// The counts of open streams.
pub struct StreamQuota {
    taken: Mutex<Taken>,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Taken {
    all: u32,
    /// By credential; the server's administrator has none.
    each: HashMap<Option<CredentialId>, usize>,
    of: HashMap<Option<OrgId>, usize>,
}

/// The slot of an open stream, released on drop.
pub struct StreamSlot {
    stream_quota: Arc<StreamQuota>,
    credential: Option<CredentialId>,
    org: Option<OrgId>,
}

impl StreamQuota {
    /// Creates the quota with no open streams. `metrics` shows their number.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { taken: Mutex::default(), metrics }
    }

    /// Takes a slot for a caller, or fails if a limit is reached.
    pub fn take(self: &Arc<Self>, caller: &Caller) -> Result<StreamSlot, Error> {
        let credential = caller.credential().map(|(_, credential)| credential);
        let org = caller.org();
        let mut taken = self.taken();
        if taken.all >= MOST {
            return Err(Error::too_many(AGAIN, "The server already has 1000 open streams: retry later"));
        }
        if taken.of.get(&org).is_some_and(|open| *open >= MOST_OF_ONE) {
            return Err(Error::too_many(AGAIN, "The organization already has 200 open streams: close one first"));
        }
        let own = taken.each.entry(credential).or_default();
        if *own >= MOST_EACH {
            return Err(Error::too_many(AGAIN, "The credential already has 20 open streams: close one first"));
        }
        *own += 1;
        *taken.of.entry(org).or_default() += 1;
        taken.all += 1;
        drop(taken);
        self.metrics.stream_opened();
        Ok(StreamSlot { stream_quota: Arc::clone(self), credential, org })
    }

    /// Returns the number of open streams.
    pub fn open(&self) -> u32 {
        self.taken().all
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        let mut taken = self.stream_quota.taken();
        taken.all -= 1;
        if let Some(open) = taken.of.get_mut(&self.org) {
            *open -= 1;
            if *open == 0 {
                taken.of.remove(&self.org);
            }
        }
        if let Some(own) = taken.each.get_mut(&self.credential) {
            *own -= 1;
            if *own == 0 {
                taken.each.remove(&self.credential);
            }
        }
        drop(taken);
        self.stream_quota.metrics.stream_ended();
    }
}
