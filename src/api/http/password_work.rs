//! Limits concurrent password hashing to two for the whole server. Waiting callers occupy no thread, and their number
//! is limited.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::bridge::blocking;
use crate::engine::app::App;
use crate::engine::error::{Error, ErrorKind};

/// Maximum number of concurrent hashes, each of which uses 19 MiB and one core.
const HASHES_AT_ONCE: usize = 2;

/// Maximum number of waiting callers. A hash takes about 20 ms.
const WAITING: usize = 256;

/// The gate for all password hashing. Clones share it.
#[derive(Clone)]
pub struct PasswordWork {
    turns: Arc<Semaphore>,
    /// Held by running and waiting callers.
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
    /// Runs work that hashes or compares a password when it is its turn, on a blocking thread.
    pub async fn run<T: Send + 'static>(
        &self,
        app: &Arc<App>,
        work: impl FnOnce(&App) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let queued = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| busy())?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(Error::internal)?;
        // Moved into the work: a client that disconnects does not release them early.
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
    let message = "Too many passwords are being checked at the same time. Nothing was changed: retry in a second";
    Error { retry_after: Some(Duration::from_secs(1)), ..Error::new(ErrorKind::Unavailable, "SERVER_BUSY", message) }
}
