//! Detects files that were moved, removed or overwritten while they are open. Otherwise everything acknowledged from
//! then on would be lost, because the next start looks under the names.
//!
//! The check runs after each commit, before any caller gets a reply.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use rustix::io::Errno;

use super::files::{self, beside};
use super::identity::FileIdentity;
use super::{StoreError, halt};

/// Bytes of a log's header, and of each frame's header (<https://www.sqlite.org/fileformat.html>, section 4.1).
const LOG_HEADER: usize = 32;
const FRAME_HEADER: u64 = 24;

/// How often a log may have been restarted between two checks; other programs may have written too.
const MOST_RESTARTS: u32 = 1_000;

/// Bytes to copy at a time.
const CHUNK: usize = 1 << 20;

/// The identity of a file in the operating system: its device and its inode.
type Inode = (u64, u64);

/// The three files of an open database, and the inodes that their names referred to when it was opened.
pub(super) struct InPlace {
    database: Named,
    log: Named,
    index: Named,
    /// Opened before SQLite's own descriptors and closed after them: closing any descriptor of a file releases all
    /// locks of the process on it (POSIX advisory locks), including SQLite's.
    file: Arc<File>,
    log_file: File,
    page_size: u64,
    /// The header of the log and the length of the database at the last check.
    log_header: Cell<[u8; LOG_HEADER]>,
    length: Cell<u64>,
}

struct Named {
    path: PathBuf,
    inode: Inode,
}

/// What SQLite reports about the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct WalState {
    /// The number of frames.
    pub(super) frames: u32,
    /// The number of frames before.
    pub(super) before: u32,
    /// Whether it may have been restarted since.
    pub(super) may_be_new: bool,
}

/// What is no longer in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    /// The database: further writes would be lost with it, or damage the file that replaced it.
    Database,
    /// The log, which can be put back.
    Log,
    /// The WAL index, which the next start rebuilds.
    Index,
    /// The contents of the log.
    LogContent,
}

impl InPlace {
    /// Records the files of an open database; `file` is one of its own descriptors.
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

    /// Returns what was moved, removed or overwritten, if anything.
    pub(super) fn lost(&self, conn: &Connection, log: Option<WalState>) -> Option<Gone> {
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

    /// Returns whether the file itself was overwritten or truncated: it never shrinks, and its log follows it.
    fn is_overwritten(&self, conn: &Connection) -> bool {
        let length = self.file.metadata().map_or(u64::MAX, |meta| meta.len());
        if length < self.length.replace(length) {
            return true;
        }
        let Ok(log) = FileIdentity::read(conn) else { return false };
        match FileIdentity::of_open(&self.file) {
            // A read error is not an overwrite: the disk failed, which is reported elsewhere.
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => false,
            file => file.ok().flatten().is_none_or(|file| !log.follows(&file)),
        }
    }

    /// Returns whether the log is too short, or has another header without having been restarted.
    fn is_log_overwritten(&self, log: WalState) -> bool {
        let Ok(meta) = self.log_file.metadata() else { return false };
        let mut header = [0; LOG_HEADER];
        if log.frames == 0 || self.log_file.read_exact_at(&mut header, 0).is_err() {
            return log.frames > 0;
        }
        let before = self.log_header.replace(header);
        let is_short = meta.len() < LOG_HEADER as u64 + u64::from(log.frames) * (FRAME_HEADER + self.page_size);
        let is_another = if header == before {
            // The WAL index was overwritten.
            log.frames < log.before && !log.may_be_new
        } else {
            !begins_anew(before, header)
        };
        is_short || (log.before > 0 && is_another)
    }

    /// Puts the log back from the open descriptor and ends the process. While the disk has no space for it, no caller
    /// gets a reply, because the log would be lost with the process.
    pub(super) fn put_log_back(&self) -> ! {
        loop {
            match self.copy_log() {
                Ok(()) => halt::log_put_back(&self.database.path),
                Err(error) => {
                    self.make_room(&error);
                    std::thread::sleep(std::time::Duration::from_secs(1));
                }
            }
        }
    }

    /// Logs why the log could not be put back, and removes the reserve, which exists for what must not be lost.
    fn make_room(&self, error: &StoreError) {
        tracing::error!(%error, "the -wal was moved or removed and could not be put back; retrying, and no request is answered until then");
        let _ = fs::remove_file(beside(&self.database.path, ".reserve"));
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
    /// Returns whether the name still refers to the same file. An unreadable directory proves nothing.
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

/// Returns whether SQLite wrote the second header by restarting the log: it then increments the first salt, at bytes 16
/// to 19.
fn begins_anew(before: [u8; LOG_HEADER], now: [u8; LOG_HEADER]) -> bool {
    let salt = |header: [u8; LOG_HEADER]| u32::from_be_bytes([header[16], header[17], header[18], header[19]]);
    (1..=MOST_RESTARTS).contains(&salt(now).wrapping_sub(salt(before)))
}

fn inode(path: &Path) -> std::io::Result<Inode> {
    fs::metadata(path).map(|meta| (meta.dev(), meta.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{connection, identity, open};

    #[test]
    fn a_log_that_the_disk_has_no_space_for_gets_the_space_of_the_reserve() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let database = folder.path().join("orgkeys.db");
        open::prepare(&database).expect("a database");
        let conn = connection::writing(&database).expect("a connection");
        identity::advance(&conn, false).expect("a log");
        let in_place =
            InPlace::of(&conn, &database, Arc::new(File::open(&database).expect("the file"))).expect("files");
        let (log, reserve) = (folder.path().join("orgkeys.db-wal"), folder.path().join("orgkeys.db.reserve"));
        fs::write(&reserve, "reserved").expect("written");
        let before = fs::read(&log).expect("the log");
        fs::remove_file(&log).expect("removed");
        // Something that is not replaced stands where the copy is written.
        fs::create_dir(folder.path().join("orgkeys.db-wal.new")).expect("a folder");
        let error = in_place.copy_log().expect_err("no copy");
        assert!(reserve.exists());
        in_place.make_room(&error);
        assert!(!reserve.exists());
        fs::remove_dir(folder.path().join("orgkeys.db-wal.new")).expect("removed");
        in_place.copy_log().expect("put back");
        assert!(fs::read(&log).expect("the log") == before);
    }
}
