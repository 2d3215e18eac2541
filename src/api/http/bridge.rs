//! How does an async task run an action, which may block?

use std::panic::resume_unwind;
use std::sync::Arc;

use crate::engine::app::App;
use crate::engine::error::Error;
use crate::engine::pending::Pending;

/// Runs an action. It reads and computes on a thread that may block, and gives it back while its
/// answer is on its way to the disk.
pub async fn act<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce(&App) -> Pending<T> + Send + 'static,
) -> Result<T, Error> {
    blocking(app, move |app| Ok(work(app))).await?.await
}

/// Awaits an action that only looked up a few rows and computed for some ten microseconds: right here, since going to
/// another thread and back costs more.
pub async fn at_the_door<T>(pending: Pending<T>) -> Result<T, Error> {
    pending.await
}

/// Runs what has its answer at once on a thread that may block.
pub async fn blocking<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce(&App) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let app = Arc::clone(app);
    let done = tokio::task::spawn_blocking(move || work(&app)).await;
    // What it may say of itself is decided where all panics of requests end.
    done.unwrap_or_else(|ended| {
        ended.try_into_panic().map_or_else(|_| Err(Error::internal("the server stops")), |panic| resume_unwind(panic))
    })
}
