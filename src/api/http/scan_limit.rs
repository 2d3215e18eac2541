//! Limits concurrent scans of many rows: two of a kind and three in total, which leaves threads and database readers
//! for everything else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::id::OrgId;
use crate::engine::error::Error;

/// Maximum number of scans of one kind. Others of the kind wait, so that many of one, such as streams, do not delay
/// another kind for long.
const OF_A_KIND: usize = 2;

/// Maximum number of scans in total: half of the blocking threads, and one less than the number of database readers
/// unless that is configured.
const IN_ALL: usize = 3;

/// Number of organizations whose queues are kept. Beyond it, queues that nobody waits in are dropped.
const REMEMBERED: usize = 1_000;

/// The limit for scans of one kind, within the total limit.
pub struct ScanLimit {
    own: Arc<Semaphore>,
    all: Arc<Semaphore>,
    /// Only one caller of each organization waits for a permit, so that many of one do not delay the others.
    turns: Mutex<HashMap<OrgId, Arc<Semaphore>>>,
}

/// Permission for one scan, until it is dropped. The work itself holds it: a client that disconnects does not release
/// it early.
pub struct ScanPermit {
    _turn: Option<OwnedSemaphorePermit>,
    _own: OwnedSemaphorePermit,
    _among_all: OwnedSemaphorePermit,
}

impl Default for ScanLimit {
    fn default() -> Self {
        Self {
            own: Arc::new(Semaphore::new(OF_A_KIND)),
            all: Arc::new(Semaphore::new(IN_ALL)),
            turns: Mutex::default(),
        }
    }
}

impl ScanLimit {
    /// Returns the limit for scans of another kind, within the same total limit.
    #[must_use]
    pub fn of_another_kind(&self) -> Self {
        Self { all: Arc::clone(&self.all), ..Self::default() }
    }

    /// Waits for permission to scan: for callers of an organization, until it is their turn, and then until a permit is
    /// free.
    pub async fn begin(&self, org: Option<OrgId>) -> Result<ScanPermit, Error> {
        let turn = match org {
            Some(org) => Some(self.turn(org).acquire_owned().await.map_err(Error::internal)?),
            None => None,
        };
        let own = Arc::clone(&self.own).acquire_owned().await.map_err(Error::internal)?;
        let among_all = Arc::clone(&self.all).acquire_owned().await.map_err(Error::internal)?;
        Ok(ScanPermit { _turn: turn, _own: own, _among_all: among_all })
    }

    fn turn(&self, org: OrgId) -> Arc<Semaphore> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.len() >= REMEMBERED {
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        Arc::clone(turns.entry(org).or_insert_with(|| Arc::new(Semaphore::new(1))))
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn scans_are_limited_per_kind_and_in_total() {
        let events = ScanLimit::default();
        let [streams, pages] = [events.of_another_kind(), events.of_another_kind()];
        let now = |scan_limit: &ScanLimit| scan_limit.begin(None).now_or_never().map(|permit| permit.expect("a look"));
        let first = now(&streams).expect("the first");
        let _second = now(&streams).expect("the second");
        assert!(now(&streams).is_none(), "three of a kind");
        let _third = now(&events).expect("the first of another kind");
        let mut waiting = pin!(pages.begin(None));
        assert!(waiting.as_mut().now_or_never().is_none(), "four in all");
        drop(first);
        assert!(waiting.now_or_never().is_some_and(|permit| permit.is_ok()), "a place is free");
    }

    #[test]
    fn scans_of_one_organization_do_not_block_others() {
        let scan_limit = ScanLimit::default();
        let [one, other] = [1, 2].map(|byte| Some(OrgId::from_bytes([byte; 16])));
        let first = scan_limit.begin(one).now_or_never().expect("at once").expect("a look");
        let mut more = pin!(scan_limit.begin(one));
        assert!(more.as_mut().now_or_never().is_none(), "two of one organization");
        assert!(
            scan_limit.begin(other).now_or_never().is_some_and(|permit| permit.is_ok()),
            "a place is free for others"
        );
        drop(first);
        assert!(more.now_or_never().is_some_and(|permit| permit.is_ok()), "its turn");
    }

    #[test]
    fn organizations_without_end_do_not_fill_the_memory_and_those_that_scan_keep_their_turn() {
        let scan_limit = ScanLimit::default();
        let org = |number: u128| OrgId::from_bytes(number.to_be_bytes());
        let held = scan_limit.turn(org(0));
        for number in 1..=3 * REMEMBERED as u128 {
            drop(scan_limit.turn(org(number)));
            assert!(scan_limit.turns.lock().expect("not poisoned").len() <= REMEMBERED);
        }
        assert!(Arc::ptr_eq(&held, &scan_limit.turn(org(0))), "it could scan twice at the same time");
    }
}
