//! How is the courier told to look at what is due? By each commit that recorded something.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Tells the courier to look at what is due. It only passes the word on, so it may be used on the writer's thread.
#[derive(Clone, Debug, Default)]
pub struct DeliveryNotifier(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    notify: Notify,
    hurried: AtomicBool,
}

impl DeliveryNotifier {
    /// There may be something new.
    pub fn notify(&self) {
        self.0.notify.notify_one();
    }

    /// The same, and no webhook is left alone any longer. For tests, whose clock stands still.
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
