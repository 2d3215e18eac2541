//! Ends the process when it is unknown whether a commit is on disk, before any caller gets a reply.

use std::path::Path;
use std::process;

use tracing::Level;

use super::stderr;

/// The exit status after a storage failure: `EX_IOERR` of BSD's `sysexits.h`.
const EX_IOERR: i32 = 74;

/// Ends the process because the disk failed during a commit or a checkpoint.
pub(super) fn disk_failed() -> ! {
    halt(
        "a commit could not be written to disk, so the process exits. No acknowledged change is lost; the next start \
         shows which unacknowledged changes were stored. Check the disk (`dmesg`) and quotas, then restart the server",
    )
}

/// Ends the process because the database was moved, removed or overwritten during operation.
pub(super) fn database_gone(database: &Path) -> ! {
    halt(&format!(
        "{} was moved, removed or overwritten while the server was running, so the process exits. Acknowledged changes are in \
         the original file and its -wal: put both back, or remove the -wal to continue with the file that is here now, \
         then restart the server. To restore a backup, stop the server and use `orgkeys restore`",
        database.display()
    ))
}

/// Ends the process because a file beside the database was moved or removed, after the write-ahead log was put back.
pub(super) fn log_put_back(database: &Path) -> ! {
    halt(&format!(
        "the -wal or the -shm of {} was moved or removed while the server was running, so the process exits. No acknowledged \
         change is lost: the -wal is in its place. Restart the server, and keep other programs away from these files",
        database.display()
    ))
}

/// Ends the process because the write-ahead log was overwritten or truncated.
pub(super) fn log_overwritten(database: &Path) -> ! {
    halt(&format!(
        "the -wal of {} was overwritten or truncated by another program while the server was running, so the process exits. Changes \
         acknowledged since the last checkpoint may be lost. Save a copy of the files, find the program (log rotation, a \
         copy over running files?), then remove the -wal and restart the server, or restore the last backup with `orgkeys restore`",
        database.display()
    ))
}

/// Reports what happened and exits immediately. No cleanup is done, because it would write. Commands start no log, so they
/// report to standard error itself. Neither way can fail in a manner that keeps the process from exiting.
fn halt(why: &str) -> ! {
    if tracing::enabled!(tracing::Level::ERROR) {
        tracing::error!("{why}");
    } else {
        stderr::print(Level::ERROR, &format!("orgkeys: {why}"));
    }
    process::exit(EX_IOERR)
}
