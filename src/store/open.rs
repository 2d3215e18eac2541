//! May this file be opened? Its lock is taken and its header read before SQLite touches it, so that a refusal changes no byte.

use std::fmt::Write;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{StoreError, connection, migrate, schema, whole};

/// `okey` in ASCII: the application id (<https://www.sqlite.org/fileformat.html>, section 1.3) of our files.
pub const APPLICATION_ID: i32 = 0x6f6b_6579;

/// The right to be the only process that writes a database: an exclusive lock on `<database>.lock`.
///
/// The lock is never on the database itself: closing any descriptor of that would drop SQLite's own locks.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a database by its real name, or says who else must stop first.
    pub fn take(database: &Path) -> Result<Self, StoreError> {
        Self::take_or_say(&beside(database, ".lock"), || {
            format!("another orgkeys process uses {}: stop the server, run this, start it again", database.display())
        })
    }

    /// Takes the lock on `path`, or says what `busy` says.
    pub fn take_or_say(path: &Path, busy: impl FnOnce() -> String) -> Result<Self, StoreError> {
        let opened = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
        let file = opened.map_err(|error| {
            StoreError::Unusable(format!(
                "cannot open {}: {error}. Make the folder exist and writable, or choose another with --database",
                path.display()
            ))
        })?;
        give_to_owner_of(folder(path), path)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(fs::TryLockError::WouldBlock) => Err(StoreError::Unusable(busy())),
            Err(fs::TryLockError::Error(error)) => Err(StoreError::Internal(error.to_string())),
        }
    }
}

/// The one name by which a file is known here and to SQLite, whatever links led to it: all that lies beside it lies beside that
/// name. Of a file that is yet to be made, the folder's name is the real one.
pub fn real(path: &Path) -> Result<PathBuf, StoreError> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        // What cannot be looked at is complained of by whoever opens it.
        real => return Ok(real.unwrap_or_else(|_| path.to_owned())),
    }
    // What would be made here would take the place of the link, and what it leads to may come back.
    if let Ok(target) = fs::read_link(path) {
        return Err(StoreError::Unusable(format!(
            "{} is a link to {}, which is not there: put back what it leads to (is its disk mounted?), remove the link, or name another file",
            path.display(),
            target.display()
        )));
    }
    let folder = fs::canonicalize(folder(path)).ok();
    Ok(folder.zip(path.file_name()).map_or_else(|| path.to_owned(), |(folder, name)| folder.join(name)))
}

/// The folder that a file lies in.
pub fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The path of a file that belongs to the database: its own name and `suffix`.
#[must_use]
pub fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes the database if it is not there, else checks that it is ours, whole and not newer, and upgrades an older one.
/// Gives the version that it was upgraded from.
pub fn prepare(path: &Path) -> Result<Option<i32>, StoreError> {
    if !path.try_exists()? {
        refuse_orphaned_log(path)?;
        create(path)?;
        return Ok(None);
    }
    check_header(path)?;
    let found = check_contents(path)?;
    if found != migrate::VERSION {
        migrate::upgrade(path, found)?;
        check_contents(path)?;
    }
    whole::check(path)?;
    Ok((found != migrate::VERSION).then_some(found))
}

/// SQLite would play the log of a database that was taken away into the new one.
fn refuse_orphaned_log(path: &Path) -> Result<(), StoreError> {
    let wal = beside(path, "-wal");
    if fs::metadata(&wal).is_ok_and(|meta| meta.len() > 0) {
        return Err(StoreError::Unusable(format!(
            "{} is not there, but the last changes to it are, in {}: put the database back, or remove that file to begin anew",
            path.display(),
            wal.display()
        )));
    }
    Ok(())
}

/// Makes a complete database under another name and renames it into place, so that half of one is never there.
fn create(path: &Path) -> Result<(), StoreError> {
    let draft = beside(path, ".new");
    remove(&draft)?;
    remove(&beside(path, ".new-journal"))?;
    drop(OpenOptions::new().create_new(true).write(true).mode(0o600).open(&draft)?);
    let conn = Connection::open_with_flags(&draft, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    conn.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA synchronous = EXTRA; PRAGMA foreign_keys = ON; BEGIN")?;
    conn.execute_batch(migrate::SCHEMA)?;
    conn.pragma_update(None, "application_id", APPLICATION_ID)?;
    conn.pragma_update(None, "user_version", migrate::VERSION)?;
    conn.execute_batch("COMMIT")?;
    conn.close().map_err(|(_, error)| error)?;
    rename(&draft, path)
}

/// Renames a finished file into place and puts file and folder on disk.
pub fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    File::open(from)?.sync_all()?;
    fs::rename(from, to)?;
    Ok(File::open(folder(to))?.sync_all()?)
}

