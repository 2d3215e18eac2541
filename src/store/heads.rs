//! The ends of the audit log's chains, cached in memory. Only committed changes move them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use crate::crypto::chain::ChainHash;
use crate::domain::id::OrgId;

/// The position and the hash of the last entry of a chain.
pub(super) type ChainEnd = (i64, ChainHash);

/// The ends of the audit log's chains. What a change moved counts only once it is committed.
#[derive(Default)]
pub(super) struct Heads {
    /// The ends as of the last completed change, plus those that the current change has moved.
    ends: RefCell<HashMap<Option<OrgId>, ChainEnd>>,
    last_id: Cell<Option<i64>>,
    /// The previous values of the current change, for its rollback.
    undo: RefCell<Vec<(Option<OrgId>, Option<ChainEnd>)>>,
    undo_last_id: Cell<Option<i64>>,
}

impl Heads {
    pub(super) fn head(&self, org: Option<OrgId>) -> Option<ChainEnd> {
        self.ends.borrow().get(&org).copied()
    }

    pub(super) fn last_id(&self) -> Option<i64> {
        self.last_id.get()
    }

    pub(super) fn advance(&self, org: Option<OrgId>, head: ChainEnd, id: i64) {
        let before = self.ends.borrow_mut().insert(org, head);
        self.undo.borrow_mut().push((org, before));
        self.last_id.set(Some(id));
    }

    /// Makes the next entry's id greater than `id`.
    pub(super) fn pass_over(&self, id: i64) {
        self.last_id.set(Some(id));
    }

    pub(super) fn begin(&self) {
        self.undo.borrow_mut().clear();
        self.undo_last_id.set(self.last_id.get());
    }

    pub(super) fn undo(&self) {
        let mut heads = self.ends.borrow_mut();
        for (org, before) in self.undo.borrow_mut().drain(..).rev() {
            match before {
                Some(head) => heads.insert(org, head),
                None => heads.remove(&org),
            };
        }
        self.last_id.set(self.undo_last_id.get());
    }

    /// Clears the cache after a transaction was lost: the ends are read from the table again.
    pub(super) fn forget(&self) {
        self.ends.borrow_mut().clear();
        self.last_id.set(None);
    }
}
