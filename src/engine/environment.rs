//! What comes from outside the program? The present moment and randomness, handed in so that a test can hold them still.
//!
//! How long something takes (a deadline, a rest, a rate) is measured with `Instant` where it is waited for: nobody can set
//! that, and nothing remembers it. TLS has its own randomness, and judges certificates by the system's clock.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rand::SeedableRng;
use rand::rngs::StdRng;
use uuid::Uuid;

use super::high_water::HighWater;
use crate::domain::id::Ids;
use crate::domain::time::{Clock, Time};

/// The clock, the source of randomness and the ids that are made of both.
#[derive(Clone)]
pub struct Environment {
    clock: Arc<dyn Clock>,
    seed: fn() -> [u8; 32],
    ids: Arc<Ids>,
    /// Until when time has come for sure.
    pub(crate) high_water: Arc<HighWater>,
    /// For ids alone, which are many and no secrets: a fresh generator for each would ask the system each time.
    for_ids: Arc<Mutex<StdRng>>,
}

impl Environment {
    /// Time from `clock`, randomness from generators that `seed` starts.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, seed: fn() -> [u8; 32]) -> Self {
        let for_ids = Arc::new(Mutex::new(StdRng::from_seed(seed())));
        Self { clock, seed, ids: Arc::default(), high_water: Arc::default(), for_ids }
    }

    /// The same, with ids that come after all that were given out until `time`.
    #[must_use]
    pub fn with_ids_after(self, time: Time) -> Self {
        Self { ids: Arc::new(Ids::after(time)), ..self }
    }

    /// The same, where time has come as far as an earlier process left it.
    #[must_use]
    pub fn with_high_water(self, high_water: HighWater) -> Self {
        Self { high_water: Arc::new(high_water), ..self }
    }

    /// The present moment, by which everything is judged and recorded: it does not step back with the clock.
    #[must_use]
    pub fn now(&self) -> Time {
        self.high_water.judge(&*self.clock)
    }

    /// What the clock shows, be it right or wrong.
    #[must_use]
    pub fn wall_clock(&self) -> Time {
        self.clock.now()
    }

    /// A moment that has come whatever the clock may show: what is forgotten or removed by it is old indeed.
    #[must_use]
    pub fn safe_now(&self) -> Time {
        let now = self.now();
        self.wall_clock().min(self.high_water.mark()).min(now)
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

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outside")
    }
}
