//! Which files lie beside a database, and how are they made, renamed and removed? Also for what is no database.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::StoreError;

/// What the names of the files that lie beside a database end with: SQLite's and ours, drafts and locks included. Only the key
/// file and what keeps the time in its name are made by other means.
pub(super) const BESIDE: [&str; 18] = [
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
