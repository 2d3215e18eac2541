//! Files that are not complete yet. They are removed when their command fails or is interrupted, so that no half file
//! is left behind.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::StoreError;
use super::files::{DRAFT, beside, create_private, remove};

/// The suffixes of the files that SQLite and a lock make beside an unfinished database.
const WITH_IT: [&str; 5] = ["", "-wal", "-shm", "-journal", ".lock"];

static FILES: Mutex<Files> = Mutex::new(Files { unfinished: Vec::new(), logs: Vec::new(), finished: false });

struct Files {
    unfinished: Vec<PathBuf>,
    /// Logs that SQLite makes only to look at a file; they are empty.
    logs: Vec<PathBuf>,
    /// Whether a file was put into its place.
    finished: bool,
}

/// A file that is not complete yet. It is removed when this is dropped.
#[derive(Debug)]
pub struct Unfinished {
    path: PathBuf,
}

/// An empty log that SQLite makes to look at a file that nobody uses. It is removed when this is dropped.
pub(super) struct EmptyLog {
    path: PathBuf,
}

impl Unfinished {
    /// Begins a file at `path`, where an earlier attempt may have left one.
    pub fn begin(path: PathBuf) -> Result<Self, StoreError> {
        let mut files = files();
        discard(&path)?;
        files.unfinished.push(path.clone());
        Ok(Self { path })
    }

    /// Creates the file that is to become `target`, beside it, accessible by its owner only.
    pub fn create_for(target: &Path) -> Result<(Self, File), StoreError> {
        let draft = Self::begin(beside(target, DRAFT))?;
        let file = create_private(draft.path())?;
        Ok((draft, file))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Calls `finish` to put the file into its place. After that, the command is not interrupted any more: it has only
    /// to report.
    pub fn finish<T>(self, finish: impl FnOnce(&Path) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut files = files();
        let result = finish(&self.path);
        files.finished |= result.is_ok();
        drop(files);
        result
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let mut files = files();
        files.unfinished.retain(|path| *path != self.path);
        // What cannot be removed now is removed by the next attempt.
        let _ = discard(&self.path);
    }
}

impl EmptyLog {
    /// Expects one at `path`.
    pub(super) fn expect(path: PathBuf) -> Self {
        files().logs.push(path.clone());
        Self { path }
    }
}

impl Drop for EmptyLog {
    fn drop(&mut self) {
        files().logs.retain(|path| *path != self.path);
        remove_empty(&self.path);
    }
}

/// Removes every unfinished file, for a program that is about to exit: from then on, none can be begun or finished. If a
/// file is in its place already, it does nothing and returns false.
#[must_use]
pub fn abandon() -> bool {
    let files = files();
    if files.finished {
        return false;
    }
    for path in &files.unfinished {
        let _ = discard(path);
    }
    files.logs.iter().for_each(|log| remove_empty(log));
    std::mem::forget(files);
    true
}

/// Removes an unfinished file and the files that SQLite created beside it.
pub(super) fn discard(path: &Path) -> Result<(), StoreError> {
    WITH_IT.iter().try_for_each(|suffix| remove(&beside(path, suffix)))
}

fn remove_empty(path: &Path) {
    if std::fs::metadata(path).is_ok_and(|meta| meta.len() == 0) {
        let _ = remove(path);
    }
}

fn files() -> MutexGuard<'static, Files> {
    FILES.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::ffi::OsStrExt;

    use super::*;
    use crate::domain::time::Time;
    use crate::store::backup;

    #[test]
    fn an_unfinished_file_goes_with_what_is_beside_it_and_an_expected_log_only_if_it_is_empty() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("draft");
        let draft = Unfinished::begin(path.clone()).expect("begun");
        for suffix in ["", "-wal", "-shm", "-journal", ".lock", ".other"] {
            fs::write(beside(&path, suffix), "x").expect("written");
        }
        drop(draft);
        let left: Vec<_> =
            fs::read_dir(folder.path()).expect("a folder").map(|entry| entry.expect("one").path()).collect();
        assert_eq!(left, [beside(&path, ".other")]);
        for (content, stays) in [("", false), ("x", true)] {
            let log = folder.path().join("log");
            fs::write(&log, content).expect("written");
            drop(EmptyLog::expect(log.clone()));
            assert_eq!(log.exists(), stays, "{content:?}");
        }
    }

    #[test]
    fn only_a_draft_is_removed_by_its_name_in_the_file_of_the_lock() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let [database, draft, mine, linked] =
            ["orgkeys.db", "a.orgkeys-draft", "mine.txt", "b.orgkeys-draft"].map(|name| folder.path().join(name));
        crate::store::open::prepare(&database).expect("made");
        std::os::unix::fs::symlink(&mine, &linked).expect("linked");
        for (left, is_removed) in [(&draft, true), (&mine, false), (&linked, false), (&database, false)] {
            if !left.exists() {
                fs::write(left, "x").expect("written");
            }
            fs::write(beside(&database, ".backup.lock"), left.as_os_str().as_bytes()).expect("written");
            let made = backup::make(&database, &folder.path().join("copy.db"), Time::from_millis(0)).expect("made");
            made.1.expect("noted");
            assert_eq!(fs::symlink_metadata(left).is_err(), is_removed, "{}", left.display());
        }
        assert_eq!(fs::read(&mine).expect("a file"), b"x");
    }
}
