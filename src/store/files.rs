//! The files beside a database: their names, and how they are created, renamed and removed. Also used for files that
//! are no database.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::StoreError;

/// The suffixes of the files beside a database, SQLite's and ours, including drafts and locks. Only the key file and
/// the files with a time in their name are created by other means.
pub(super) const BESIDE: [&str; 19] = [
    "-journal",
    "-wal",
    "-wal.new",
    ".key",
    ".key.new",
    "-shm",
    ".lock",
    ".new",
    ".new-journal",
    ".reserve",
    ".sock",
    ".backup",
    ".backup.lock",
    ".backup.new",
    ".restoring",
    ".restoring-journal",
    ".restoring-wal",
    ".restoring-shm",
    ".restoring.lock",
];

/// Resolves links to the one name by which this process and SQLite know a file: all files beside it are named after it.
/// For a file that does not exist yet, its directory is resolved.
pub fn real(path: &Path) -> Result<PathBuf, StoreError> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        // A path that cannot be examined is reported by whoever opens it.
        real => return Ok(real.unwrap_or_else(|_| path.to_owned())),
    }
    // A file created here would replace the link, and the link's target may come back later.
    if let Ok(target) = fs::read_link(path) {
        return Err(StoreError::Unusable(format!(
            "{} is a link to {}, which does not exist: put the target back (is its disk mounted?), remove the link, or name another file",
            path.display(),
            target.display()
        )));
    }
    let folder = fs::canonicalize(folder(path)).ok();
    Ok(folder.zip(path.file_name()).map_or_else(|| path.to_owned(), |(folder, name)| folder.join(name)))
}

/// Returns the directory of a file.
pub fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Returns the path of a file beside the database: the database's own name and `suffix`.
#[must_use]
pub fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Returns whether the path is that of a file which orgkeys or SQLite keeps beside the database, other than the socket.
pub fn is_reserved(database: &Path, path: &Path) -> bool {
    let Ok(path) = real(path) else { return false };
    let mut others = BESIDE.iter().filter(|suffix| **suffix != ".sock");
    path == database || others.any(|suffix| path == beside(database, suffix))
}

/// Refuses a file with several names. Each name has its own lock and log, so two servers could write the file at once.
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

/// Renames a completed file into place, and fsyncs the file and its directory.
pub fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    File::open(from)?.sync_all()?;
    fs::rename(from, to)?;
    Ok(File::open(folder(to))?.sync_all()?)
}

/// Opens one of our files beside a database for writing, creating it if necessary. The directory's owner could have put
/// something else there for root to write to or give away, so links, files with other names, and pipes are refused.
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
            "{file} is a link, or was not created by orgkeys: find out who put it there, and remove it"
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

/// Gives a file that root created to the owner of `model`, the user that the server runs as. A link is not followed.
pub fn give_to_owner_of(model: &Path, file: &Path) -> Result<(), StoreError> {
    let (ours, theirs) = (fs::symlink_metadata(file)?, fs::metadata(model)?);
    if ours.uid() == 0 && theirs.uid() != 0 {
        std::os::unix::fs::lchown(file, Some(theirs.uid()), Some(theirs.gid()))?;
    }
    Ok(())
}

/// Removes a file if it exists.
pub fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
