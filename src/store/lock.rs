//! Locks that ensure a single writer: one on a file beside the database, and one on the database itself. The latter is
//! shared with commands that read without a server.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::StatVfsMountFlags;

use super::StoreError;
use super::files::{self, beside, folder, own_file};
use crate::domain::shell::quoted;

/// How long a start waits for commands that read the database to end.
const READERS_END: Duration = Duration::from_mins(1);

/// How often it checks whether they have ended.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The right to be the only process that writes a database: an exclusive lock on `<database>.lock`.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    file: File,
}

/// A lock on the database file itself, whatever name it is opened by: exclusive for the server, shared for commands
/// that read while no server runs. It is a `flock`, unlike SQLite's own locks, which are released when any descriptor
/// of the file is closed. The server drops it after its connections.
#[derive(Debug)]
pub(super) struct InUse {
    file: Arc<File>,
}

impl Lock {
    /// Takes the lock of a database, given by its real name; the error says what must stop first.
    pub fn take(database: &Path) -> Result<Self, StoreError> {
        let path = beside(database, ".lock");
        let file = open(&path)?;
        if try_lock(&file)? { Ok(Self { path, file }) } else { Err(StoreError::InUse { path: database.to_owned() }) }
    }

    /// Takes the lock on `path`; if it is taken, the error is the text that `busy` returns. `None` on a read-only file
    /// system.
    pub fn take_unless_read_only(path: &Path, busy: impl FnOnce() -> String) -> Result<Option<Self>, StoreError> {
        if is_read_only(path) {
            return Ok(None);
        }
        let file = open(path)?;
        if !try_lock(&file)? {
            return Err(StoreError::Unusable(busy()));
        }
        Ok(Some(Self { path: path.to_owned(), file }))
    }

    /// Writes into the lock's file what its holder is doing, for the next holder to read; nothing when it has finished.
    pub fn note(&self, what: &[u8]) -> Result<(), StoreError> {
        self.file.set_len(0)?;
        Ok(self.file.write_all_at(what, 0)?)
    }

    /// Reads what the last holder wrote.
    pub fn noted(&self) -> Result<Vec<u8>, StoreError> {
        Ok(fs::read(&self.path)?)
    }
}

/// A process that was forked meanwhile has the same lock until it executes its program: closing the file alone would not
/// release it.
impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

impl InUse {
    /// Takes the exclusive lock for a server. Commands that hold the shared lock end by themselves, so it waits for
    /// them.
    pub(super) fn serve(database: &Path) -> Result<Self, StoreError> {
        let file = files::open(database)?;
        let until = Instant::now() + READERS_END;
        while !try_lock(&file)? {
            if Self::read(database)?.is_none() {
                // The lock file of this name is ours, so another process uses the database under another name.
                return Err(under_another_name(database));
            }
            if Instant::now() > until {
                return Err(StoreError::Unusable(format!(
                    "a command has been reading {} for more than a minute: find it with `lsof {}` and stop it",
                    database.display(),
                    quoted(database.display())
                )));
            }
            sleep(LOOK_AGAIN);
        }
        Ok(Self { file: Arc::new(file) })
    }

    /// Returns the file's descriptor.
    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Takes the shared lock, which keeps servers out until it is dropped; `None` if a server runs.
    pub(super) fn read(database: &Path) -> Result<Option<Self>, StoreError> {
        let file = files::open(database)?;
        match file.try_lock_shared() {
            Ok(()) => Ok(Some(Self { file: Arc::new(file) })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(StoreError::Internal(error.to_string())),
        }
    }
}

/// Refuses a database that a server uses although its lock file is free, because somebody removed the lock file.
pub fn must_not_be_served(database: &Path) -> Result<(), StoreError> {
    if files::exists(database)? { InUse::serve(database).map(drop) } else { Ok(()) }
}

/// Refuses a database that a server uses under another name: its latest changes are in the log beside that name.
pub(super) fn must_be_served_by_this_name(database: &Path) -> Result<(), StoreError> {
    let Ok(file) = File::open(beside(database, ".lock")) else { return Err(under_another_name(database)) };
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Ok(()),
        Ok(()) | Err(TryLockError::Error(_)) => Err(under_another_name(database)),
    }
}

fn under_another_name(database: &Path) -> StoreError {
    StoreError::Unusable(format!(
        "another process is using {} under another name (a link, or a mount of the file alone): use the same name, or mount its directory",
        database.display()
    ))
}

fn is_read_only(path: &Path) -> bool {
    rustix::fs::statvfs(folder(path)).is_ok_and(|disk| disk.f_flag.contains(StatVfsMountFlags::RDONLY))
}

fn open(path: &Path) -> Result<File, StoreError> {
    own_file(path).map_err(|error| match error {
        StoreError::Internal(why) => StoreError::Unusable(format!(
            "cannot open {}: {why}. Create its directory and make it writable, or choose another file with --database",
            path.display()
        )),
        other => other,
    })
}

/// Takes the lock if it is free; returns whether it did.
fn try_lock(file: &File) -> Result<bool, StoreError> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(StoreError::Internal(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::store::open;

    #[test]
    fn a_note_replaces_the_one_before_and_outlives_its_holder() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("a.lock");
        let take = || Lock::take_unless_read_only(&path, || "taken".to_owned());
        let lock = take().expect("free").expect("writable");
        assert_eq!(take().expect_err("taken").to_string(), "taken");
        for note in [&b"a long note"[..], b"short", b"", b"the last"] {
            lock.note(note).expect("written");
            assert_eq!(lock.noted().expect("read"), note);
        }
        drop(lock);
        assert_eq!(take().expect("free").expect("writable").noted().expect("read"), b"the last");
    }

    #[test]
    fn a_released_lock_is_free_although_a_forked_process_has_the_file() {
        let folder = TempDir::new().expect("a folder");
        let database = folder.path().join("orgkeys.db");
        open::prepare(&database).expect("made");
        let lock = Lock::take(&database).expect("free");
        assert!(matches!(Lock::take(&database), Err(StoreError::InUse { .. })));
        // As a fork does, this makes a second descriptor of the same open file.
        let forked = lock.file.try_clone().expect("a descriptor");
        drop(lock);
        Lock::take(&database).expect("free again");
        let served = InUse::serve(&database).expect("free");
        let forked_too = served.file.try_clone().expect("a descriptor");
        assert!(InUse::read(&database).expect("readable").is_none());
        drop(served);
        let read = InUse::read(&database).expect("readable").expect("free again");
        let forked_while_read = read.file.try_clone().expect("a descriptor");
        drop(read);
        InUse::serve(&database).expect("free again");
        drop((forked, forked_too, forked_while_read));
    }
}
