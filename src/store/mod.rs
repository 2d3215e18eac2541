//! Storage in one SQLite file: many readers on snapshots, and one writer that groups changes into commits.

pub mod api_key;
pub mod audit;
pub mod backup;
pub mod backup_dir;
#[cfg(test)]
mod backwards_tests;
#[cfg(test)]
mod checkpoint_tests;
pub mod clock;
#[cfg(test)]
mod clock_tests;
mod columns;
mod commit_notifier;
mod connection;
pub mod delivery;
#[cfg(test)]
mod disk_tests;
pub mod error;
pub mod event;
#[cfg(test)]
mod event_tests;
pub mod files;
mod halt;
pub mod header;
mod heads;
pub mod hourly_count;
mod identity;
mod in_place;
pub mod index;
pub mod invitation;
pub mod key_file;
#[cfg(test)]
mod list_tests;
pub mod lock;
pub mod login_attempt;
mod lookups;
pub mod migrate;
pub mod node;
pub mod open;
pub mod org;
pub mod org_key;
mod parameters;
#[cfg(test)]
mod plan_tests;
pub mod progress;
pub mod project;
#[cfg(test)]
mod query_tests;
mod reply;
mod reserve;
pub mod restore;
mod schema;
#[cfg(test)]
mod schema_tests;
#[cfg(test)]
mod scope_tests;
pub mod secret;
pub mod server;
pub mod session;
mod space;
#[cfg(test)]
mod sql_tests;
pub mod stats;
pub mod stderr;
pub mod stream;
pub mod token;
pub mod touched;
pub mod trim_point;
#[cfg(test)]
mod trim_point_tests;
pub mod unfinished;
pub mod used_signature;
pub mod user;
mod view;
mod wal;
pub mod web_session;
pub mod webhook;
pub mod whole;
pub mod writer;
mod writer_metrics;
#[cfg(test)]
mod writer_tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::Connection;

use commit_notifier::CommitNotifier;
pub use error::StoreError;
use index::Index;
use lock::{InUse, Lock};
use lookups::LookupConnections;
pub use reply::{Reply, ReplyFuture};
use reserve::Reserve;
pub use space::{Urgency, on_disk};
use writer::Writer;
pub use writer::{Rejection, WriteTx};
pub use writer_metrics::{SIZES, WriterMetrics};

/// How to open a store.
#[derive(Clone, Debug)]
pub struct Options {
    /// The database file.
    pub path: PathBuf,
    /// The number of read connections.
    pub readers: u32,
    /// How far the disk and the file may fill.
    pub room: Room,
}

/// How far the disk and the file may fill before only revocations are accepted.
#[derive(Clone, Debug)]
pub struct Room {
    /// Bytes kept free for revocations.
    pub reserve: u64,
    /// The maximum size of the file in bytes, including the reserve; 0 = as much as the disk holds. Shared, so that it
    /// can be raised while the store runs.
    pub limit: Arc<AtomicU64>,
}

impl Room {
    /// Creates limits: `reserve` bytes kept free, and a file of at most `limit` bytes (0 = no limit).
    #[must_use]
    pub fn new(reserve: u64, limit: u64) -> Self {
        Self { reserve, limit: Arc::new(AtomicU64::new(limit)) }
    }

    fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }
}

/// An open database. The process that opened it holds its lock.
pub struct Store {
    readers: r2d2::Pool<SqliteConnectionManager>,
    lookups: LookupConnections,
    // Dropped after the read connections: the last connection to close removes the write-ahead log.
    writer: Writer,
    path: PathBuf,
    room: Room,
    index: Arc<Index>,
    notifier: Arc<CommitNotifier>,
    upgraded_from: Option<i32>,
    // Declared last: the locks are released only after every connection is closed.
    _in_use: InUse,
    _lock: Lock,
}

/// A snapshot to read from. Every store function that only reads takes one.
pub struct ReadTx<'c> {
    conn: &'c Connection,
}

/// The storage that a database uses, and what is left.
#[derive(Clone, Copy, Debug)]
pub struct Storage {
    /// Size of the database file in bytes.
    pub database: u64,
    /// Size of its write-ahead log in bytes.
    pub wal: u64,
    /// The maximum size of the file in bytes; 0 = as much as the disk holds.
    pub most: u64,
    /// Bytes that this process may still use on the disk.
    pub disk_free: Option<u64>,
    /// Bytes reserved for revocations.
    pub reserve: u64,
    /// Bytes of the reserve that its file holds; they are not part of `disk_free`.
    pub held: u64,
}

impl Store {
    /// Opens the database at `options.path`, or creates it. A file that fails the checks is refused and left unchanged.
    pub fn open(options: &Options) -> Result<Self, StoreError> {
        let options = &Options { path: files::real(&options.path)?, ..options.clone() };
        Self::open_real(options).map_err(|error| space::explain(error, &options.path))
    }

