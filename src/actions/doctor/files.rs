//! Are the files of a database well? How large they are, how much room the disk has, and who may read them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{Finding, Patient, WAL_TOO_LARGE};
use crate::store::{self, files};

/// Whether disk and file have room beyond the reserve.
pub(super) fn disk(patient: &Patient<'_>, database: &Path) -> Finding {
    let Patient { reserve, most, .. } = *patient;
    let Some(free) = store::on_disk(database) else {
        return Finding::act("disk", "The disk does not say how much room it has", "Look at it with `df`");
    };
    if free <= reserve.saturating_mul(2) {
        return Finding::act(
            "disk",
            format!(
                "The disk has {} left, the reserve included, and below {} only what revokes is written",
                size(free),
                size(reserve)
            ),
            "Free room on the disk, or enlarge it",
        );
    }
    let file = bytes(database);
    if most > 0 && file >= most.saturating_sub(reserve) / 10 * 9 {
        return Finding::act(
            "disk",
            format!("The database has {} of the {} that database_max allows", size(file), size(most)),
            "Raise database_max, then start the server again",
        );
    }
    Finding::well("disk", format!("The database has {}, the disk has {} left", size(file), size(free)))
}

/// Whether the log is taken into the database in time.
pub(super) fn wal(database: &Path) -> Finding {
    let wal = files::beside(database, "-wal");
    match bytes(&wal) {
        large @ WAL_TOO_LARGE.. => Finding::act(
            "wal",
            format!("The write-ahead log has {}: a reader keeps the server from beginning it anew", size(large)),
            format!(
                "Find the process that has read the database for long (`lsof {}`) and end it; the log is short again \
                 within seconds",
                wal.display()
            ),
        ),
        small => Finding::well("wal", format!("The write-ahead log has {}", size(small))),
    }
}

/// Whether anybody but their owner may read the files.
pub(super) fn modes(database: &Path, key_file: &Path) -> Vec<Finding> {
    let files = ["", "-wal", "-shm"].map(|suffix| files::beside(database, suffix));
    let files = files.iter().map(PathBuf::as_path).chain([key_file]);
    let open: Vec<_> = files.filter_map(|file| readable(file, 0o077)).collect();
    if open.is_empty() {
        return vec![Finding::well("modes", "Only their owner may read the database's files")];
    }
    open
}

/// What is wrong with a file that others may read, by the bits that `mask` forbids; nothing if it is not there.
pub fn readable(file: &Path, mask: u32) -> Option<Finding> {
    let mode = fs::metadata(file).ok()?.permissions().mode() & 0o777;
    let (path, good) = (file.display(), mode & !mask);
    (mode & mask != 0).then(|| {
        Finding::act(
            "modes",
            format!("Others may use {path}: its mode is {mode:04o}"),
            format!("chmod {good:04o} {path}"),
        )
    })
}

fn bytes(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |meta| meta.len())
}

/// Bytes, for people.
fn size(bytes: u64) -> String {
    match bytes {
        ..0x10_0000 => format!("{} KiB", bytes.div_ceil(1 << 10)),
        0x10_0000..0x4000_0000 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}
