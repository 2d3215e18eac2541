//! Are the files that are open still those beside which the next start will look, and do they still hold what was written? Whoever
//! moves, removes or overwrites them while the server runs takes with them what is acknowledged from then on.
//!
//! It is looked at after each commit, before anybody is answered.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use rustix::io::Errno;

use super::files::{self, beside};
use super::identity::Identity;
use super::{StoreError, halt};

/// Bytes of a log's header, and of the one of each frame (<https://www.sqlite.org/fileformat.html>, section 4.1).
const LOG_HEADER: usize = 32;
const FRAME_HEADER: u64 = 24;

/// How often a log may have begun anew between two looks: other programs may have written too.
const MOST_RESTARTS: u32 = 1_000;

/// Bytes that are copied at a time.
const CHUNK: usize = 1 << 20;

/// A file as the system tells it from others: its device and its inode.
type Inode = (u64, u64);

/// The three files of an open database, and what their names led to when it was opened.
pub(super) struct InPlace {
    database: Named,
    log: Named,
    index: Named,
    /// Opened before SQLite's own descriptors and closed after them: closing any descriptor of a file ends the locks that the process
    /// has on it (POSIX advisory locks), and SQLite's are such.
    file: Arc<File>,
    log_file: File,
    page_size: u64,
    /// What the log began with, and how long the database was, when they were looked at last.
    log_header: Cell<[u8; LOG_HEADER]>,
    length: Cell<u64>,
}

struct Named {
    path: PathBuf,
    inode: Inode,
}

/// What SQLite says of the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Log {
    /// Frames that it has.
    pub(super) frames: u32,
    /// Frames that it had before.
    pub(super) before: u32,
    /// Whether it may have begun anew meanwhile.
    pub(super) may_be_new: bool,
}

/// What is not in its place any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    /// The database: what is written now would be lost with it, or damage what took its place.
    Database,
    /// The log, which can be put back.
    Log,
    /// The log's index, which the next start makes anew.
    Index,
    /// What the log held.
    LogContent,
}

impl InPlace {
    /// Remembers the files of a database that is open; `file` is one of its own descriptors.
    pub(super) fn of(conn: &Connection, database: &Path, file: Arc<File>) -> Result<Self, StoreError> {
        let page_size: u32 = conn.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        let named = |path: PathBuf| inode(&path).map(|inode| Named { path, inode });
        let log = named(beside(database, "-wal"))?;
        Ok(Self {
            log_file: File::open(&log.path)?,
            database: named(database.to_owned())?,
            log,
            index: named(beside(database, "-shm"))?,
            length: Cell::new(file.metadata()?.len()),
            file,
            page_size: page_size.into(),
            log_header: Cell::default(),
        })
    }

    /// What was moved, removed or overwritten, if anything was.
    pub(super) fn lost(&self, conn: &Connection, log: Option<Log>) -> Option<Gone> {
        if !self.database.is_there() || self.is_overwritten(conn) {
            Some(Gone::Database)
        } else if log.is_some_and(|log| self.is_log_overwritten(log)) {
            Some(Gone::LogContent)
        } else if !self.log.is_there() {
            Some(Gone::Log)
        } else {
            (!self.index.is_there()).then_some(Gone::Index)
        }
    }

    /// Whether the file itself was overwritten or cut: it never shrinks, and its log follows it.
    fn is_overwritten(&self, conn: &Connection) -> bool {
        let length = self.file.metadata().map_or(u64::MAX, |meta| meta.len());
        if length < self.length.replace(length) {
            return true;
        }
        let Ok(log) = Identity::read(conn) else { return false };
        match Identity::of_open(&self.file) {
            // A file that cannot be read says by itself that the disk has failed.
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => false,
            file => file.ok().flatten().is_none_or(|file| !log.follows(&file)),
        }
    }

    /// Whether the log is shorter than it should be, or begins otherwise although it was not begun anew.
    fn is_log_overwritten(&self, log: Log) -> bool {
        let Ok(meta) = self.log_file.metadata() else { return false };
        let mut header = [0; LOG_HEADER];
        if log.frames == 0 || self.log_file.read_exact_at(&mut header, 0).is_err() {
            return log.frames > 0;
        }
        let before = self.log_header.replace(header);
        let is_short = meta.len() < LOG_HEADER as u64 + u64::from(log.frames) * (FRAME_HEADER + self.page_size);
        let is_another = if header == before {
            // Its index was overwritten.
            log.frames < log.before && !log.may_be_new
        } else {
            !begins_anew(before, header)
        };
        is_short || (log.before > 0 && is_another)
    }

    /// Puts the log back from the descriptor that is open, and ends the process. While the disk has no room for it nobody is answered:
    /// the log would end with the process.
    pub(super) fn put_log_back(&self) -> ! {
        loop {
            match self.copy_log() {
                Ok(()) => halt::log_put_back(&self.database.path),
                Err(error) => {
                    tracing::error!(%error, "the -wal was moved or removed, and cannot be put back yet: nothing is answered until it is");
                    // It was kept for what must not be lost.
                    let _ = fs::remove_file(beside(&self.database.path, ".reserve"));
                    std::thread::sleep(std::time::Duration::from_secs(1));
                }
            }
        }
    }

    fn copy_log(&self) -> Result<(), StoreError> {
        let draft = beside(&self.log.path, ".new");
        files::remove(&draft)?;
        let copy = files::own_file(&draft)?;
        let (mut chunk, mut at) = (vec![0; CHUNK], 0);
        loop {
            let length = self.log_file.read_at(&mut chunk, at)?;
            if length == 0 {
                return files::rename(&draft, &self.log.path);
            }
            copy.write_all_at(&chunk[..length], at)?;
            at += length as u64;
        }
    }
}

impl Named {
    /// Whether the name leads to the same file still. A folder that may not be looked into says nothing.
    fn is_there(&self) -> bool {
        match inode(&self.path) {
            Ok(inode) => inode == self.inode,
            Err(error) => !matches!(
                error.raw_os_error().map(Errno::from_raw_os_error),
                Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
            ),
        }
    }
}

/// Whether SQLite wrote the second header when it began the log anew: it then counts up the first salt, at bytes 16 to 19.
fn begins_anew(before: [u8; LOG_HEADER], now: [u8; LOG_HEADER]) -> bool {
    let salt = |header: [u8; LOG_HEADER]| u32::from_be_bytes([header[16], header[17], header[18], header[19]]);
    (1..=MOST_RESTARTS).contains(&salt(now).wrapping_sub(salt(before)))
}

fn inode(path: &Path) -> std::io::Result<Inode> {
    fs::metadata(path).map(|meta| (meta.dev(), meta.ino()))
}
