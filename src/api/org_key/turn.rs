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

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn one_key_is_generated_at_a_time_and_128_callers_wait_or_generate() {
        let turns = Turns::default();
        let first = turns.wait().now_or_never().expect("at once").expect("a turn");
        let mut waiting: Vec<_> = (1..WAITING).map(|_| Box::pin(turns.wait())).collect();
        assert!(waiting.iter_mut().all(|turn| turn.as_mut().now_or_never().is_none()), "two at once");
        let refused = turns.wait().now_or_never().expect("at once").err().expect("one too many");
        assert_eq!((refused.code, refused.retry_after), ("TOO_MANY_REQUESTS", Some(Duration::from_secs(1))));
        drop(first);
        assert!(waiting[0].as_mut().now_or_never().is_some_and(|turn| turn.is_ok()), "first come, first served");
        let mut next = pin!(turns.wait());
        assert!(next.as_mut().now_or_never().is_none(), "there is room to wait again");
    }
}
