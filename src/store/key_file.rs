//! The key file: the key that seals secrets is in a file of its own, so that the database and its backups alone reveal
//! no secret.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::{StoreError, files};

/// The maximum size of a key file, in bytes.
const MOST: u64 = 4_096;

/// Returns the default path of a database's key file.
#[must_use]
pub fn beside(database: &Path) -> PathBuf {
    files::beside(database, ".key")
}

/// Returns the contents of the file, or `None` if it does not exist. The error says why it cannot be read.
pub fn read(path: &Path) -> Result<Option<SecretString>, String> {
    let meta = match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        meta => meta.map_err(|error| error.to_string())?,
    };
    if !meta.is_file() || meta.len() > MOST {
        return Err("it is not a key file".to_owned());
    }
    let text = files::read_text(path)?;
    Ok(Some(SecretString::from(text)))
}

/// Returns whether others than the file's owner have access to it.
#[must_use]
pub fn is_open_to_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0)
}

/// Creates the file, accessible by its owner only: completely and on disk, or not at all. The caller must hold the lock
/// of the database.
pub fn make(path: &Path, line: &SecretString) -> Result<(), StoreError> {
    let draft = files::beside(path, ".new");
    files::remove(&draft)?;
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&draft)?;
    file.write_all(line.expose_secret().as_bytes())?;
    files::fit_in(&file, path)?;
    files::rename(&draft, path)
}
