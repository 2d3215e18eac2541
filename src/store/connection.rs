//! Opens SQLite connections. Every connection gets the same pragmas, and each pragma is read back after it is set.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::{StoreError, files};

/// The oldest SQLite version without known loss of acknowledged commits: 3.51.3 fixed a lost write-ahead log reset.
const OLDEST_SQLITE: i32 = 3_051_003;

/// How long a connection waits for a lock.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// Each pragma with the value that reading it back must return.
const PRAGMAS: [(&str, &str, i64); 7] = [
    ("synchronous", "FULL", 2),
    ("foreign_keys", "ON", 1),
    ("recursive_triggers", "ON", 1),
    ("trusted_schema", "OFF", 0),
    ("cell_size_check", "ON", 1),
    ("temp_store", "MEMORY", 2),
    ("busy_timeout", "5000", 5_000),
];

/// Opens the connection of the only writer, which alone checkpoints, and only explicitly. The database must already be
/// known to be ours, because setting the journal mode changes the file.
pub fn writing(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY)?;
    let journal = |pragma| conn.query_row(pragma, [], |row| row.get::<_, String>(0));
    if journal("PRAGMA journal_mode")? != "wal" {
        // A restored backup. Only its first page changes, and a journal on disk could be left behind by a killed
        // process without anything to tell it from the journal of another file.
        journal("PRAGMA journal_mode = MEMORY")?;
    }
    let mode = journal("PRAGMA journal_mode = WAL")?;
    if mode != "wal" {
        let message =
            format!("SQLite cannot use a write-ahead log here (journal mode {mode}): put the database on a local disk");
        return Err(StoreError::Unusable(message));
    }
    prepare(&conn)?;
    Ok(conn)
}

/// Opens a connection to a database that no server is using, with the access mode in the URI. It changes no file: in
/// exclusive mode, which must be set before the first read, SQLite keeps the WAL index in memory.
pub fn view(uri: &str) -> Result<Connection, StoreError> {
    let mut conn = Connection::open_with_flags(uri, reading_flags() | OpenFlags::SQLITE_OPEN_URI)?;
    never_checkpoint(&conn)?;
    conn.query_row("PRAGMA locking_mode = EXCLUSIVE", [], |_| Ok(()))?;
    prepare_reader(&mut conn)?;
    Ok(conn)
}

/// Opens a connection that reads beside the writer.
pub fn reading(path: &Path) -> Result<Connection, StoreError> {
    let mut conn = Connection::open_with_flags(path, reading_flags())?;
    prepare_reader(&mut conn)?;
    Ok(conn)
}

/// The flags of a reader. Not read-only: readers beside the writer share the WAL index, and SQLite ignores CHECK
/// constraints of a file that is opened read-only.
pub fn reading_flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

/// Prepares a connection for reading. The journal mode of the file is left as it is: the writer's, or that of a backup,
/// which must not change.
pub fn prepare_reader(conn: &mut Connection) -> rusqlite::Result<()> {
    never_checkpoint(conn)?;
    // The connection pool's error type is SQLite's.
    prepare(conn).map_err(|error| {
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ERROR), Some(error.to_string()))
    })?;
    conn.pragma_update(None, "query_only", true)
}

/// Must be called first: a connection that finds a damaged database is closed too, and closing it would checkpoint.
fn never_checkpoint(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map(drop)
}

/// Sets and verifies what every connection needs; none of it changes the file.
fn prepare(conn: &Connection) -> Result<(), StoreError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        let message = format!("SQLite {} is too old: version 3.51.3 or later is required", rusqlite::version());
        return Err(StoreError::Unusable(message));
    }
    conn.busy_timeout(BUSY)?;
    for (name, value, expected) in PRAGMAS {
        conn.execute_batch(&format!("PRAGMA {name} = {value}"))?;
        let stands: i64 = conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))?;
        if stands != expected {
            return Err(StoreError::Unusable(format!("SQLite did not accept PRAGMA {name} = {value}")));
        }
    }
    // Without it, a statement with a bound LIMIT is planned again at every use, which costs more than running it.
    if !conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)? {
        return Err(StoreError::Unusable("SQLite did not accept its query planner stability guarantee".to_owned()));
    }
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    conn.set_prepared_statement_cache_capacity(128);
    Ok(())
}

/// Returns the free bytes that this process may use on the disk of `path`.
pub fn disk_free(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(files::folder(path)).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}
