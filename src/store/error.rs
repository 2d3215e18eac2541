//! The errors of the store. Callers can recover from few of them, so there are few kinds.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use thiserror::Error;

use crate::domain::shell::quoted;

/// Why a store operation failed.
#[derive(Debug, Error)]
pub enum StoreError {
    /// There is no space left on the disk or within the file's limit; nothing was changed.
    #[error("the disk or the database file is full")]
    Full,
    /// Another process holds the database, or too many changes are queued; nothing was changed.
    #[error("the database is busy")]
    Busy,
    /// The file cannot be opened as it is; the text names the file and the remedy.
    #[error("{0}")]
    Unusable(String),
    /// Another process has the right to write the database.
    #[error("another orgkeys process is using {}: stop it first, because only one process at a time can use a database", .path.display())]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// The file is another program's database.
    #[error("{} is a database of another program (application id {id:#010x}): choose another file with --database", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The application id found in the file.
        id: i32,
    },
    /// The file is not a complete, readable SQLite database.
    #[error("{path} is damaged ({how}): set it aside and restore the last backup with `orgkeys restore FILE --database {}`", quoted(.path.display()), path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with the file.
        how: String,
    },
    /// Any other error; the text is for the log only.
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
