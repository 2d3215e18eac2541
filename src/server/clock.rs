//! The system clock and the system's random number generator. This is the only place that reads them.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rand::TryRng;
use rand::rngs::SysRng;

use crate::domain::time::{Clock, Time};
use crate::engine::environment::Environment;

struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the system clock")]
    fn now(&self) -> Time {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Returns an environment with the system clock and the system's randomness.
#[must_use]
pub fn system() -> Environment {
    Environment::new(Arc::new(SystemClock), system_seed)
}

/// Returns 32 random bytes from the system.
///
/// # Panics
/// If the system returns no random bytes, without which nothing here is safe.
#[must_use]
pub fn system_seed() -> [u8; 32] {
    let mut seed = [0; 32];
    SysRng.try_fill_bytes(&mut seed).expect("the system must provide random bytes");
    seed
}
