//! Limits the size of the write-ahead log. The writer alone checkpoints, and makes SQLite restart the log in time.
//!
//! SQLite restarts a log only when all of it is in the database and no reader needs it, which never happens while
//! readers overlap. A checkpoint in mode RESTART makes it happen: while the writer waits in it, each new reader sees
//! the newest state, and then no longer needs the log. So the writer waits about twice as long as the longest snapshot
//! is held.

use std::cell::Cell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

use super::in_place::{Gone, InPlace, WalState};
use super::{StoreError, connection, files, halt, identity};
use crate::domain::shell::quoted;

/// Frames, each of a page, after which the log is checkpointed without waiting for readers.
const SOME: u32 = 1_000;

/// Frames after which the log is restarted, 16 MiB of usual pages; a failed attempt is repeated after [`SOME`] more.
const MANY: u32 = 4_096;

/// How long an attempt waits for readers, and how long once the log is twice as long as intended: a command that reads
/// everything, such as a backup, then slows the writer down instead of filling the disk.
const PATIENCE: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(300)];

/// How long the writer waits between two attempts to truncate the log on a full disk.
const RETRY: Duration = Duration::from_secs(1);

/// Bytes that the log file keeps while little is written.
const KEPT: u64 = 6 << 20;

/// How long after the last attempt to restart the log little is considered to be written.
const QUIET: Duration = Duration::from_secs(2);

/// On a full disk, a log of fewer bytes is not worth truncating.
const WORTH_CUTTING: u64 = 1 << 20;

/// The size in bytes at which a warning is logged that something keeps the log from being restarted; repeated each time
/// the size has doubled.
const TOLD: u64 = 64 << 20;

/// The write-ahead log, as the writer's connection manages it.
pub(super) struct Wal {
    database: PathBuf,
    path: PathBuf,
    in_place: InPlace,
    /// Whether all of the log is in the database and no reader needs it: the next change may restart it.
    moved: Cell<bool>,
    /// Whether all of the log is in the database, even if a reader still needs it: the next change may restart it once
    /// the reader ends.
    all_moved: Cell<bool>,
    /// The number of frames in the log.
    frames: Cell<u32>,
    /// The number of frames at the last checkpoint.
    moved_at: Cell<u32>,
    /// The number of frames at which to restart the log.
    restart_at: Cell<u32>,
    /// When a restart or a truncation was last attempted.
    tried: Cell<Instant>,
    /// The size in bytes at which to warn that the log is too long.
    tell_at: Cell<u64>,
    /// The checkpoint due after the running transaction.
    due: Cell<Option<Mode>>,
}

/// Returns whether the disk failed, rather than being full.
fn is_broken(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
}

/// The mode of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Copies what it can without waiting.
    Passive,
    /// Copies everything, and waits until no reader needs the log.
    Restart,
    /// The same as `Restart`, and truncates the file.
    Truncate,
}

impl Wal {
    /// Takes over the log of `database`: checkpoints all of it, and gives the file a new identity, different from any
    /// copy. `file` is a descriptor of the database that stays open for as long as any connection.
    pub(super) fn take_over(conn: &Connection, database: &Path, file: Arc<File>) -> Result<Self, StoreError> {
        let wal = Self {
            database: database.to_owned(),
            in_place: InPlace::of(conn, database, file)?,
            path: files::beside(database, "-wal"),
            moved: Cell::new(false),
            all_moved: Cell::new(true),
            frames: Cell::new(0),
            moved_at: Cell::new(0),
            restart_at: Cell::new(MANY),
            tried: Cell::new(Instant::now()),
            tell_at: Cell::new(TOLD),
            due: Cell::new(None),
        };
        wal.renew(conn)
            .map_err(|error| if is_broken(&error) { halt::disk_failed() } else { StoreError::from(error) })?;
        Ok(wal)
    }

    fn renew(&self, conn: &Connection) -> rusqlite::Result<()> {
        self.checkpoint(conn, Mode::Truncate, PATIENCE[1])?;
        // If a reader needs the log, the log continues and the file keeps the identity that the log belongs to.
        if self.moved.get() {
            identity::renew(conn)?;
            self.checkpoint(conn, Mode::Truncate, PATIENCE[1])?;
        }
        Ok(())
    }

