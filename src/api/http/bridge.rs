//! Runs actions that take long, or block, beside the async tasks.

use std::panic::resume_unwind;
use std::sync::Arc;

use crate::engine::app::App;
use crate::engine::error::Error;
use crate::engine::pending::Pending;

/// Runs an action that reads more than its response contains, such as a search. It reads on a blocking thread, and
/// releases the thread while its result is being committed.
///
/// All other actions are awaited where they are called: moving to another thread and back costs more than they do.
pub async fn act<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce(&App) -> Pending<T> + Send + 'static,
) -> Result<T, Error> {
    blocking(app, move |app| Ok(work(app))).await?.await
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
