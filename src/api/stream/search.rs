//! Takes turns in searching parts of the log that show nothing: one stream at a time, with a pause after each search.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, sleep_until};

/// The pause after a search, as a multiple of its duration. However many streams search for rare or absent events,
/// together they use a fifth of one core.
const IDLE_SHARE: u32 = 4;

/// The queue of searching streams, first come, first served.
#[derive(Clone)]
pub(super) struct Searches {
    next: Arc<Mutex<Instant>>,
}

/// The exclusive right to search once.
pub(super) struct SearchTurn {
    next: OwnedMutexGuard<Instant>,
}

impl Searches {
    pub(super) fn new() -> Self {
        Self { next: Arc::new(Mutex::new(Instant::now())) }
    }

    /// Waits for a turn.
    pub(super) async fn turn(&self) -> SearchTurn {
        let next = Arc::clone(&self.next).lock_owned().await;
        sleep_until(*next).await;
        SearchTurn { next }
    }
}

impl SearchTurn {
    /// Ends the search, which took `took`.
    pub(super) fn over(mut self, took: Duration) {
        *self.next = Instant::now() + took * IDLE_SHARE;
    }
}
