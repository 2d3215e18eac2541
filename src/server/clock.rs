//! What time is it? The system's clock and the system's randomness, at the one place that may ask for them.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rand::TryRng;
use rand::rngs::SysRng;

use crate::domain::time::{Clock, Time};
use crate::engine::environment::Environment;

struct System;

impl Clock for System {
    #[expect(clippy::disallowed_methods, reason = "this is where time is handed in from")]
    fn now(&self) -> Time {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The real clock and the system's randomness.
#[must_use]
pub fn system() -> Environment {
    Environment::new(Arc::new(System), system_seed)
}

/// 32 bytes from the system.
///
/// # Panics
/// When the system gives none: nothing here is safe without.
#[must_use]
pub fn system_seed() -> [u8; 32] {
    let mut seed = [0; 32];
    SysRng.try_fill_bytes(&mut seed).expect("the system gives random bytes");
    seed
}
