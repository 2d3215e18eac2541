//! How is SQLite spoken to? Every connection gets the same pragmas, and each is read back before it is trusted.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::{StoreError, files};

/// The oldest SQLite that is known to keep what it acknowledged (3.51.3 mended a lost write-ahead log reset).
const OLDEST_SQLITE: i32 = 3_051_003;

/// How long a connection waits for another one.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// Each pragma with the value that must stand after it was set.
const PRAGMAS: [(&str, &str, i64); 7] = [
    ("synchronous", "FULL", 2),
    ("foreign_keys", "ON", 1),
    ("recursive_triggers", "ON", 1),
    ("trusted_schema", "OFF", 0),
    ("cell_size_check", "ON", 1),
    ("temp_store", "MEMORY", 2),
    ("busy_timeout", "5000", 5_000),
];

/// The connection of the one writer, which alone moves the log into the database, and only when it is told to. Only for a
/// database that is known to be ours: its first line changes a foreign file.
pub fn writing(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY)?;
    let journal = |pragma| conn.query_row(pragma, [], |row| row.get::<_, String>(0));
    if journal("PRAGMA journal_mode")? != "wal" {
        // A backup that was put in place. Its first page alone changes, and a journal on disk would be one that a killed
        // process could leave, and that nobody could tell from another file's.
        journal("PRAGMA journal_mode = MEMORY")?;
    }
    let mode = journal("PRAGMA journal_mode = WAL")?;
    if mode != "wal" {
        let message = format!("SQLite keeps journal mode {mode} here: put the database on a local disk");
        return Err(StoreError::Unusable(message));
    }
    prepare(&conn)?;
    Ok(conn)
}

/// A connection that reads what nobody serves, by the URI that says how. It changes no file: in exclusive mode, which must
/// be set before anything is read, SQLite keeps its index of the log in memory.
pub fn view(uri: &str) -> Result<Connection, StoreError> {
    let mut conn = Connection::open_with_flags(uri, reading_flags() | OpenFlags::SQLITE_OPEN_URI)?;
    never_checkpoint(&conn)?;
    conn.query_row("PRAGMA locking_mode = EXCLUSIVE", [], |_| Ok(()))?;
    prepare_reader(&mut conn)?;
    Ok(conn)
}

/// A connection that reads beside the writer.
pub fn reading(path: &Path) -> Result<Connection, StoreError> {
    let mut conn = Connection::open_with_flags(path, reading_flags())?;
    prepare_reader(&mut conn)?;
    Ok(conn)
}

/// The flags of a reader. Not read-only: beside the writer, readers take part in the index of the log, and SQLite knows no
/// CHECK constraint of a file that is opened read-only.
pub fn reading_flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

/// Makes a connection into a reader. It takes the file in the mode in which it finds it: the writer's, or that of a backup, which must not change.
pub fn prepare_reader(conn: &mut Connection) -> rusqlite::Result<()> {
    never_checkpoint(conn)?;
    // The pool's own error type is SQLite's.
    prepare(conn).map_err(|error| {
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ERROR), Some(error.to_string()))
    })?;
    conn.pragma_update(None, "query_only", true)
}

/// To be called before anything else: a connection that finds a database in disorder is closed too, and would move the log into it.
fn never_checkpoint(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map(drop)
}

/// Sets and checks what every connection needs; nothing of it changes the file.
fn prepare(conn: &Connection) -> Result<(), StoreError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        let message = format!("SQLite {} is too old: 3.51.3 is needed", rusqlite::version());
        return Err(StoreError::Unusable(message));
    }
    conn.busy_timeout(BUSY)?;
    for (name, value, expected) in PRAGMAS {
        conn.execute_batch(&format!("PRAGMA {name} = {value}"))?;
        let stands: i64 = conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))?;
        if stands != expected {
            return Err(StoreError::Unusable(format!("SQLite did not take PRAGMA {name} = {value}")));
        }
    }
    // Else a statement with a bound LIMIT is planned anew at every use, which costs more than running it.
    if !conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)? {
        return Err(StoreError::Unusable("SQLite did not take its query planner stability guarantee".to_owned()));
    }
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    conn.set_prepared_statement_cache_capacity(128);
    Ok(())
}

/// Bytes that the disk of `path` has free for this process.
pub fn disk_free(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(files::folder(path)).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}
