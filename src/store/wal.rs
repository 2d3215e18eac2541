//! How large may the write-ahead log grow? The writer alone moves it into the database, and has SQLite begin it anew in time.
//!
//! SQLite begins a log anew only when all of it is in the database and no reader needs it, a moment that overlapping readers
//! never leave. A checkpoint in mode RESTART makes that moment: while the writer waits in it, each new reader sees the
//! newest state, and then needs the log no more. So the writer waits about twice as long as the longest snapshot is held.

use std::cell::Cell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

use super::in_place::{Gone, InPlace, Log};
use super::{StoreError, connection, files, halt, identity};

/// Frames, each of a page, after which some are moved into the database, without waiting for anybody.
const SOME: u32 = 1_000;

/// Frames after which the log is begun anew, 16 MiB of usual pages; a try that fails is repeated after [`SOME`] more.
const MANY: u32 = 4_096;

/// How long a try waits for readers to end, and how long once the log is twice as long as it should be: a command that reads
/// everything, such as a backup, then slows the writer down instead of filling the disk.
const PATIENCE: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(300)];

/// How long the writer waits between two tries to give the log's room back to a full disk.
const RETRY: Duration = Duration::from_secs(1);

/// Bytes that the log's file keeps while little is written.
const KEPT: u64 = 6 << 20;

/// How long after the last try to begin it anew the log counts as one to which little is written.
const QUIET: Duration = Duration::from_secs(2);

/// On a full disk, a log of fewer bytes is not worth the try to cut it.
const WORTH_CUTTING: u64 = 1 << 20;

/// Bytes of a log that something has kept from being begun anew for too long: then somebody is told, and again whenever it has doubled.
const TOLD: u64 = 64 << 20;

/// The write-ahead log, for the writer's connection.
pub(super) struct Wal {
    database: PathBuf,
    path: PathBuf,
    in_place: InPlace,
    /// Whether all of the log is in the database: then the next change may begin a new one.
    moved: Cell<bool>,
    /// The same, also where a reader needs the log still: the next change may begin a new one once it does not.
    all_moved: Cell<bool>,
    /// Frames that the log has.
    frames: Cell<u32>,
    /// Frames that it had when some were moved into the database last.
    moved_at: Cell<u32>,
    /// Frames from which on it is to be begun anew.
    restart_at: Cell<u32>,
    /// When that, or to cut the file, was tried last.
    tried: Cell<Instant>,
    /// Bytes from which on somebody is told that it is too long.
    tell_at: Cell<u64>,
    /// What is to be done after the transaction that runs now.
    due: Cell<Option<Mode>>,
}

/// Whether the disk failed, rather than being full.
fn is_broken(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
}

/// How a checkpoint goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Moves what it can without waiting.
    Passive,
    /// Moves all of it, and waits until no reader needs it.
    Restart,
    /// The same, and cuts the file.
    Truncate,
}

impl Wal {
    /// Takes over the log of `database`: all of it moves into the file, which then becomes another than any copy of it.
    /// `file` is a descriptor of the database that is open for as long as any connection.
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
        // Beside a reader that needs the log it goes on, and the file stays the one that the log belongs to.
        if self.moved.get() {
            identity::renew(conn)?;
            self.checkpoint(conn, Mode::Truncate, PATIENCE[1])?;
        }
        Ok(())
    }

    /// To be called within each transaction: marks the log where a new one begins, and before some of it moves.
    pub(super) fn mark(&self, conn: &Connection) -> rusqlite::Result<()> {
        self.due.set(self.next());
        if self.moved.get() || self.due.get().is_some() {
            identity::advance(conn, self.moved.get())?;
        }
        Ok(())
    }

    /// To be called after each transaction and before anybody is answered: ends the process if the files were moved, removed or
    /// overwritten.
    pub(super) fn must_be_in_place(&self, conn: &Connection) {
        let log = count(conn).map(|frames| Log { frames, before: self.frames.get(), may_be_new: self.all_moved.get() });
        if let Some(Log { frames, .. }) = log {
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

    /// To be called after each commit, once the files are known to be in place: does what is due.
    pub(super) fn committed(&self, conn: &Connection) {
        self.moved.set(false);
        self.all_moved.set(false);
        if let Some(mode) = self.due.take() {
            self.attempt(conn, mode);
        }
    }

    /// To be called while nothing is written: cuts a log that has become long.
    pub(super) fn idle(&self, conn: &Connection) {
        self.must_be_in_place(conn);
        if let Some(mode) = self.next() {
            self.mark_alone(conn);
            self.attempt(conn, mode);
        }
    }

    /// Gives the log's room back to a full disk, where it is worth it.
    pub(super) fn give_back(&self, conn: &Connection) {
        if self.bytes() >= WORTH_CUTTING && self.tried.get().elapsed() >= RETRY {
            self.cut(conn);
        }
    }

    /// Gives the log's room back at once.
    pub(super) fn cut(&self, conn: &Connection) {
        self.must_be_in_place(conn);
        self.attempt(conn, Mode::Truncate);
    }

    /// Moves all of the log into the database at a clean stop.
    pub(super) fn end(&self, conn: &Connection) {
        self.must_be_in_place(conn);
        self.mark_alone(conn);
        self.attempt(conn, Mode::Truncate);
    }

    /// What the log's length asks for.
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

    /// Only once the files are known to be in place: into another file, or from another log, nothing is moved.
    fn attempt(&self, conn: &Connection, mode: Mode) {
        let patience = PATIENCE[usize::from(self.frames.get() >= 2 * MANY)];
        if let Err(error) = self.checkpoint(conn, mode, patience) {
            if is_broken(&error) {
                // What SQLite counts as moved may not be on the disk, and the log that has it would be begun anew.
                halt::disk_failed();
            }
            tracing::warn!(%error, "the write-ahead log could not be moved into the database; it is tried again");
        }
        let frames = self.frames.get();
        self.moved_at.set(frames);
        if mode != Mode::Passive {
            self.tried.set(Instant::now());
            self.restart_at.set(if self.moved.get() { MANY } else { frames.max(MANY) + SOME });
            // The next change begins the log anew.
            self.frames.set(if self.moved.get() { 0 } else { frames });
            self.tell();
        }
    }

    /// A command that reads the database can be stopped or hang, and nothing here can end it.
    fn tell(&self) {
        if self.moved.get() {
            self.tell_at.set(TOLD);
        } else if let bytes = self.bytes()
            && bytes >= self.tell_at.get()
        {
            self.tell_at.set(bytes.saturating_mul(2));
            tracing::warn!(
                bytes,
                "the write-ahead log grows because something has been reading the database for long: look for a command that is \
                 stopped or hangs, such as `orgkeys backup` (`lsof {}` says who has it open), and end it",
                self.path.display()
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

    /// Takes in how many frames there are; when there are fewer than before, SQLite has begun the log anew.
    fn measured(&self, frames: u32) {
        if frames < self.moved_at.get() {
            self.moved_at.set(0);
            self.restart_at.set(MANY);
        }
        self.frames.set(frames);
    }

    /// Marks the log in a transaction of its own. On a full disk that fails, and the log is moved without.
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

/// How many frames the log has; `None` within a transaction, which a failed one may have left open.
fn count(conn: &Connection) -> Option<u32> {
    let mut look = conn.prepare_cached("PRAGMA wal_checkpoint(NOOP)").ok()?;
    let frames = look.query_row([], |row| row.get::<_, i64>(1)).ok()?;
    u32::try_from(frames).ok()
}
