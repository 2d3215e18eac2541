//! The file that `--out` names: created before the call, so that a secret has a place when it exists, and never in place of
//! another file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::failure::{Failure, Outcome};

/// A new file with mode 0600, which is removed again unless something is written to it.
#[derive(Debug)]
pub struct OutFile {
    path: PathBuf,
    file: File,
    is_kept: bool,
}

impl OutFile {
    /// Creates the file. It must not exist.
    pub fn create(path: &Path) -> Outcome<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|error| {
            let path = path.display();
            Failure::usage(match error.kind() {
                ErrorKind::AlreadyExists => format!("{path} exists, and --out never overwrites: name another file"),
                _ => format!("cannot create {path}: {error}"),
            })
        })?;
        Ok(Self { path: path.to_owned(), file, is_kept: false })
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the content to disk and keeps the file.
    pub fn keep(mut self, content: &[u8]) -> io::Result<()> {
        self.file.write_all(content)?;
        self.file.sync_all()?;
        self.is_kept = true;
        Ok(())
    }
}

impl Drop for OutFile {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_new_private_and_removed_unless_it_was_written() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("key.pem");
        drop(OutFile::create(&path).expect("a file"));
        assert!(!path.exists());
        let file = OutFile::create(&path).expect("a file");
        assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
        file.keep(b"secret").expect("written");
        assert_eq!(fs::read(&path).expect("a file"), b"secret");
        let problem = OutFile::create(&path).expect_err("refused").message;
        assert!(problem.contains("never overwrites"), "{problem}");
        assert_eq!(fs::read(&path).expect("a file"), b"secret");
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), folder.path().join("link")).expect("a link");
        assert!(OutFile::create(&folder.path().join("link")).is_err(), "a link that leads nowhere");
        assert!(OutFile::create(&folder.path().join("no/folder")).is_err());
    }
}