    /// Must be called within each transaction: marks the log where a new one starts, and before a checkpoint.
    pub(super) fn mark(&self, conn: &Connection) -> rusqlite::Result<()> {
        self.due.set(self.next());
        if self.moved.get() || self.due.get().is_some() {
            identity::advance(conn, self.moved.get())?;
        }
        Ok(())
    }

    /// Must be called after each transaction and before any caller gets its reply: ends the process if the files were
    /// moved, removed or overwritten.
    pub(super) fn must_be_in_place(&self, conn: &Connection) {
        let log =
            count(conn).map(|frames| WalState { frames, before: self.frames.get(), may_be_new: self.all_moved.get() });
        if let Some(WalState { frames, .. }) = log {
            self.measured(frames);
        }
        match self.in_place.lost(conn, log) {
            None => {}
            Some(Gone::Database) => halt::database_gone(&self.database),
            Some(Gone::LogContent) => halt::log_overwritten(&self.database),
            Some(Gone::Log) => self.in_place.put_log_back(),
            Some(Gone::Index) => halt::log_put_back(&self.database),
        }
    }

    /// Must be called after each commit, once the files are known to be in place: runs the checkpoint that is due.
    pub(super) fn committed(&self, conn: &Connection) {
        self.moved.set(false);
        self.all_moved.set(false);
        if let Some(mode) = self.due.take() {
            self.attempt(conn, mode);
        }
    }

    /// Must be called while nothing is written: truncates a log that has become long.
    pub(super) fn idle(&self, conn: &Connection) {
        self.must_be_in_place(conn);
        if let Some(mode) = self.next() {
            self.mark_alone(conn);
            self.attempt(conn, mode);
        }
    }

    /// Truncates the log on a full disk, if that is worthwhile.
    pub(super) fn give_back(&self, conn: &Connection) {
        if self.bytes() >= WORTH_CUTTING && self.tried.get().elapsed() >= RETRY {
            self.cut(conn);
        }
    }

    /// Truncates the log immediately.
    pub(super) fn cut(&self, conn: &Connection) {
        self.must_be_in_place(conn);
        self.attempt(conn, Mode::Truncate);
    }

    /// Checkpoints all of the log at a clean shutdown.
    pub(super) fn end(&self, conn: &Connection) {
        self.must_be_in_place(conn);
        self.mark_alone(conn);
        self.attempt(conn, Mode::Truncate);
    }

    /// Returns the checkpoint that the log's size calls for.
    fn next(&self) -> Option<Mode> {
        if self.frames.get() >= self.restart_at.get() {
            Some(Mode::Restart)
        } else if self.frames.get() >= self.moved_at.get() + SOME {
            Some(Mode::Passive)
        } else {
            let is_quiet = self.tried.get().elapsed() >= QUIET;
            (is_quiet && self.bytes() > KEPT).then_some(Mode::Truncate)
        }
    }

    /// Only once the files are known to be in place: nothing may be copied into another file, or from another log.
    fn attempt(&self, conn: &Connection, mode: Mode) {
        let patience = PATIENCE[usize::from(self.frames.get() >= 2 * MANY)];
        if let Err(error) = self.checkpoint(conn, mode, patience) {
            if is_broken(&error) {
                // Frames that SQLite counts as copied may not be on disk, and the log that contains them would be
                // restarted.
                halt::disk_failed();
            }
            tracing::warn!(%error, "the write-ahead log could not be checkpointed; retrying");
        }
        let frames = self.frames.get();
        self.moved_at.set(frames);
        if mode != Mode::Passive {
            self.tried.set(Instant::now());
            self.restart_at.set(if self.moved.get() { MANY } else { frames.max(MANY) + SOME });
            // The next change restarts the log.
            self.frames.set(if self.moved.get() { 0 } else { frames });
            self.tell();
        }
    }

