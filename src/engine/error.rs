//! Errors of actions: a kind, a stable code and a message for the caller. The cause goes only to the log.

use std::fmt;
use std::time::Duration;

use crate::crypto::rsa::KeyError;
use crate::domain::text::InvalidField;
use crate::store::{Rejection, StoreError};

/// The code of an error about a database that another process uses.
pub const IN_USE: &str = "DATABASE_IN_USE";

/// The kind of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The input is invalid.
    Invalid,
    /// The credential is missing or invalid.
    Unauthenticated,
    /// The caller lacks the right.
    Denied,
    /// The target does not exist.
    Missing,
    /// The target is gone for good.
    Gone,
    /// The request conflicts with the current state.
    Conflict,
    /// Too many requests; retry later.
    TooMany,
    /// The change cannot be stored now; nothing was changed.
    Unavailable,
    /// A bug or an unexpected failure.
    Internal,
}

/// Why an action failed. Nothing was changed.
#[derive(Clone, Debug)]
pub struct Error {
    /// The kind of an error.
    pub kind: ErrorKind,
    /// A stable code in capitals, for programs.
    pub code: &'static str,
    /// A message for people.
    pub message: String,
    /// What to do about it, for calls whose clients read it.
    pub advice: Option<String>,
    /// How long to wait before a retry.
    pub retry_after: Option<Duration>,
    /// The cause, for the log only.
    pub cause: Option<String>,
}

impl Error {
    /// Creates an error with a code and a message.
    pub fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        Self { kind, code, message: message.into(), advice: None, retry_after: None, cause: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn advising(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }

    /// Creates an error for a missing or invalid credential.
    pub fn unauthenticated(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unauthenticated, code, message)
    }

    /// Creates an error for a caller without the right; `message` says what is permitted.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Denied, "ACCESS_DENIED", message)
    }

    /// Creates an error for too many requests; the caller may retry after `wait`.
    #[must_use]
    pub fn too_many(wait: Duration, message: impl Into<String>) -> Self {
        Self { retry_after: Some(wait), ..Self::new(ErrorKind::TooMany, "TOO_MANY_REQUESTS", message) }
    }

    /// Creates an internal error; `cause` goes only to the log.
    pub fn internal(cause: impl fmt::Display) -> Self {
        let message = "Internal error: the server's log has the details under this request's id";
        Self { cause: Some(cause.to_string()), ..Self::new(ErrorKind::Internal, "INTERNAL_ERROR", message) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cause.as_ref().unwrap_or(&self.message))
    }
}

impl std::error::Error for Error {}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let unavailable = |code, message: &str, wait| Self {
            retry_after: Some(Duration::from_secs(wait)),
            ..Self::new(ErrorKind::Unavailable, code, message)
        };
        match error {
            StoreError::Full => unavailable(
                "STORAGE_FULL",
                "The disk is full: nothing was changed. Deleting still works; free disk space and try again",
                60,
            ),
            StoreError::Busy => unavailable("STORAGE_BUSY", "The database is busy: nothing was changed. Try again", 1),
            StoreError::InUse { .. } => Self::new(ErrorKind::Unavailable, IN_USE, error.to_string()),
            StoreError::Unusable(_)
            | StoreError::Foreign { .. }
            | StoreError::Damaged { .. }
            | StoreError::Internal(_) => Self::internal(error),
        }
    }
}

impl From<Error> for Rejection<Error> {
    fn from(error: Error) -> Self {
        Self::Undone(error)
    }
}

impl From<InvalidField> for Error {
    fn from(invalid: InvalidField) -> Self {
        Self::new(ErrorKind::Invalid, "INVALID_FIELD", invalid.to_string())
    }
}

impl From<KeyError> for Error {
    fn from(error: KeyError) -> Self {
        Self::internal(error)
    }
}
