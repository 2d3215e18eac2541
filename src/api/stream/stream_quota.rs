//! How many may follow at once? So many in all, and so many with one credential.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::api::http::metrics::Metrics;
use crate::domain::id::OrgId;
use crate::engine::caller::{Caller, CredentialId};
use crate::engine::error::Error;

/// The most streams in all.
const MOST: u32 = 1_000;

/// The most streams of one organization: the others must have room too.
const MOST_OF_ONE: usize = 200;

/// The most streams with one credential.
const MOST_EACH: usize = 20;

/// When one that was refused may try again.
const AGAIN: Duration = Duration::from_secs(10);

/// The places that are taken.
pub struct StreamQuota {
    taken: Mutex<Taken>,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Taken {
    all: u32,
    each: HashMap<CredentialId, usize>,
    of: HashMap<OrgId, usize>,
}

/// A place, which is free again when this is dropped.
pub struct StreamSlot {
    stream_quota: Arc<StreamQuota>,
    credential: CredentialId,
    org: OrgId,
}

impl StreamQuota {
    /// All places free; `metrics` shows how many are not.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { taken: Mutex::default(), metrics }
    }

    /// A place for a caller, if there is one.
    pub fn take(self: &Arc<Self>, caller: &Caller) -> Result<StreamSlot, Error> {
        let credential = caller.credential();
        let (org, credential) =
            credential.ok_or_else(|| Error::internal("a stream for a caller without a credential"))?;
        let mut taken = self.taken();
        if taken.all >= MOST {
            return Err(Error::too_many(AGAIN, "1000 streams are open on this server: try again later"));
        }
        if taken.of.get(&org).is_some_and(|open| *open >= MOST_OF_ONE) {
            return Err(Error::too_many(AGAIN, "200 streams of this organization are open: end one of them first"));
        }
        let own = taken.each.entry(credential).or_default();
        if *own >= MOST_EACH {
            return Err(Error::too_many(AGAIN, "20 streams are open with this credential: end one of them first"));
        }
        *own += 1;
        *taken.of.entry(org).or_default() += 1;
        taken.all += 1;
        drop(taken);
        self.metrics.stream_opened();
        Ok(StreamSlot { stream_quota: Arc::clone(self), credential, org })
    }

    /// How many are taken.
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
