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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_a_short_text_that_only_its_owner_can_read() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("orgkeys.db.key");
        assert!(read(&path).expect("no error").is_none());
        for (length, is_read) in [(0, true), (4_096, true), (4_097, false)] {
            fs::write(&path, "k".repeat(length)).expect("written");
            assert_eq!(read(&path).is_ok(), is_read, "{length}");
        }
        fs::write(&path, b"\xff").expect("written");
        assert_eq!(read(&path).expect_err("no text"), "it is not a text file in UTF-8");
        assert_eq!(read(folder.path()).expect_err("a folder"), "it is not a key file");
        fs::remove_file(&path).expect("removed");
        fs::write(files::beside(&path, ".new"), "of a killed start, and longer than the key").expect("written");
        make(&path, &SecretString::from("the key\n")).expect("made");
        assert_eq!(fs::read_to_string(&path).expect("text"), "the key\n");
        assert!(!files::beside(&path, ".new").exists());
        assert!(!is_open_to_others(&path), "as it was made");
        for (mode, is_open) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true), (0o610, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
            assert_eq!(is_open_to_others(&path), is_open, "{mode:o}");
        }
    }
}
