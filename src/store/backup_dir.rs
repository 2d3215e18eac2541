//! The directory of the periodic backups: the names of its files, the room on its disk, and which files may be removed.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::backup::Snapshot;
use super::{StoreError, audit, connection, files, restore};
use crate::domain::time::Time;

/// How the names of the files begin and end. Between them is the time, so their order is that of their ages.
const NAME: (&str, &str) = ("orgkeys-", ".backup");

/// A file that has the name of a periodic backup.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DatedFile {
    /// The time in its name.
    pub at: Time,
    /// Its path.
    pub path: PathBuf,
}

/// Returns the name of the backup made at this time. It has no colon, which is special to `rsync` and `scp`.
#[must_use]
pub fn name(at: Time) -> String {
    format!("{}{}{}", NAME.0, at.to_string().replace(':', ""), NAME.1)
}

/// Returns the time in a name, if it is one that `name` makes.
fn time_in(file: &OsStr) -> Option<Time> {
    let file = file.to_str()?;
    let (date, time) = file.strip_prefix(NAME.0)?.strip_suffix(NAME.1)?.split_once('T')?;
    let (hours, rest) = time.split_at_checked(2)?;
    let (minutes, seconds) = rest.split_at_checked(2)?;
    let at = Time::parse_rfc3339(&format!("{date}T{hours}:{minutes}:{seconds}"))?;
    (name(at) == file).then_some(at)
}

/// Creates the directory if it does not exist, accessible by its owner only, and makes sure that files can be written
/// to it.
pub fn prepare(dir: &Path) -> Result<(), StoreError> {
    let unusable = |why: &dyn std::fmt::Display| {
        StoreError::Unusable(format!("cannot write backups to the directory {}: {why}", dir.display()))
    };
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(unusable(&error)),
        _ => {}
    }
    if !fs::metadata(dir)?.is_dir() {
        return Err(unusable(&"it is a file"));
    }
    rustix::fs::access(dir, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| unusable(&std::io::Error::from(error)))
}

