//! What may be done with a password? Hashed, and tried: 20 ms of work and 19 MiB each, so whoever calls bounds how many at once.

use secrecy::SecretString;

use super::app::App;
use super::error::Error;
use crate::crypto::password::{self, HashError, Verdict};

/// The hash of a password that somebody is to have.
#[derive(Clone)]
pub struct Hash(String);

impl Hash {
    /// As it is stored.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Hashes a password that was taken.
pub fn hash(app: &App, password: &SecretString) -> Result<Hash, Error> {
    Ok(Hash(password::hash(password, &mut app.outside.rng())?))
}

/// Whether a password is the one that was hashed.
pub(super) fn is_right(password: &SecretString, hash: &str) -> bool {
    password::verify(password, Some(hash)) != Verdict::Wrong
}

impl From<HashError> for Error {
    fn from(error: HashError) -> Self {
        Self::internal(error)
    }
}
