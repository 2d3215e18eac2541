//! Who may write a database? One process, which holds a lock beside it and one on it; whoever reads it without a server shares the latter.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::StatVfsMountFlags;

use super::StoreError;
use super::files::{beside, folder, own_file};

/// How long a start waits for commands that read the database to end.
const READERS_END: Duration = Duration::from_mins(1);

/// How often it looks whether they have.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The right to be the only process that writes a database: an exclusive lock on `<database>.lock`.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// A lock on the database file itself, by whatever name it is opened: exclusive for who serves it, shared for who reads it while
/// nobody does. It is of another kind (`flock`) than SQLite's own, which end when any descriptor of the file is closed: who serves
/// the database drops this after its connections.
#[derive(Debug)]
pub(super) struct InUse {
    file: Arc<File>,
}

impl Lock {
    /// Takes the lock of a database by its real name, or says who else must stop first.
    pub fn take(database: &Path) -> Result<Self, StoreError> {
        let file = open(&beside(database, ".lock"))?;
        if try_lock(&file)? { Ok(Self { _file: file }) } else { Err(in_use(database)) }
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

impl InUse {
    /// Takes the file for the one who serves it. Commands that read it end by themselves, so they are waited for.
    pub(super) fn serve(database: &Path) -> Result<Self, StoreError> {
        let file = File::open(database)?;
        let until = Instant::now() + READERS_END;
        while !try_lock(&file)? {
            if Self::read(database)?.is_none() {
                // Its lock file is ours, so it is known to somebody by another name.
                return Err(under_another_name(database));
            }
            if Instant::now() > until {
                return Err(StoreError::Unusable(format!(
                    "a command that reads {0} has not ended for a minute: `lsof {0}` names it, end it",
                    database.display()
                )));
            }
            sleep(LOOK_AGAIN);
        }
        Ok(Self { file: Arc::new(file) })
    }

    /// The descriptor of the file.
    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Keeps everybody from serving the file until this is dropped; `None` when somebody does.
    pub(super) fn read(database: &Path) -> Result<Option<Self>, StoreError> {
        let file = File::open(database)?;
        match file.try_lock_shared() {
            Ok(()) => Ok(Some(Self { file: Arc::new(file) })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(StoreError::Internal(error.to_string())),
        }
    }
}

/// Refuses a database that is served although its lock file is free: somebody removed that.
pub fn must_not_be_served(database: &Path) -> Result<(), StoreError> {
    if database.try_exists()? { InUse::serve(database).map(drop) } else { Ok(()) }
}

/// Refuses a database that is served by another name: what its server wrote last lies beside that.
pub(super) fn must_be_served_by_this_name(database: &Path) -> Result<(), StoreError> {
    let Ok(file) = File::open(beside(database, ".lock")) else { return Err(under_another_name(database)) };
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Ok(()),
        Ok(()) | Err(TryLockError::Error(_)) => Err(under_another_name(database)),
    }
}

fn in_use(database: &Path) -> StoreError {
    StoreError::Unusable(format!(
        "another orgkeys process uses {}: stop the server, run this, start it again",
        database.display()
    ))
}

fn under_another_name(database: &Path) -> StoreError {
    StoreError::Unusable(format!(
        "another process uses {} by another name (a mount of the file alone, or a link): name it as that does, or mount its folder",
        database.display()
    ))
}

fn is_read_only(path: &Path) -> bool {
    rustix::fs::statvfs(folder(path)).is_ok_and(|disk| disk.f_flag.contains(StatVfsMountFlags::RDONLY))
}

fn open(path: &Path) -> Result<File, StoreError> {
    own_file(path).map_err(|error| match error {
        StoreError::Internal(why) => StoreError::Unusable(format!(
            "cannot open {}: {why}. Make the folder exist and writable, or choose another with --database",
            path.display()
        )),
        other => other,
    })
}

/// Whether the lock was free, and is now taken.
fn try_lock(file: &File) -> Result<bool, StoreError> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(StoreError::Internal(error.to_string())),
    }
}
