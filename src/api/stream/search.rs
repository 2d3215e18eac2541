//! Whose turn is it to look through a part of the log that shows nothing? One stream's at a time, and never for all of the time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, sleep_until};

/// A search is followed by a pause in which it could be done so many times: however many streams look for what is rare or
/// not there, together they take a fifth of one core.
const IDLE_SHARE: u32 = 4;

/// The order of those who search: as they came.
#[derive(Clone)]
pub(super) struct Searches {
    next: Arc<Mutex<Instant>>,
}

/// The right to search once. Nobody else has one meanwhile.
pub(super) struct Turn {
    next: OwnedMutexGuard<Instant>,
}

impl Searches {
    pub(super) fn new() -> Self {
        Self { next: Arc::new(Mutex::new(Instant::now())) }
    }

    /// Waits for a turn.
    pub(super) async fn turn(&self) -> Turn {
        let next = Arc::clone(&self.next).lock_owned().await;
        sleep_until(*next).await;
        Turn { next }
    }
}

impl Turn {
    /// The search is over, and took so long.
    pub(super) fn over(mut self, took: Duration) {
        *self.next = Instant::now() + took * IDLE_SHARE;
    }
}