/// Gives a file that root made to whoever the server runs as, the owner of `model`.
pub fn give_to_owner_of(model: &Path, file: &Path) -> Result<(), StoreError> {
    let (ours, theirs) = (fs::metadata(file)?, fs::metadata(model)?);
    if ours.uid() == 0 && theirs.uid() != 0 {
        std::os::unix::fs::chown(file, Some(theirs.uid()), Some(theirs.gid()))?;
    }
    Ok(())
}

/// Removes a file that may not be there.
pub fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Looks at the first 100 bytes with plain reads: SQLite would already write beside a file that is not ours.
pub fn check_header(path: &Path) -> Result<(), StoreError> {
    let mut header = Vec::with_capacity(100);
    let opened = File::open(path).and_then(|file| file.take(100).read_to_end(&mut header));
    opened.map_err(|error| StoreError::Unusable(format!("cannot read {}: {error}", path.display())))?;
    if header.len() < 100 || !header.starts_with(b"SQLite format 3\0") {
        return Err(damaged(path, "it does not begin as an SQLite database does"));
    }
    let application_id = i32::from_be_bytes([header[68], header[69], header[70], header[71]]);
    if application_id != APPLICATION_ID {
        return Err(StoreError::Foreign { path: path.to_owned(), id: application_id });
    }
    Ok(())
}

/// Opens a database to look at it alone: no pragma is set, and not a byte changed.
pub(super) fn untouched(path: &Path) -> Result<Connection, StoreError> {
    let conn = if beside(path, "-wal").try_exists()? || beside(path, "-journal").try_exists()? {
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?
    } else {
        // Nobody has it open and no process died with it. SQLite would lay a log and an index beside it, which a refusal would leave there.
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        Connection::open_with_flags(format!("{}?immutable=1", uri(path)), flags)?
    };
    // A refusal must leave the write-ahead log where it is.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    conn.busy_timeout(std::time::Duration::from_secs(5))?;
    Ok(conn)
}

/// Lets SQLite read the whole schema, which must be the one that its version has, and gives that.
pub fn check_contents(path: &Path) -> Result<i32, StoreError> {
    let conn = untouched(path)?;
    let version = conn
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))
        .and_then(|_| conn.query_row("PRAGMA user_version", [], |row| row.get(0)))
        .map_err(|error| unreadable(path, &error))?;
    if version < 1 {
        return Err(damaged(path, &format!("schema {version} was never released")));
    }
    if version > migrate::VERSION {
        return Err(StoreError::Unusable(format!(
            "{} was written by a newer orgkeys (schema {version}, this program knows {}): run that version, or restore a backup from before the upgrade",
            path.display(),
            migrate::VERSION
        )));
    }
    if version == migrate::VERSION
        && let Some(how) = schema::difference(&conn).map_err(|error| unreadable(path, &error))?
    {
        return Err(damaged(path, &how));
    }
    Ok(version)
}

/// The path as SQLite reads it in a URI (<https://www.sqlite.org/uri.html>); with its slashes hidden, no part of it is taken for a host.
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

/// What SQLite says of a file that it cannot read.
pub(super) fn unreadable(path: &Path, error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy,
        _ => damaged(path, &error.to_string()),
    }
}

fn damaged(path: &Path, how: &str) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), how: how.to_owned() }
}

/// Opens a finished database for reading beside a running server.
pub fn reader(path: &Path) -> Result<Connection, StoreError> {
    if !path.try_exists()? {
        return Err(StoreError::Unusable(format!(
            "{} is not there: name the database with --database",
            path.display()
        )));
    }
    check_header(path)?;
    check_contents(path)?;
    connection::reading(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_of_a_database_that_was_taken_away_is_not_played_into_a_new_one() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let (path, moved) = (folder.path().join("orgkeys.db"), folder.path().join("moved.db"));
        prepare(&path).expect("made");
        let conn = connection::writing(&path).expect("a connection");
        conn.execute("INSERT INTO org (id, name, created_at) VALUES (zeroblob(16), 'acme', 0)", []).expect("written");
        let log = fs::read(beside(&path, "-wal")).expect("a log");
        conn.close().expect("closed");
        fs::rename(&path, &moved).expect("taken away");
        fs::write(beside(&path, "-wal"), &log).expect("as a killed server leaves it");

        let refusal = prepare(&path).expect_err("refused").to_string();
        assert!(refusal.contains("put the database back, or remove that file"), "{refusal}");
        assert!(!path.exists(), "nothing was made");
        assert_eq!(fs::read(beside(&path, "-wal")).expect("the log"), log);

        fs::remove_file(beside(&path, "-wal")).expect("removed");
        prepare(&path).expect("begun anew");
        let conn = connection::writing(&path).expect("a connection");
        let orgs: i64 = conn.query_row("SELECT count(*) FROM org", [], |row| row.get(0)).expect("a number");
        assert_eq!(orgs, 0);
    }
}