    fn open_real(options: &Options) -> Result<Self, StoreError> {
        let lock = Lock::take(&options.path)?;
        // A restore that was killed leaves its copy, and nobody restores while this lock is held.
        unfinished::discard(&files::beside(&options.path, files::RESTORING))?;
        // Otherwise a database on a full disk could not be opened to revoke anything.
        Reserve::of(&options.path, options.room.reserve).give()?;
        open::create_if_missing(&options.path)?;
        let in_use = InUse::serve(&options.path)?;
        let upgraded_from = open::prepare(&options.path)?;
        let conn = connection::writing(&options.path)?;
        let index = Arc::new(Index::load(&ReadGuard::begin(&conn)?.0)?);
        let notifier = Arc::new(CommitNotifier::default());
        let writer = Writer::start(conn, (Arc::clone(&index), Arc::clone(&notifier)), in_use.file(), options)?;
        let lookups = LookupConnections::open(&options.path)?;
        let manager = SqliteConnectionManager::file(&options.path)
            .with_flags(connection::reading_flags())
            .with_init(connection::prepare_reader);
        let readers = r2d2::Pool::builder()
            .max_size(options.readers)
            .min_idle(Some(1))
            .test_on_check_out(false)
            .connection_timeout(Duration::from_secs(5))
            .build(manager)
            .map_err(|error| StoreError::Internal(error.to_string()))?;
        let (path, room) = (options.path.clone(), options.room.clone());
        Ok(Self { readers, lookups, writer, path, room, index, notifier, upgraded_from, _in_use: in_use, _lock: lock })
    }

    /// Runs `work` on one snapshot. Waits up to 5 seconds for a connection.
    pub fn read<T, E: From<StoreError>>(&self, work: impl FnOnce(&ReadTx<'_>) -> Result<T, E>) -> Result<T, E> {
        let conn = self.readers.get().map_err(|_| StoreError::Busy)?;
        work(&ReadGuard::begin(&conn)?.0)
    }

    /// Runs short `work` on one snapshot, on a connection that serves nothing slower, so that it may be called on an
    /// async thread.
    pub fn look_up<T, E: From<StoreError>>(&self, work: impl FnOnce(&ReadTx<'_>) -> Result<T, E>) -> Result<T, E> {
        match self.lookups.take() {
            Some(lookup) => lookup.read(work),
            None => self.read(work),
        }
    }

    /// Returns the index of valid credentials.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Calls `listener` with the id of the audit log's last entry after each commit that added entries. It runs on the
    /// writer's thread, before any caller gets its reply, so it must only hand the id on.
    pub fn subscribe(&self, listener: impl Fn(i64) + Send + 'static) {
        self.notifier.subscribe(listener);
    }

    /// Runs `work` in the writer's next transaction and replies after the commit is on disk. An error or a panic undoes
    /// this change alone.
    pub fn write<T, E>(&self, work: impl FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static) -> Reply<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.writer.write(Urgency::Ordinary, work)
    }

    /// The same as [`Store::write`] for a change that may use the reserve of a full disk, such as a revocation.
    pub fn write_reserved<T, E>(&self, work: impl FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static) -> Reply<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.writer.write(Urgency::MayUseReserve, work)
    }

    /// As [`Store::write`] or [`Store::write_reserved`], for what may be refused within the transaction, which then
    /// commits what says so.
    pub fn decide<T, E>(
        &self,
        urgency: Urgency,
        work: impl FnOnce(&WriteTx<'_>) -> Result<T, Rejection<E>> + Send + 'static,
    ) -> Reply<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.writer.decide(urgency, work)
    }

    /// Returns the schema version from which this start upgraded the database, if it did.
    #[must_use]
    pub const fn upgraded_from(&self) -> Option<i32> {
        self.upgraded_from
    }

    /// Returns the real path of the database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the writer's metrics since the start.
    #[must_use]
    pub fn writer_metrics(&self) -> WriterMetrics {
        self.writer.metrics()
    }

    /// Returns the storage that the database uses, and what is left.
    #[must_use]
    pub fn storage(&self) -> Storage {
        let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
        Storage {
            database: bytes(&self.path),
            wal: bytes(&files::beside(&self.path, "-wal")),
            most: self.room.limit(),
            disk_free: connection::disk_free(&self.path),
            reserve: self.room.reserve,
            held: reserve::held(&self.path),
        }
    }
}

/// An open snapshot. Its two statements are cached: planning them each time would cost as much as a lookup.
struct ReadGuard<'c>(ReadTx<'c>);

impl<'c> ReadGuard<'c> {
    fn begin(conn: &'c Connection) -> Result<Self, StoreError> {
        conn.prepare_cached("BEGIN")?.execute([])?;
        Ok(Self(ReadTx { conn }))
    }
}

impl Drop for ReadGuard<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.conn.prepare_cached("ROLLBACK").and_then(|mut end| end.execute([])) {
            tracing::error!(%error, "a read transaction could not be ended");
        }
    }
}

impl ReadTx<'_> {
    /// Runs a query that returns at most one row.
    fn row<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        use rusqlite::OptionalExtension;
        Ok(self.conn.prepare_cached(sql)?.query_row(params, read).optional()?)
    }

    /// Runs a query and collects its rows.
    fn rows<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params, read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
