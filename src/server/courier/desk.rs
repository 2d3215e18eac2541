//! Where does the courier ask, and how is it called? The actions on deliveries, and a bell that rings when there are new ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use crate::actions::app::App;
use crate::actions::delivery::{self, Due, Hands};
use crate::actions::error::Error;
use crate::domain::delivery::Tried;
use crate::domain::time::Time;

/// What is to be carried and what came of it; a test of the courier alone has one of its own. All of it may block.
pub trait Desk: Send + Sync {
    /// As [`delivery::due`].
    fn due(&self, hands: &Hands, most: usize) -> Result<Due, Error>;
    /// As [`delivery::settle`].
    fn settle(&self, tries: Vec<Tried>) -> Result<(), Error>;
    /// The time in which deliveries are due.
    fn now(&self) -> Time;
}

/// The desk of an open server.
pub struct Office(pub Arc<App>);

impl Desk for Office {
    fn due(&self, hands: &Hands, most: usize) -> Result<Due, Error> {
        delivery::due(&self.0, hands, most)
    }

    fn settle(&self, tries: Vec<Tried>) -> Result<(), Error> {
        delivery::settle(&self.0, tries)
    }

    fn now(&self) -> Time {
        delivery::now(&self.0)
    }
}

/// Calls the courier to look at what is due. It is only rung, so it may be rung from the writer's thread.
#[derive(Clone, Debug, Default)]
pub struct Doorbell(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    rung: Notify,
    hurried: AtomicBool,
}

impl Doorbell {
    /// There may be something new.
    pub fn ring(&self) {
        self.0.rung.notify_one();
    }

    /// The same, and webhooks that failed a moment ago are not left alone any longer. For tests, whose clock stands still.
    pub fn hurry(&self) {
        self.0.hurried.store(true, Ordering::Release);
        self.ring();
    }

    pub(super) async fn rung(&self) {
        self.0.rung.notified().await;
    }

    pub(super) fn is_hurried(&self) -> bool {
        self.0.hurried.swap(false, Ordering::AcqRel)
    }
}
