//! May this file be opened? Its header is read before SQLite touches it, so that a refusal changes no byte.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::{StoreError, migrate, view, whole};

/// `okey` in ASCII: the application id (<https://www.sqlite.org/fileformat.html>, section 1.3) of our files.
pub const APPLICATION_ID: i32 = 0x6f6b_6579;

/// What the names of the files that lie beside a database end with: SQLite's and ours, drafts and locks included. Only the key
/// file and what keeps the time in its name are made by other means.
pub(super) const BESIDE: [&str; 15] = [
    "-journal",
    "-wal",
    "-shm",
    ".lock",
    ".new",
    ".new-journal",
    ".reserve",
    ".backup",
    ".backup.lock",
    ".backup.new",
    ".restoring",
    ".restoring-journal",
    ".restoring-wal",
    ".restoring-shm",
    ".restoring.lock",
];

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

/// Makes the database if it is not there.
pub fn create_if_missing(path: &Path) -> Result<(), StoreError> {
    if path.try_exists()? {
        return Ok(());
    }
    refuse_orphaned_log(path)?;
    create(path)
}

/// Checks that the database is ours, whole and not newer, and upgrades an older one. Gives the version that it was upgraded from.
pub fn prepare(path: &Path) -> Result<Option<i32>, StoreError> {
    create_if_missing(path)?;
    refuse_second_name(path)?;
    let found = view::check(path)?;
    if found != migrate::VERSION {
        migrate::upgrade(path, found)?;
        view::check(path)?;
    }
    whole::check(path)?;
    Ok((found != migrate::VERSION).then_some(found))
}

/// Each name of a file has a lock and a log of its own: by two names two servers could write it at once.
pub(super) fn refuse_second_name(path: &Path) -> Result<(), StoreError> {
    let names = fs::metadata(path)?.nlink();
    if names > 1 {
        let (file, folder) = (path.display(), folder(path).display());
        return Err(StoreError::Unusable(format!(
            "{file} has {names} names (hard links), so two servers could write it at once: find them with \
             `find {folder} -xdev -samefile {file}` and remove all but one"
        )));
    }
    Ok(())
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
    conn.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    conn.close().map_err(|(_, error)| error)?;
    rename(&draft, path)
}

/// Renames a finished file into place and puts file and folder on disk.
pub fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    File::open(from)?.sync_all()?;
    fs::rename(from, to)?;
    Ok(File::open(folder(to))?.sync_all()?)
}

/// Opens a file of ours beside a database for writing, or makes it. Whoever owns the folder could have put something else there, for
/// root to write to or to give away: a link, another name of a file, a pipe.
pub(super) fn own_file(path: &Path) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            give_to_owner_of(folder(path), path)?;
            return Ok(file);
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let refused = || {
        let file = path.display();
        StoreError::Unusable(format!(
            "{file} is a link, or no file that orgkeys made: see who put it there, and remove it"
        ))
    };
    let flags = i32::try_from(flags.bits()).map_err(|_| refused())?;
    let file = options.custom_flags(flags).open(path).map_err(|error| match error.raw_os_error() {
        Some(code) if code == Errno::LOOP.raw_os_error() || code == Errno::NXIO.raw_os_error() => refused(),
        _ => StoreError::from(error),
    })?;
    let meta = file.metadata()?;
    if meta.is_file() && meta.nlink() == 1 { Ok(file) } else { Err(refused()) }
}

/// Gives a file that root made to whoever the server runs as, the owner of `model`. A link is given away itself.
pub fn give_to_owner_of(model: &Path, file: &Path) -> Result<(), StoreError> {
    let (ours, theirs) = (fs::symlink_metadata(file)?, fs::metadata(model)?);
    if ours.uid() == 0 && theirs.uid() != 0 {
        std::os::unix::fs::lchown(file, Some(theirs.uid()), Some(theirs.gid()))?;
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

pub(super) fn damaged(path: &Path, how: &str) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), how: how.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::connection;

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
