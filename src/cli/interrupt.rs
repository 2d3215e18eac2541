//! Ctrl-C during a command: its unfinished files are removed, and nothing is left behind.

use std::fs;
use std::process;
use std::thread;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tracing::Level;

use super::{CommandError, log, progress};
use crate::store::unfinished;

/// What a shell adds to the number of the signal that ended a program.
const SIGNALLED: i32 = 128;

/// From now on, SIGINT, SIGTERM and SIGHUP remove the unfinished files of this process and end it. If the result is in
/// its place already, they are ignored: the command is about to end by itself.
pub fn clean_up() -> Result<(), CommandError> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    // Registered before this returns, so that no signal is missed.
    let (mut interrupt, mut terminate, mut hangup) = {
        let _entered = runtime.enter();
        let hangup = if ignores_hangup() { None } else { Some(signal(SignalKind::hangup())?) };
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, hangup)
    };
    thread::spawn(move || {
        runtime.block_on(async {
            loop {
                let kind = tokio::select! {
                    _ = interrupt.recv() => SignalKind::interrupt(),
                    _ = terminate.recv() => SignalKind::terminate(),
                    Some(()) = async { hangup.as_mut()?.recv().await } => SignalKind::hangup(),
                };
                if unfinished::abandon() {
                    progress::clear();
                    // Outside the log, which a command does not start. This is a thread of its own and no signal handler,
                    // so it may allocate and write.
                    log::print(Level::WARN, "orgkeys: interrupted: no unfinished file is left behind");
                    process::exit(SIGNALLED + kind.as_raw_value());
                }
            }
        });
    });
    Ok(())
}

/// Whether this process was started to survive its terminal, by `nohup`.
fn ignores_hangup() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    ignored >> (SignalKind::hangup().as_raw_value() - 1) & 1 == 1
}
