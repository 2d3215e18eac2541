//! Keeps secrets in memory from leaking: disables core dumps, and reports panics without memory contents.

use std::panic;

use rustix::io;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use tracing::Level;

use super::log;
use crate::domain;

/// Disables core dumps, including those that the system pipes to a program regardless of the limit, and stops other
/// processes of the same user from reading this one's memory.
pub fn forbid_images() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

/// Installs a panic hook that reports where a panic happened: in the log once it is set up, on standard error before.
pub fn tell_panics() {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        let text = domain::panic::text(panic.payload());
        if tracing::enabled!(Level::ERROR) {
            tracing::error!(place, "the program panicked, which is a bug in orgkeys: {text}");
        } else {
            log::print(
                Level::ERROR,
                &format!("orgkeys: the program panicked at {place}, which is a bug in orgkeys: {text}"),
            );
        }
    }));
}
