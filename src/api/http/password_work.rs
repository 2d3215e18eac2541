//! How many passwords are hashed at once? Two for the whole server; the others wait without a thread, and only so many may.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::bridge::blocking;
use crate::engine::app::App;
use crate::engine::error::{Error, ErrorKind};

/// Hashes at once: each takes 19 MiB and a core.
const HASHES_AT_ONCE: usize = 2;

/// Callers that may wait for their turn; a turn takes some 20 ms.
const WAITING: usize = 256;

/// The one gate for all work on passwords; its clones share it.
#[derive(Clone)]
pub struct PasswordWork {
    turns: Arc<Semaphore>,
    /// Held by those that wait, too.
    queue: Arc<Semaphore>,
}

impl Default for PasswordWork {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(HASHES_AT_ONCE)),
            queue: Arc::new(Semaphore::new(HASHES_AT_ONCE + WAITING)),
        }
    }
}

impl PasswordWork {
    /// Runs what hashes or compares a password when it is its turn, on a thread that may block.
    pub async fn run<T: Send + 'static>(
        &self,
        app: &Arc<App>,
        work: impl FnOnce(&App) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let queued = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| busy())?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(Error::internal)?;
        // Held by the work itself: a client that leaves does not end it.
        let held = (queued, turn);
        blocking(app, move |app| {
            let done = work(app);
            drop(held);
            done
        })
        .await
    }
}

fn busy() -> Error {
    let message = "Too many passwords are being looked at: nothing was changed. Try again";
    Error { retry_after: Some(Duration::from_secs(1)), ..Error::new(ErrorKind::Unavailable, "SERVER_BUSY", message) }
}
