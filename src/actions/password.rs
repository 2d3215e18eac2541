//! Hashes passwords. A hash takes 20 ms and 19 MiB, so callers must limit how many run at once.

use secrecy::SecretString;

use crate::crypto::password::{self, HashError};
use crate::engine::app::App;
use crate::engine::error::Error;

/// The hash of a new password.
#[derive(Clone)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Returns the hash in the form in which it is stored.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Hashes a password that was accepted as new.
pub fn hash(app: &App, password: &SecretString) -> Result<PasswordHash, Error> {
    Ok(PasswordHash(password::hash(password, &mut app.env.rng())?))
}

impl From<HashError> for Error {
    fn from(error: HashError) -> Self {
        Self::internal(error)
    }
}
