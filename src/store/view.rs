//! Read access for processes other than the server: as one more reader while a server runs; otherwise without changing
//! a byte of the database, its log or its index, even on a read-only disk.

use std::fmt::Write;
use std::fs;
use std::ops::Deref;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rusqlite::{Connection, ErrorCode};

use super::files::{self, beside, refuse_second_name};
use super::header::check_header;
use super::identity::FileIdentity;
use super::lock::{self, InUse, Lock};
use super::unfinished::EmptyLog;
use super::{StoreError, connection, migrate, schema};

/// A connection that reads a database, and the lock that keeps others from changing it meanwhile.
pub struct View {
    conn: Connection,
    // Dropped after the connection: a view without a server holds no lock that SQLite knows of.
    _in_use: Option<InUse>,
}

impl Deref for View {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.conn
    }
}

impl View {
    /// Opens the database at `path`, its real name, if it is one that this program can read.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if !files::exists(path)? {
            return Err(StoreError::Unusable(format!(
                "{} does not exist. This command works on the server's own machine: name the server's database with --database",
                path.display()
            )));
        }
        check_header(path)?;
        refuse_second_name(path)?;
        let in_use = InUse::read(path)?;
        let conn = if in_use.is_some() { alone(path)? } else { beside_server(path)? };
        Ok(Self { conn, _in_use: in_use })
    }

    /// Opens the database for the holder of its lock.
    pub fn locked(path: &Path, _lock: &Lock) -> Result<Self, StoreError> {
        check_header(path)?;
        Ok(Self { conn: alone(path)?, _in_use: None })
    }

    /// Runs SQLite's check `check` on the file. Returns `ok` or the first problem, and whether CHECK constraints were
    /// checked too, which SQLite does only for a writable file.
    pub fn check(&self, check: &str) -> Result<(String, bool), StoreError> {
        let ask = |conn: &Connection| {
            let verdict = conn.query_row(&format!("PRAGMA {check}"), [], |row| row.get(0))?;
            Ok((verdict, !conn.is_readonly("main")?))
        };
        let (true, Some(path)) = (self.conn.is_readonly("main")?, self.conn.path()) else { return ask(&self.conn) };
        let (path, wal) = (Path::new(path), beside(Path::new(path), "-wal"));
        // Declared first, so that it is dropped after the connection.
        let _log = EmptyLog::expect(wal);
        let Ok(conn) = without_locks(path) else { return ask(&self.conn) };
        ask(&conn)
    }

    /// Returns the schema version.
    pub fn version(&self) -> Result<i32, StoreError> {
        Ok(self.conn.query_row("PRAGMA user_version", [], |row| row.get(0))?)
    }
}

/// Checks a database that no server uses: its header, that its schema is readable, and that its log belongs to it.
/// Returns the schema version and changes nothing.
pub fn check(path: &Path) -> Result<i32, StoreError> {
    check_header(path)?;
    let version = alone(path)?.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok(version)
}

fn beside_server(path: &Path) -> Result<Connection, StoreError> {
    lock::must_be_served_by_this_name(path)?;
    let conn = connection::reading(path)?;
    check_schema(&conn, path)?;
    Ok(conn)
}

/// Opens a database that no server uses.
pub(super) fn alone(path: &Path) -> Result<Connection, StoreError> {
    let journal = beside(path, "-journal");
    if has_bytes(&journal) {
        return Err(StoreError::Unusable(format!(
            "{} contains unfinished changes to {}. orgkeys never leaves such a file: put back the database that it belongs to, or move it away",
            journal.display(),
            path.display()
        )));
    }
    let conn = if has_bytes(&beside(path, "-wal")) { with_log(path)? } else { without_log(path)? };
    check_schema(&conn, path)?;
    Ok(conn)
}

fn has_bytes(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.len() > 0)
}

/// Opens the file alone. After a clean close, nothing else exists.
fn without_log(path: &Path) -> Result<Connection, StoreError> {
    connection::view(&format!("{}?immutable=1", uri(path))).map_err(|error| unreadable(path, error))
}

/// Opens the file with its log; SQLite creates an empty one if there is none.
fn without_locks(path: &Path) -> Result<Connection, StoreError> {
    connection::view(&format!("{}?vfs=unix-none", uri(path)))
}

/// Opens the file with its write-ahead log, after checking that the log belongs to it. SQLite's own locks are not used,
/// so a read-only file is sufficient.
fn with_log(path: &Path) -> Result<Connection, StoreError> {
    let conn = without_locks(path);
    if let Ok(conn) = &conn
        && let Err(newer @ StoreError::Unusable(_)) = check_version(conn, path)
    {
        // A newer program may store the identity elsewhere.
        return Err(newer);
    }
    let file = FileIdentity::of_file(path)?
        .ok_or_else(|| StoreError::damaged(path, "its second page does not contain the identity of the file"))?;
    // A log with which the file cannot even be read does not belong to it either.
    if let Ok(conn) = conn
        && FileIdentity::read(&conn).is_ok_and(|log| log.follows(&file))
    {
        return Ok(conn);
    }
    let (file, wal) = (path.display(), beside(path, "-wal"));
    Err(StoreError::Unusable(format!(
        "{wal} is not the write-ahead log of {file}: it belongs to another database, or to another state of this one. \
         If {file} is the database that you want, move {wal} away; otherwise put back the database that the log belongs to",
        wal = wal.display()
    )))
}

/// No other process has the database open, so a file that SQLite cannot open is damaged.
fn unreadable(path: &Path, error: StoreError) -> StoreError {
    match error {
        StoreError::Internal(why) => StoreError::damaged(path, &why),
        other => other,
    }
}

/// Refuses a schema that differs from the one of its version.
fn check_schema(conn: &Connection, path: &Path) -> Result<(), StoreError> {
    if check_version(conn, path)? == migrate::VERSION
        && let Some(how) = schema::difference(conn).map_err(|error| read_error(path, &error))?
    {
        return Err(StoreError::damaged(path, &how));
    }
    Ok(())
}

/// Converts an SQLite error about an unreadable file.
fn read_error(path: &Path, error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy,
        _ => StoreError::damaged(path, &error.to_string()),
    }
}

/// Makes SQLite read the whole schema, and returns its version.
fn check_version(conn: &Connection, path: &Path) -> Result<i32, StoreError> {
    let version = conn
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))
        .and_then(|_| conn.query_row("PRAGMA user_version", [], |row| row.get(0)))
        .map_err(|error| read_error(path, &error))?;
    if version < 1 {
        return Err(StoreError::damaged(path, &format!("schema {version} was never released")));
    }
    if version > migrate::VERSION {
        return Err(StoreError::Unusable(format!(
            "{} was written by a newer orgkeys (schema {version}, this program supports {}): run that version, or restore a backup from before the upgrade",
            path.display(),
            migrate::VERSION
        )));
    }
    Ok(version)
}

/// Encodes the path for a URI as SQLite parses it (<https://www.sqlite.org/uri.html>). Slashes are encoded too, so that
/// no part of the path is taken for a host.
fn uri(path: &Path) -> String {
    path.as_os_str().as_bytes().iter().fold("file:".to_owned(), |mut uri, byte| {
        if byte.is_ascii_alphanumeric() {
            uri.push(char::from(*byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
        uri
    })
}