/// Lists the files in the directory that have the name of a periodic backup, the oldest first.
pub fn list(dir: &Path) -> Result<Vec<DatedFile>, StoreError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        // A link is not followed: it was not made here.
        if let (Some(at), true) = (time_in(&entry.file_name()), entry.file_type()?.is_file()) {
            found.push(DatedFile { at, path: entry.path() });
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Returns the bytes that a backup must leave free on the disk of `dir`: on the disk of the database, so many that the
/// server does not begin to save space.
pub fn kept_free(dir: &Path, database: &Path, reserve: u64) -> Result<u64, StoreError> {
    let same_disk = fs::metadata(dir)?.dev() == fs::metadata(files::folder(database))?.dev();
    Ok(if same_disk { reserve.saturating_mul(2) } else { 0 })
}

/// Returns the free bytes on the disk of `dir`.
#[must_use]
pub fn free(dir: &Path) -> Option<u64> {
    connection::disk_free(&dir.join("any"))
}

/// Refuses to write so many more bytes to `dir` that fewer than `kept_free` would be left on its disk.
pub fn has_room(dir: &Path, bytes: u64, kept_free: u64) -> Result<(), StoreError> {
    match free(dir) {
        Some(free) if free < bytes.saturating_add(kept_free) => Err(StoreError::Unusable(format!(
            "the disk of {} has {} MiB free, but a backup needs {} MiB more and must leave {} MiB free: free disk space, or \
             lower backup_keep",
            dir.display(),
            free >> 20,
            bytes.div_ceil(1 << 20),
            kept_free >> 20
        ))),
        _ => Ok(()),
    }
}

/// Whether a file is a backup of an earlier state of the database that `newer` is a backup of. No other file may be
/// removed. What cannot be read is no such file, and neither is what has a second name, which is not opened.
#[must_use]
pub fn is_earlier_state(older: &Path, newer: &Snapshot) -> bool {
    let heads = || Snapshot::open(older)?.read(audit::heads);
    let is_ours = fs::symlink_metadata(older).is_ok_and(|meta| meta.is_file());
    is_ours
        && heads().is_ok_and(|heads| {
            !heads.is_empty() && newer.read(|tx| restore::continues(tx, &heads)).is_ok_and(|continues| continues)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_sort_by_time() {
        let times = [0, 1, 999, 1_000, 1_796_000_000_123].map(Time::from_millis);
        let names = times.map(name);
        assert_eq!(names[4], "orgkeys-2026-11-30T005320.123Z.backup");
        assert!(names.is_sorted(), "{names:?}");
        assert_eq!(names.each_ref().map(|name| time_in(name.as_ref())), times.map(Some));
    }

    #[test]
    fn other_names_are_not_ours() {
        for other in [
            "orgkeys-2026-11-30T005320.123Z.backup.orgkeys-draft",
            "orgkeys-2026-11-30.backup",
            "orgkeys-2026-11-30T00:53:20.123Z.backup",
            "orgkeys-2026-11-30T005320Z.backup",
            "orgkeys-2026-11-30T005320.123+00:00.backup",
            "orgkeys-2026-13-30T005320.123Z.backup",
            "orgkeys.db-2026-11-30T005320.123Z.backup",
            "orgkeys-2026-11-30Té05320.123Z.backup",
            "orgkeys-.backup",
            "orgkeys-T.backup",
        ] {
            assert_eq!(time_in(other.as_ref()), None, "{other}");
        }
    }

    #[test]
    fn a_link_is_no_backup() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let [made, linked] = [1, 2].map(|millis| folder.path().join(name(Time::from_millis(millis))));
        fs::write(&made, "x").expect("written");
        std::os::unix::fs::symlink(&made, &linked).expect("linked");
        assert_eq!(list(folder.path()).expect("listed"), [DatedFile { at: Time::from_millis(1), path: made }]);
    }

    #[test]
    fn a_database_without_entries_and_a_link_are_no_earlier_states() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let [newer, empty, same, linked] = ["newer", "empty", "same", "linked"].map(|name| folder.path().join(name));
        for path in [&newer, &empty] {
            crate::store::open::prepare(path).expect("made");
        }
        let entry =
            "INSERT INTO audit VALUES (1, NULL, 1, 0, 'system', 's', NULL, 'a', NULL, NULL, NULL, NULL, 'done', NULL,
            NULL, NULL, zeroblob(32), zeroblob(32))";
        let conn = connection::writing(&newer).expect("a connection");
        conn.execute(entry, []).expect("written");
        conn.close().expect("closed");
        fs::copy(&newer, &same).expect("copied");
        std::os::unix::fs::symlink(&same, &linked).expect("linked");
        let newer = Snapshot::open(&newer).expect("opened");
        let found = [&same, &empty, &linked].map(|older| is_earlier_state(older, &newer));
        assert_eq!(found, [true, false, false]);
    }

    #[test]
    fn a_backup_leaves_twice_the_reserve_free_on_the_disk_of_the_database() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let (dir, database) = (folder.path().join("backups"), folder.path().join("orgkeys.db"));
        prepare(&dir).expect("made");
        prepare(&dir).expect("there already");
        assert_eq!(kept_free(&dir, &database, 8 << 20).expect("a number"), 16 << 20);
        let other_disk = Path::new("/proc");
        assert_eq!(kept_free(other_disk, &database, 8 << 20).expect("a number"), 0);
        let free = free(&dir).expect("a number");
        has_room(&dir, free / 4, free / 4).expect("room");
        for (bytes, kept) in [(free, free), (u64::MAX, 1), (free / 4, free * 2)] {
            let refusal = has_room(&dir, bytes, kept).expect_err("no room").to_string();
            assert!(refusal.contains("free disk space, or lower backup_keep"), "{refusal}");
        }
    }

    #[test]
    fn a_directory_that_cannot_be_used_is_named() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "x").expect("written");
        for (dir, why) in [(file, "it is a file"), (folder.path().join("missing/backups"), "No such file")] {
            let refusal = prepare(&dir).expect_err("unusable").to_string();
            assert!(refusal.contains(why) && refusal.contains(&dir.display().to_string()), "{refusal}");
        }
    }
}
