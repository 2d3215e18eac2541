//! Messages to standard error outside the log: of commands, which start no log, and of a process that ends at once. In
//! systemd's journal, each line begins with its priority.

use std::io::{self, Write};
use std::os::fd::AsFd;

use tracing::Level;

/// Prints a message to standard error, outside the log.
pub fn print(level: Level, message: &str) {
    let priority = if is_in_journal() { priority(level) } else { "" };
    for line in message.lines() {
        // Without standard error there is nobody to tell.
        let _ = writeln!(io::stderr(), "{priority}{line}");
    }
}

/// Returns the prefix by which the journal recognizes a priority (sd-daemon(3)).
#[must_use]
pub const fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        Level::DEBUG | Level::TRACE => "<7>",
    }
}

/// Whether standard error is connected to systemd's journal.
#[must_use]
pub fn is_in_journal() -> bool {
    std::env::var("JOURNAL_STREAM").is_ok_and(|stream| is_stream(&stream, io::stderr()))
}

/// Whether `JOURNAL_STREAM` (systemd.exec(5)) names this file, by its device and inode. A process that systemd started
/// also hands the variable to programs whose standard error goes elsewhere.
fn is_stream(stream: &str, file: impl AsFd) -> bool {
    rustix::fs::fstat(file).is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn the_journal_is_recognized_by_device_and_inode() {
        let file = File::open("/dev/null").expect("a file");
        let (device, inode) = file.metadata().map(|of| (of.dev(), of.ino())).expect("metadata");
        assert!(is_stream(&format!("{device}:{inode}"), &file));
        for other in [
            String::new(),
            ":".to_owned(),
            device.to_string(),
            format!("{device}:{}", inode + 1),
            format!("{}:{inode}", device + 1),
            format!("{device}:{inode}:"),
            format!("{device}:{inode} "),
        ] {
            assert!(!is_stream(&other, &file), "{other:?}");
        }
    }
}
