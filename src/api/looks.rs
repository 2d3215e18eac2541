//! How many go through many rows at once? Two of a kind and three in all: threads and readers are left to everybody else.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::actions::error::Error;

/// Of one kind. The others of a kind wait here, so that many of one, such as streams, keep none of another waiting for long.
const OF_A_KIND: usize = 2;

/// In all: half of the threads that may block, and one reader less than there are unless that is set.
const IN_ALL: usize = 3;

/// The places for looks of one kind, among the places for all.
pub struct Looks {
    own: Arc<Semaphore>,
    all: Arc<Semaphore>,
}

/// One look, until it is dropped. The work itself holds it: a client that leaves does not end it.
pub struct Look {
    _own: OwnedSemaphorePermit,
    _among_all: OwnedSemaphorePermit,
}

impl Default for Looks {
    fn default() -> Self {
        Self { own: Arc::new(Semaphore::new(OF_A_KIND)), all: Arc::new(Semaphore::new(IN_ALL)) }
    }
}

impl Looks {
    /// The places for looks of another kind.
    #[must_use]
    pub fn of_another_kind(&self) -> Self {
        Self { all: Arc::clone(&self.all), ..Self::default() }
    }

    /// Begins a look when there is a place for it.
    pub async fn begin(&self) -> Result<Look, Error> {
        let own = Arc::clone(&self.own).acquire_owned().await.map_err(Error::internal)?;
        let among_all = Arc::clone(&self.all).acquire_owned().await.map_err(Error::internal)?;
        Ok(Look { _own: own, _among_all: among_all })
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn looks_of_all_kinds_together_leave_threads_and_readers_to_everybody_else() {
        let events = Looks::default();
        let [streams, pages] = [events.of_another_kind(), events.of_another_kind()];
        let now = |looks: &Looks| looks.begin().now_or_never().map(|look| look.expect("a look"));
        let first = now(&streams).expect("the first");
        let _second = now(&streams).expect("the second");
        assert!(now(&streams).is_none(), "three of a kind");
        let _third = now(&events).expect("the first of another kind");
        let mut waiting = pin!(pages.begin());
        assert!(waiting.as_mut().now_or_never().is_none(), "four in all");
        drop(first);
        assert!(waiting.now_or_never().is_some_and(|look| look.is_ok()), "a place is free");
    }
}
