//! What if nobody can say whether a commit is on the disk? The process ends before anybody is answered.

use std::path::Path;
use std::process;

/// The exit status of storage that failed: `EX_IOERR` of BSD's `sysexits.h`.
const EX_IOERR: i32 = 74;

/// Ends the process because the disk failed during a commit or a checkpoint.
pub(super) fn disk_failed() -> ! {
    halt(
        "a commit could not be written to disk, so the process ends. Nothing that was acknowledged is lost; the next start \
         shows which of the unanswered changes were kept. Look at the disk (`dmesg`) and at quotas, then start the server again",
    )
}

/// Ends the process because the database was moved, removed or overwritten under it.
pub(super) fn database_gone(database: &Path) -> ! {
    halt(&format!(
        "{} was moved, removed or overwritten while the server ran, so the process ends. Changes that were acknowledged are in \
         the file that was here and in its -wal: put both back, or remove the -wal to go on with the file that is here now, \
         then start the server again. To restore a backup, stop the server and use `orgkeys restore`",
        database.display()
    ))
}

/// Ends the process because what lies beside the database was moved or removed, after the log was put back.
pub(super) fn log_put_back(database: &Path) -> ! {
    halt(&format!(
        "the -wal or the -shm of {} was moved or removed while the server ran, so the process ends. Nothing that was acknowledged \
         is lost: the -wal is in its place. Start the server again, and keep other programs away from these files",
        database.display()
    ))
}

/// Ends the process because the log was overwritten or cut.
pub(super) fn log_overwritten(database: &Path) -> ! {
    halt(&format!(
        "the -wal of {} was overwritten or cut by another program while the server ran, so the process ends. What was acknowledged \
         since the last checkpoint may be lost with it. Keep a copy of the files as they are, find the program (a log rotation, a \
         copy over running files?), then remove the -wal and start the server again, or restore the last backup with `orgkeys restore`",
        database.display()
    ))
}

/// Says what happened and ends the process at once. Nothing is finished or tidied up: that would write.
fn halt(why: &str) -> ! {
    if tracing::enabled!(tracing::Level::ERROR) {
        tracing::error!("{why}");
    } else {
        eprintln!("orgkeys: {why}");
    }
    process::exit(EX_IOERR)
}
