//! Checks the files of a database: their size, the free disk space, and their permissions.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{Finding, Patient, WAL_TOO_LARGE};
use crate::domain::shell::quoted;
use crate::store::{self, files};

/// Checks that the disk and the file have room beyond the reserve.
pub(super) fn disk(patient: &Patient<'_>, database: &Path) -> Finding {
    let Patient { reserve, most, .. } = *patient;
    let Some(free) = store::on_disk(database) else {
        return Finding::act("disk", "The free space of the disk cannot be determined", "Check it with `df`");
    };
    if free <= reserve.saturating_mul(2) {
        return Finding::act(
            "disk",
            format!(
                "The disk has {} free, including the reserve; below {} only revocations are accepted",
                size(free),
                size(reserve)
            ),
            "Free disk space, or enlarge the disk",
        );
    }
    let file = bytes(database);
    if most > 0 && file >= most.saturating_sub(reserve) / 10 * 9 {
        return Finding::act(
            "disk",
            format!("The database uses {} of the {} that database_max allows", size(file), size(most)),
            "Raise database_max, then restart the server",
        );
    }
    Finding::well("disk", format!("The database uses {}; the disk has {} free", size(file), size(free)))
}

/// Checks that the write-ahead log is checkpointed in time.
pub(super) fn wal(database: &Path) -> Finding {
    let wal = files::beside(database, "-wal");
    match bytes(&wal) {
        large @ WAL_TOO_LARGE.. => Finding::act(
            "wal",
            format!("The write-ahead log has grown to {}: a reader keeps the server from resetting it", size(large)),
            format!(
                "Find the process that keeps a read transaction open (`lsof {}`) and end it. The log then shrinks \
                within seconds",
                quoted(wal.display())
            ),
        ),
        small => Finding::well("wal", format!("The write-ahead log uses {}", size(small))),
    }
}

/// Checks that only their owner can read the files.
pub(super) fn modes(database: &Path, key_file: &Path) -> Vec<Finding> {
    let files = ["", "-wal", "-shm"].map(|suffix| files::beside(database, suffix));
    let files = files.iter().map(PathBuf::as_path).chain([key_file]);
    let open: Vec<_> = files.filter_map(|file| readable(file, 0o077)).collect();
    if open.is_empty() {
        return vec![Finding::well("modes", "Only the owner can access the database files")];
    }
    open
}

/// Returns a finding if the mode of `file` has any of the bits in `mask`; `None` if it has none or the file does not
/// exist.
pub fn readable(file: &Path, mask: u32) -> Option<Finding> {
    let mode = fs::metadata(file).ok()?.permissions().mode() & 0o777;
    let (path, good) = (file.display(), mode & !mask);
    (mode & mask != 0).then(|| {
        Finding::act(
            "modes",
            format!("{path} is accessible to other users: its mode is {mode:04o}"),
            format!("chmod {good:04o} {}", quoted(&path)),
        )
    })
}

pub(super) fn bytes(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |meta| meta.len())
}

/// Formats a number of bytes as KiB, MiB or GiB.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        ..0x10_0000 => format!("{} KiB", bytes.div_ceil(1 << 10)),
        0x10_0000..0x4000_0000 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_shown_in_its_largest_unit() {
        for (bytes, shown) in [
            (0, "0 KiB"),
            (1, "1 KiB"),
            (1_025, "2 KiB"),
            ((1 << 20) - 1, "1024 KiB"),
            (1 << 20, "1 MiB"),
            ((1 << 30) - 1, "1023 MiB"),
            (1 << 30, "1 GiB"),
            (5 << 30, "5 GiB"),
        ] {
            assert_eq!(size(bytes), shown, "{bytes}");
        }
    }
}
