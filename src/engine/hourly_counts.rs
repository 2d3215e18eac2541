//! Counts of each organization for its statistics. They are in memory until they are written, once a minute, because a
//! write for each verification would cost more than the verification.

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::domain::api_key::Verdict;
use crate::domain::id::OrgId;
use crate::domain::statistics::Counted;

/// The counts that are not written yet, of organizations that exist.
#[derive(Default)]
pub(crate) struct HourlyCounts(RwLock<HashMap<OrgId, Arc<OrgCounts>>>);

#[derive(Default)]
struct OrgCounts {
    /// In the order of [`Verdict::ALL`].
    verdicts: [AtomicI64; Verdict::ALL.len()],
    /// By HTTP status.
    calls: Mutex<BTreeMap<u16, i64>>,
}

impl HourlyCounts {
    /// Counts a verification for an organization that is known to exist.
    pub(crate) fn verified(&self, org: OrgId, verdict: Verdict) {
        self.of(org).verified(verdict);
    }

    /// Counts a verification for an organization that somebody without a credential has named. It is not counted before
    /// the organization is known, so that nobody fills the memory with names.
    pub(crate) fn verified_if_known(&self, org: OrgId, verdict: Verdict) {
        if let Some(counts) = self.known(org) {
            counts.verified(verdict);
        }
    }

    /// Counts the call of a known caller of an organization.
    pub(crate) fn called(&self, org: OrgId, status: u16) {
        let counts = self.of(org);
        *counts.calls.lock().unwrap_or_else(PoisonError::into_inner).entry(status).or_default() += 1;
    }

    /// Removes and returns the counts.
    pub(crate) fn take(&self) -> Vec<(OrgId, Counted, i64)> {
        let orgs: Vec<_> = {
            let orgs = self.0.read().unwrap_or_else(PoisonError::into_inner);
            orgs.iter().map(|(org, counts)| (*org, Arc::clone(counts))).collect()
        };
        let mut taken = Vec::new();
        for (org, counts) in orgs {
            for (verdict, count) in Verdict::ALL.into_iter().zip(&counts.verdicts) {
                taken.push((org, Counted::Verification(verdict), count.swap(0, Ordering::Relaxed)));
            }
            let calls = mem::take(&mut *counts.calls.lock().unwrap_or_else(PoisonError::into_inner));
            taken.extend(calls.into_iter().map(|(status, count)| (org, Counted::Call(status), count)));
        }
        taken.retain(|(_, _, count)| *count > 0);
        taken
    }

    /// Adds counts that could not be written.
    pub(crate) fn put_back(&self, taken: &[(OrgId, Counted, i64)]) {
        for (org, counted, count) in taken {
            let counts = self.of(*org);
            match counted {
                Counted::Verification(verdict) => counts.add(*verdict, *count),
                Counted::Call(status) => {
                    *counts.calls.lock().unwrap_or_else(PoisonError::into_inner).entry(*status).or_default() += count;
                }
                // Counted where it is written.
                Counted::NodeHeard => {}
            }
        }
    }

    fn known(&self, org: OrgId) -> Option<Arc<OrgCounts>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&org).cloned()
    }

    fn of(&self, org: OrgId) -> Arc<OrgCounts> {
        self.known(org).unwrap_or_else(|| {
            Arc::clone(self.0.write().unwrap_or_else(PoisonError::into_inner).entry(org).or_default())
        })
    }
}

impl OrgCounts {
    fn verified(&self, verdict: Verdict) {
        self.add(verdict, 1);
    }

    fn add(&self, verdict: Verdict, count: i64) {
        self.verdicts[verdict as usize].fetch_add(count, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_kept_per_organization_until_they_are_taken() {
        let [first, second, unknown] = [1, 2, 3].map(|byte| OrgId::from_bytes([byte; 16]));
        let counts = HourlyCounts::default();
        for verdict in Verdict::ALL {
            counts.verified(first, verdict);
        }
        counts.verified_if_known(first, Verdict::NotFound);
        counts.verified_if_known(unknown, Verdict::NotFound);
        for status in [200, 403, 200] {
            counts.called(second, status);
        }
        let mut taken = counts.take();
        taken.sort_unstable_by_key(|(org, counted, _)| (*org, counted.outcome()));
        let of_first = |verdict, count| (first, Counted::Verification(verdict), count);
        let expected = [
            of_first(Verdict::Disabled, 1),
            of_first(Verdict::Expired, 1),
            of_first(Verdict::InsufficientRole, 1),
            of_first(Verdict::NotFound, 2),
            of_first(Verdict::NotYetValid, 1),
            of_first(Verdict::Valid, 1),
            of_first(Verdict::WrongProject, 1),
            (second, Counted::Call(200), 2),
            (second, Counted::Call(403), 1),
        ];
        assert_eq!(taken, expected);
        assert!(counts.take().is_empty(), "they were taken");
        counts.called(second, 200);
        counts.put_back(&taken[7..]);
        assert_eq!(counts.take(), [(second, Counted::Call(200), 3), (second, Counted::Call(403), 1)]);
        counts.put_back(&taken);
        let mut again = counts.take();
        again.sort_unstable_by_key(|(org, counted, _)| (*org, counted.outcome()));
        assert_eq!(again, taken);
    }
}
