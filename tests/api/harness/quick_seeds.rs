//! Randomness for servers under test, with which generating an RSA key takes a third of the time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use orgkeys::server::clock;

use crate::key_pairs::{PAIRS, seed};

/// The next seed: a quick one for the thread that generates a key, as long as there are any. No seed is returned twice, so
/// no two keys are equal.
pub fn next() -> [u8; 32] {
    static USED: AtomicUsize = AtomicUsize::new(0);
    let generates_key = thread::current().name() == Some("generator");
    let quick = generates_key.then(|| seed(PAIRS + USED.fetch_add(1, Ordering::Relaxed))).flatten();
    quick.unwrap_or_else(clock::system_seed)
}
