//! Wakes the courier after each commit that recorded something.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Wakes the courier to look for due deliveries. It does no work itself, so it may be called on the writer's thread.
#[derive(Clone, Debug, Default)]
pub struct DeliveryNotifier(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    notify: Notify,
    hurried: AtomicBool,
}

impl DeliveryNotifier {
    /// Notifies the courier that there may be something new.
    pub fn notify(&self) {
        self.0.notify.notify_one();
    }

    /// As [`DeliveryNotifier::notify`], and ends every backoff. For tests, whose clock stands still.
    pub fn hurry(&self) {
        self.0.hurried.store(true, Ordering::Release);
        self.notify();
    }

    pub(super) async fn notified(&self) {
        self.0.notify.notified().await;
    }

    pub(super) fn is_hurried(&self) -> bool {
        self.0.hurried.swap(false, Ordering::AcqRel)
    }
}
