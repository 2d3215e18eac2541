//! What comes from outside the program? The present moment and randomness, handed in so that a test can hold them still.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rand::SeedableRng;
use rand::rngs::StdRng;
use uuid::Uuid;

use crate::domain::id::Ids;
use crate::domain::time::{Clock, Time};

/// The clock, the source of randomness and the ids that are made of both.
#[derive(Clone)]
pub struct Outside {
    clock: Arc<dyn Clock>,
    seed: fn() -> [u8; 32],
    ids: Arc<Ids>,
    /// For ids alone, which are many and no secrets: a fresh generator for each would ask the system each time.
    for_ids: Arc<Mutex<StdRng>>,
}

impl Outside {
    /// Time from `clock`, randomness from generators that `seed` starts.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, seed: fn() -> [u8; 32]) -> Self {
        Self { clock, seed, ids: Arc::default(), for_ids: Arc::new(Mutex::new(StdRng::from_seed(seed()))) }
    }

    /// The same, with ids that come after all that were given out until `time`.
    #[must_use]
    pub fn with_ids_after(self, time: Time) -> Self {
        Self { ids: Arc::new(Ids::after(time)), ..self }
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// A generator fit for keys and tokens.
    #[must_use]
    pub fn rng(&self) -> StdRng {
        StdRng::from_seed((self.seed)())
    }

    /// The next id.
    #[must_use]
    pub fn id<T: From<Uuid>>(&self) -> T {
        self.ids.next(self.now(), &mut *self.for_ids.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outside")
    }
}
