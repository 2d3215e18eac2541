//! How many passwords are hashed at once? Two on the whole server, since each takes 19 MiB and a core; others wait, and not too many.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::blocking;
use crate::actions::app::App;
use crate::actions::error::{Error, Kind};

/// Hashes at once.
const AT_ONCE: usize = 2;

/// Callers that may wait for their turn; a turn takes about 20 ms.
const WAITING: usize = 256;

/// The one gate of all work with passwords: every clone is the same gate.
#[derive(Clone)]
pub struct PasswordWork {
    /// Held by those that hash. Waiting for it takes no thread from others.
    turns: Arc<Semaphore>,
    /// Held by those that wait, too.
    places: Arc<Semaphore>,
}

impl Default for PasswordWork {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)), places: Arc::new(Semaphore::new(AT_ONCE + WAITING)) }
    }
}

impl PasswordWork {
    /// Runs work with passwords when it is its turn, on a thread that may block.
    pub async fn run<T: Send + 'static>(
        &self,
        app: &Arc<App>,
        work: impl FnOnce(&App) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| busy())?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(Error::internal)?;
        // Held by the work itself: a client that leaves does not end it, so it must not make room for another either.
        let held = (place, turn);
        blocking(app, move |app| {
            let done = work(app);
            drop(held);
            done
        })
        .await
    }
}

fn busy() -> Error {
    let message = "Too many passwords are being checked: nothing was changed. Try again";
    Error { retry_after: Some(Duration::from_secs(1)), ..Error::new(Kind::Unavailable, "SERVER_BUSY", message) }
}
