//! Time and randomness, passed in so that tests can control them.
//!
//! Durations (deadlines, backoffs, rates) are measured with `Instant` where they are waited for: it cannot be set, and
//! nothing stores it. TLS uses its own randomness, and checks certificates by the system clock.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rand::SeedableRng;
use rand::rngs::StdRng;
use uuid::Uuid;

use super::high_water::HighWater;
use crate::domain::id::Ids;
use crate::domain::time::{Clock, Time};

/// The clock, the source of randomness, and the ids that are generated from both.
#[derive(Clone)]
pub struct Environment {
    clock: Arc<dyn Clock>,
    seed: fn() -> [u8; 32],
    ids: Arc<Ids>,
    /// The high-water mark of the clock.
    pub(crate) high_water: Arc<HighWater>,
    /// Used for ids only, which are many and not secret: a new generator for each id would need a system call.
    for_ids: Arc<Mutex<StdRng>>,
}

impl Environment {
    /// Takes the time from `clock`, and randomness from generators seeded by `seed`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, seed: fn() -> [u8; 32]) -> Self {
        let for_ids = Arc::new(Mutex::new(StdRng::from_seed(seed())));
        Self { clock, seed, ids: Arc::default(), high_water: Arc::default(), for_ids }
    }

    /// Returns the environment with ids that sort after every id issued until `time`.
    #[must_use]
    pub fn with_ids_after(self, time: Time) -> Self {
        Self { ids: Arc::new(Ids::after(time)), ..self }
    }

    /// Returns the environment with the high-water mark of an earlier process.
    #[must_use]
    pub fn with_high_water(self, high_water: HighWater) -> Self {
        Self { high_water: Arc::new(high_water), ..self }
    }

    /// Returns the current time, by which everything is decided and recorded. It does not go back when the clock does.
    #[must_use]
    pub fn now(&self) -> Time {
        self.high_water.judge(&*self.clock)
    }

    /// Returns the time that the clock shows, right or wrong.
    #[must_use]
    pub fn wall_clock(&self) -> Time {
        self.clock.now()
    }

    /// Returns a time that has certainly passed, even if the clock is ahead. Deletion by age uses it.
    #[must_use]
    pub fn safe_now(&self) -> Time {
        let now = self.now();
        self.wall_clock().min(self.high_water.mark()).min(now)
    }

    /// Returns a generator suitable for keys and tokens.
    #[must_use]
    pub fn rng(&self) -> StdRng {
        StdRng::from_seed((self.seed)())
    }

    /// Returns the next id.
    #[must_use]
    pub fn id<T: From<Uuid>>(&self) -> T {
        self.ids.next(self.now(), &mut *self.for_ids.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}
