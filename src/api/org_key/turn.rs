//! The queue of callers whose key pair is to be generated, one at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::engine::error::Error;

/// Callers that may be queued to generate a key, which takes up to 170 ms each.
const WAITING: usize = 128;

/// The queue.
#[derive(Clone)]
pub struct Turns {
    /// Held by the caller whose key is being generated. Waiting for it occupies no thread.
    turn: Arc<Semaphore>,
    /// Held by that caller and by those in the queue.
    queue: Arc<Semaphore>,
}

/// A caller's turn, until it is dropped. Moved into the work: a client that disconnects does not release it early.
pub(super) struct Held {
    _queued: OwnedSemaphorePermit,
    _turn: OwnedSemaphorePermit,
}

impl Default for Turns {
    fn default() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), queue: Arc::new(Semaphore::new(WAITING)) }
    }
}

impl Turns {
    /// Waits for the caller's turn, unless too many are waiting.
    pub(super) async fn wait(&self) -> Result<Held, Error> {
        let too_many = || {
            let message = "Too many keys are being generated at the same time: retry in a second";
            Error::too_many(Duration::from_secs(1), message)
        };
        let queued = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| too_many())?;
        let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(Error::internal)?;
        Ok(Held { _queued: queued, _turn: turn })
    }
}
