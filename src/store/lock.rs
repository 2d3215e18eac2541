//! Who may write a database? One process, which holds an exclusive lock; whoever reads it without a server shares the lock.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::StatVfsMountFlags;

use super::StoreError;
use super::open::{beside, folder, give_to_owner_of};

/// How long a start waits for commands that read the database to end.
const READERS_END: Duration = Duration::from_mins(1);

/// How often it looks whether they have.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The right to be the only process that writes a database: an exclusive lock on `<database>.lock`.
///
/// The lock is never on the database itself: closing any descriptor of that would drop SQLite's own locks.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// That nobody serves a database, and that nobody can begin to until this is dropped.
pub(super) struct Unserved {
    _shared: Option<File>,
}

impl Lock {
    /// Takes the lock of a database by its real name, or says who else must stop first. Commands that read the database
    /// without a server end by themselves, so they are waited for.
    pub fn take(database: &Path) -> Result<Self, StoreError> {
        let path = beside(database, ".lock");
        let file = open(&path)?;
        let until = Instant::now() + READERS_END;
        while !try_lock(&file)? {
            if unserved(database).is_none() || Instant::now() > until {
                return Err(StoreError::Unusable(format!(
                    "another orgkeys process uses {}: stop the server, run this, start it again",
                    database.display()
                )));
            }
            sleep(LOOK_AGAIN);
        }
        Ok(Self { _file: file })
    }

    /// Takes the lock on `path`, or says what `busy` says. On a read-only disk there is none to take.
    pub fn take_unless_read_only(path: &Path, busy: impl FnOnce() -> String) -> Result<Option<Self>, StoreError> {
        if is_read_only(path) {
            return Ok(None);
        }
        let file = open(path)?;
        if try_lock(&file)? { Ok(Some(Self { _file: file })) } else { Err(StoreError::Unusable(busy())) }
    }
}

/// Sees to it that nobody serves `database` until the result is dropped; `None` when somebody does.
pub(super) fn unserved(database: &Path) -> Option<Unserved> {
    // Without a lock file no server was ever here; what cannot be opened is complained of by whoever opens the database.
    let Ok(file) = File::open(beside(database, ".lock")) else { return Some(Unserved { _shared: None }) };
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => None,
        Ok(()) | Err(TryLockError::Error(_)) => Some(Unserved { _shared: Some(file) }),
    }
}

fn is_read_only(path: &Path) -> bool {
    rustix::fs::statvfs(folder(path)).is_ok_and(|disk| disk.f_flag.contains(StatVfsMountFlags::RDONLY))
}

fn open(path: &Path) -> Result<File, StoreError> {
    let opened = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    let file = opened.map_err(|error| match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full,
        _ => StoreError::Unusable(format!(
            "cannot open {}: {error}. Make the folder exist and writable, or choose another with --database",
            path.display()
        )),
    })?;
    give_to_owner_of(folder(path), path)?;
    Ok(file)
}

/// Whether the lock was free, and is now taken.
fn try_lock(file: &File) -> Result<bool, StoreError> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(StoreError::Internal(error.to_string())),
    }
}
