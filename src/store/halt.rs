//! What if the disk fails during a commit? Whether it is on the disk is unknown, so the process ends before anybody is answered.

use std::process;

/// The exit status of a disk that failed: `EX_IOERR` of BSD's `sysexits.h`.
const EX_IOERR: i32 = 74;

/// Says what happened and ends the process at once. Nothing is finished or tidied up: that would write.
pub(super) fn halt() -> ! {
    const WHY: &str = "a commit could not be written to disk, so the process ends. Nothing that was acknowledged is \
        lost; the next start shows which of the unanswered changes were kept. Look at the disk (`dmesg`) and at quotas, \
        then start the server again";
    if tracing::enabled!(tracing::Level::ERROR) {
        tracing::error!("{WHY}");
    } else {
        eprintln!("orgkeys: {WHY}");
    }
    process::exit(EX_IOERR)
}
