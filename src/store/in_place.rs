//! Are the files that are open still those beside which the next start will look? Whoever moves, removes or overwrites them while
//! the server runs takes with them what is written from then on.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::StoreError;
use super::files::beside;
use super::identity::Identity;

/// A file as the system tells it from others: its device and its inode.
type Inode = (u64, u64);

/// The three files of an open database, and what their names led to when it was opened.
pub(super) struct InPlace {
    database: Named,
    /// The log and its index. The database can be finished without them.
    beside: [Named; 2],
}

struct Named {
    path: PathBuf,
    inode: Inode,
}

/// What is not in its place any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    /// The database: what is written now would be lost with it, or damage what took its place.
    Database,
    /// The log or its index alone: what is in the log can still be moved into the database.
    Log,
}

impl InPlace {
    pub(super) fn of(database: &Path) -> Result<Self, StoreError> {
        let named = |path: PathBuf| inode(&path).map(|inode| Named { path, inode });
        let [log, index] = ["-wal", "-shm"].map(|suffix| named(beside(database, suffix)));
        Ok(Self { database: named(database.to_owned())?, beside: [log?, index?] })
    }

    /// What was moved or removed, if anything was.
    pub(super) fn gone(&self) -> Option<Gone> {
        if !self.database.is_there() {
            return Some(Gone::Database);
        }
        self.beside.iter().any(|file| !file.is_there()).then_some(Gone::Log)
    }

    /// Whether the file itself was overwritten: then the log that is open does not follow it.
    pub(super) fn is_overwritten(&self, conn: &Connection) -> bool {
        let Ok(log) = Identity::read(conn) else { return false };
        // A file that cannot be read says by itself that the disk has failed.
        let file = match Identity::of_file(&self.database.path) {
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => return false,
            file => file.ok().flatten(),
        };
        file.is_none_or(|file| !log.follows(&file))
    }
}

impl Named {
    /// Whether the name leads to the same file still. A folder that cannot be looked into says nothing.
    fn is_there(&self) -> bool {
        match inode(&self.path) {
            Ok(inode) => inode == self.inode,
            Err(error) => error.kind() != ErrorKind::NotFound,
        }
    }
}

fn inode(path: &Path) -> std::io::Result<Inode> {
    fs::metadata(path).map(|meta| (meta.dev(), meta.ino()))
}
