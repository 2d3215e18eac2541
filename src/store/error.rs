//! What can go wrong with the store? Little that a caller can mend, so few kinds.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use thiserror::Error;

/// Why the store could not do what was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// No room on the disk or in the file; nothing was changed.
    #[error("the disk or the database file is full")]
    Full,
    /// Another process holds the database, or too many changes wait; nothing was changed.
    #[error("the database is busy")]
    Busy,
    /// The file cannot be opened as it is; the text names it and the remedy.
    #[error("{0}")]
    Unusable(String),
    /// The file is another program's database.
    #[error("{} is a database of another program (application id {id:#010x}): choose another file with --database", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What stands where our application id should.
        id: i32,
    },
    /// The file is no database that SQLite can read whole.
    #[error("{path} is damaged ({how}): keep it aside and restore the last backup with `orgkeys restore FILE --database {path}`", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        how: String,
    },
    /// Anything else; the text is for the log alone.
    #[error("{0}")]
    Internal(String),
}

impl StoreError {
    pub(super) fn damaged(path: &Path, how: &str) -> Self {
        Self::Damaged { path: path.to_owned(), how: how.to_owned() }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            _ => Self::Internal(error.to_string()),
        }
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Internal(error.to_string()),
        }
    }
}