    /// A command that reads the database can be suspended or hang, and the server cannot end it.
    fn tell(&self) {
        if self.moved.get() {
            self.tell_at.set(TOLD);
        } else if let bytes = self.bytes()
            && bytes >= self.tell_at.get()
        {
            self.tell_at.set(bytes.saturating_mul(2));
            tracing::warn!(
                bytes,
                "the write-ahead log is growing because a command has been reading the database for a long time: look for one that \
                 is suspended or hangs, such as `orgkeys backup` (`lsof {}` lists the processes), and stop it",
                quoted(self.path.display())
            );
        }
    }

    fn checkpoint(&self, conn: &Connection, mode: Mode, patience: Duration) -> rusqlite::Result<()> {
        let patience = if mode == Mode::Passive { Duration::ZERO } else { patience };
        conn.busy_timeout(patience)?;
        let done = conn.query_row(&format!("PRAGMA wal_checkpoint({mode:?})"), [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        });
        conn.busy_timeout(connection::BUSY)?;
        let (blocked, frames, moved) = done?;
        self.all_moved.set(frames == moved);
        self.moved.set(blocked == 0 && frames == moved);
        Ok(())
    }

    /// Records how many frames there are; fewer than before means that SQLite has restarted the log.
    fn measured(&self, frames: u32) {
        if frames < self.moved_at.get() {
            self.moved_at.set(0);
            self.restart_at.set(MANY);
        }
        self.frames.set(frames);
    }

    /// Marks the log in a transaction of its own. If that fails on a full disk, the checkpoint runs without it.
    fn mark_alone(&self, conn: &Connection) {
        if let Err(error) = identity::advance(conn, self.moved.get()) {
            if is_broken(&error) {
                halt::disk_failed();
            }
            tracing::debug!(%error, "the write-ahead log could not be marked");
        } else {
            self.moved.set(false);
        }
    }

    fn bytes(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |meta| meta.len())
    }
}

/// Returns how many frames the log has; `None` within a transaction, which a failed one may have left open.
fn count(conn: &Connection) -> Option<u32> {
    let mut look = conn.prepare_cached("PRAGMA wal_checkpoint(NOOP)").ok()?;
    let frames = look.query_row([], |row| row.get::<_, i64>(1)).ok()?;
    u32::try_from(frames).ok()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_growing_log_is_warned_of_each_time_its_size_has_doubled_and_anew_once_it_was_restarted() {
        let folder = TempDir::new().expect("a folder");
        let database = folder.path().join("orgkeys.db");
        super::super::open::prepare(&database).expect("a database");
        let conn = connection::writing(&database).expect("a connection");
        identity::advance(&conn, false).expect("a log");
        let file = Arc::new(File::open(&database).expect("the database"));
        let mut wal = Wal::take_over(&conn, &database, file).expect("its log");
        // A file without contents, as long as the log of a database that is written much.
        wal.path = folder.path().join("long");
        let (lengthened, written) = (File::create(&wal.path).expect("a file"), folder.path().join("written"));
        let log = File::create(&written).expect("a file");
        let log = tracing_subscriber::fmt().json().flatten_event(true).with_writer(log).finish();
        let warnings = |wal: &Wal, moved: bool, bytes: u64| {
            lengthened.set_len(bytes).expect("its length");
            wal.moved.set(moved);
            wal.tell();
            let text = fs::read_to_string(&written).expect("text");
            assert!(text.lines().last().is_none_or(|line| line.contains("look for one that is suspended or hangs")));
            text.lines().count()
        };
        tracing::subscriber::with_default(log, || {
            for (moved, bytes, expected) in [
                (false, TOLD - 1, 0),
                (false, TOLD, 1),
                (false, 2 * TOLD - 1, 1),
                (false, 2 * TOLD, 2),
                (false, 3 * TOLD, 2),
                (true, 4 * TOLD, 2),
                (false, TOLD - 1, 2),
                (false, TOLD, 3),
            ] {
                assert_eq!(warnings(&wal, moved, bytes), expected, "{moved} {bytes}");
            }
        });
    }
}
