//! The files beside a database: their names, and how they are created, renamed and removed. Also used for files that
//! are no database.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::StoreError;
use crate::domain::shell::quoted;

/// The suffix of a database's copy that is being restored.
pub(super) const RESTORING: &str = ".restoring";

/// The suffix of a backup that is being made.
pub(super) const DRAFT: &str = ".orgkeys-draft";

/// The suffix of the file that describes the last backup of a database.
pub(super) const MARKER: &str = ".last-backup";

/// The endings of the names of all files beside a database and beside a backup, SQLite's and ours, including drafts,
/// locks and sockets. No file that a user names may end in one of them, and nobody would name a backup so.
const BESIDE: [&str; 11] =
    ["-journal", "-wal", "-shm", ".key", ".lock", ".new", ".reserve", MARKER, RESTORING, DRAFT, ".sock"];

/// Returns the suffix that makes a name one of those that are used beside a database.
#[must_use]
pub fn reserved_suffix(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.as_bytes();
    BESIDE.into_iter().find(|suffix| name.ends_with(suffix.as_bytes()))
}

/// Refuses a name, given by a user for a file to be written, that orgkeys or SQLite uses itself: the next command would
/// overwrite or remove that file, or take it for its own.
pub fn refuse_reserved(given: &Path) -> Result<(), StoreError> {
    let real = real(given)?;
    let refused = |ending: &str| {
        StoreError::Unusable(format!(
            "{} is a name that orgkeys reserves for its own files ({ending}): name another file",
            given.display()
        ))
    };
    if let Some(suffix) = reserved_suffix(given).or_else(|| reserved_suffix(&real)) {
        return Err(refused(&format!("it ends in {suffix}")));
    }
    if is_kept_copy(given) || is_kept_copy(&real) {
        return Err(refused("it is an earlier state of a database"));
    }
    Ok(())
}

/// Whether this is the name of a database that a restore or an upgrade kept. That of its log has a reserved ending.
fn is_kept_copy(path: &Path) -> bool {
    let numbered = |marker: &str| {
        let (base, number) = path.to_str()?.rsplit_once(marker)?;
        (!number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())).then(|| PathBuf::from(base))
    };
    numbered(".before-").is_some() || numbered(".v").is_some_and(|base| base.exists())
}

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

/// Opens a file for reading. The error names it.
pub fn open(path: &Path) -> Result<File, StoreError> {
    File::open(path).map_err(|error| unreadable(path, &error))
}

/// Returns whether a file exists. The error, if its directory cannot be searched, names it.
pub fn exists(path: &Path) -> Result<bool, StoreError> {
    path.try_exists().map_err(|error| unreadable(path, &error))
}

/// The error for a file that cannot be read.
pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> StoreError {
    let remedy = match error.kind() {
        ErrorKind::PermissionDenied => ". Run this command as the user that owns the file",
        _ => "",
    };
    StoreError::Unusable(format!("cannot read {}: {error}{remedy}", path.display()))
}

/// Reads a text file. The error says what is wrong with it, without its name.
pub fn read_text(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| match error.kind() {
        ErrorKind::InvalidData => "it is not a text file in UTF-8".to_owned(),
        _ => error.to_string(),
    })
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
    let meta = fs::metadata(path)?;
    if meta.is_dir() {
        return Err(StoreError::Unusable(format!("{} is a directory: name a file", path.display())));
    }
    let names = meta.nlink();
    if names > 1 {
        let (file, folder) = (path.display(), folder(path).display());
        return Err(StoreError::Unusable(format!(
            "{file} has {names} names (hard links), so two servers could write it at once: find them with \
             `find {} -xdev -samefile {}` and remove all but one",
            quoted(folder),
            quoted(&file)
        )));
    }
    Ok(())
}

/// Renames a completed file into place, and fsyncs the file and its directory.
pub fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    open(from)?.sync_all()?;
    fs::rename(from, to)?;
    Ok(open(folder(to))?.sync_all()?)
}

/// Opens one of our files beside a database for writing, creating it if necessary. The directory's owner could have put
/// something else there for root to write to or give away, so links, files with other names, and pipes are refused.
pub(super) fn own_file(path: &Path) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            fit_in(&file, path)?;
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

/// Gives a new file the mode and the owner that fit its place: those of the file that it replaces, otherwise the owner of
/// the folder. Only root can give a file away, and does so for the user that the server runs as. In a folder that
/// everybody can write to, root keeps its files: whoever made the folder's files may not be meant.
pub fn fit_in(file: &File, place: &Path) -> Result<(), StoreError> {
    let (ours, folder) = (file.metadata()?, fs::metadata(folder(place))?);
    let old = fs::metadata(place).ok().filter(|old| old.is_file() && old.ino() != ours.ino());
    if let Some(old) = &old {
        // What others than the owner and the group could do is not worth keeping: the files hold password hashes.
        // A disk without modes refuses, and the file is as private as it can be there.
        let _ = file.set_permissions(Permissions::from_mode((old.mode() & 0o660) | 0o600));
    }
    if ours.uid() != 0 || folder.mode() & 0o002 != 0 {
        return Ok(());
    }
    let model = old.filter(|old| old.uid() != 0).unwrap_or(folder);
    if model.uid() != 0 {
        std::os::unix::fs::fchown(file, Some(model.uid()), Some(model.gid()))?;
    }
    Ok(())
}

/// Creates a file, accessible by its owner only, where there may be an older one.
pub(super) fn create_private(path: &Path) -> Result<File, StoreError> {
    remove(path)?;
    OpenOptions::new().create_new(true).write(true).mode(0o600).open(path).map_err(|error| match error.into() {
        StoreError::Internal(why) => StoreError::Unusable(format!("cannot create {}: {why}", path.display())),
        full => full,
    })
}

/// Removes a file if it exists.
pub fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
