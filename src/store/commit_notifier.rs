//! Notifies subscribers of new audit log entries after each commit, before any caller gets its reply.

use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Called with the id of the last entry. It runs on the writer's thread, so it must only hand the id on.
type CommitListener = Box<dyn Fn(i64) + Send>;

/// The listeners, which the writer notifies.
#[derive(Default)]
pub(super) struct CommitNotifier(Mutex<Vec<CommitListener>>);

impl CommitNotifier {
    pub(super) fn subscribe(&self, listener: impl Fn(i64) + Send + 'static) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(listener));
    }

    pub(super) fn notify(&self, last_id: i64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|listener| listener(last_id));
    }
}

impl fmt::Debug for CommitNotifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CommitNotifier")
    }
}
