//! Runs actions, which may block, from async tasks.

use std::panic::resume_unwind;
use std::sync::Arc;

use crate::engine::app::App;
use crate::engine::error::Error;
use crate::engine::pending::Pending;

/// Runs an action. It reads and computes on a blocking thread, and releases the thread while its result is being
/// committed.
pub async fn act<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce(&App) -> Pending<T> + Send + 'static,
) -> Result<T, Error> {
    blocking(app, move |app| Ok(work(app))).await?.await
}

/// Awaits an action that only looked up a few rows and computed for about ten microseconds. It runs on the current
/// thread, since moving to another and back costs more.
pub async fn at_the_door<T>(pending: Pending<T>) -> Result<T, Error> {
    pending.await
}

/// Runs work that returns its result directly, on a blocking thread.
pub async fn blocking<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce(&App) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let app = Arc::clone(app);
    let done = tokio::task::spawn_blocking(move || work(&app)).await;
    // Panics are handled where all panics of requests end.
    done.unwrap_or_else(|ended| {
        ended
            .try_into_panic()
            .map_or_else(|_| Err(Error::internal("the server is stopping")), |panic| resume_unwind(panic))
    })
}
