//! What is in memory stays there. However the process ends, it leaves no image of its memory, and a panic tells none of it.

use std::panic;

use rustix::io;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use crate::domain;

/// Forbids core dumps, also to a system that ignores the limit and pipes them to a program, and keeps other processes of the
/// same user from reading this one's memory.
pub fn forbid_images() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

/// Has a panic say where it happened, in the log once there is one.
pub fn tell_panics() {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        let text = domain::panic::text(panic.payload());
        if tracing::enabled!(tracing::Level::ERROR) {
            tracing::error!(place, "the program panicked, which is a fault of its own: {text}");
        } else {
            eprintln!("orgkeys: the program panicked at {place}, which is a fault of its own: {text}");
        }
    }));
}
