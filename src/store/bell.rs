//! Who hears of new entries in the audit log? Whoever asked for it, after each commit that has some, before anybody is answered.

use std::fmt;
use std::sync::{Mutex, PoisonError};

/// What is rung with the id of the last entry. It runs on the writer's thread, so it must only pass the word on.
type Ring = Box<dyn Fn(i64) + Send>;

/// Rung by the writer.
#[derive(Default)]
pub(super) struct Bell(Mutex<Vec<Ring>>);

impl Bell {
    pub(super) fn hear(&self, ring: impl Fn(i64) + Send + 'static) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(ring));
    }

    pub(super) fn ring(&self, last_id: i64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|ring| ring(last_id));
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bell")
    }
}
