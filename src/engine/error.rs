//! Why was it not done? A kind, a stable code and a sentence for whoever asked; the cause stays in the log.

use std::fmt;
use std::time::Duration;

use crate::crypto::rsa::KeyError;
use crate::domain::text::InvalidField;
use crate::store::{Rejection, StoreError};

/// What sort of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The input cannot be taken.
    Invalid,
    /// No credential, or not a good one.
    Unauthenticated,
    /// The caller may not.
    Denied,
    /// There is no such thing.
    Missing,
    /// It stands against something that is there.
    Conflict,
    /// Too often; try again later.
    TooMany,
    /// It cannot be stored now; nothing was changed.
    Unavailable,
    /// A fault of the program.
    Internal,
}

/// Why something was not done. Nothing was changed.
#[derive(Clone, Debug)]
pub struct Error {
    /// What sort of failure it is.
    pub kind: ErrorKind,
    /// A stable word in capitals, for programs.
    pub code: &'static str,
    /// A sentence for people.
    pub message: String,
    /// What to do about it, on calls whose clients read it.
    pub advice: Option<String>,
    /// How long to wait before another try.
    pub retry_after: Option<Duration>,
    /// What really happened, for the log alone.
    pub cause: Option<String>,
}

impl Error {
    /// An error with a code and a sentence.
    pub fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        Self { kind, code, message: message.into(), advice: None, retry_after: None, cause: None }
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn advising(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }

    /// The caller has no credential, or not a good one.
    pub fn unauthenticated(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unauthenticated, code, message)
    }

    /// The caller may not; `message` says what it may.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Denied, "ACCESS_DENIED", message)
    }

    /// Too often; try again after `wait`.
    #[must_use]
    pub fn too_many(wait: Duration, message: impl Into<String>) -> Self {
        Self { retry_after: Some(wait), ..Self::new(ErrorKind::TooMany, "TOO_MANY_REQUESTS", message) }
    }

    /// A fault of the program; `cause` goes to the log.
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
