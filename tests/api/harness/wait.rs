//! Waits with a deadline: what never comes fails the test that waits for it, by its name.

use std::fmt::Display;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use tokio::time::{sleep, timeout};

/// Far beyond everything here, so it is reached only when something is lost.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Waits for work that must end.
pub async fn within<T>(what: impl Display, work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}

/// Looks again and again until something is so.
pub async fn until(what: impl Display, mut is_so: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !is_so().await {
            sleep(Duration::from_millis(1)).await;
        }
    };
    within(what, looking).await;
}

/// Waits for the next word of another thread.
pub fn received<T>(what: &str, from: &Receiver<T>) -> T {
    from.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("not within {PATIENCE:?}: {what} ({error})"))
}
