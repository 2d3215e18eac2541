//! How far long work has come, for whoever watches: a person at a terminal. Without a watcher, reports cost nothing.

use std::sync::OnceLock;

/// How far one piece of work has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is being done, such as `Copying the database`.
    pub what: &'static str,
    /// How much of it is done.
    pub done: u64,
    /// How much there is to do; 0 if that is unknown.
    pub total: u64,
}

static WATCHER: OnceLock<fn(Step)> = OnceLock::new();

/// Calls `watcher` with every step of this process from now on. The first watcher stays.
pub fn watch(watcher: fn(Step)) {
    let _ = WATCHER.set(watcher);
}

/// Reports how far the work has come.
pub fn report(what: &'static str, done: u64, total: u64) {
    if let Some(watcher) = WATCHER.get() {
        watcher(Step { what, done, total });
    }
}
