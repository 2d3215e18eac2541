//! How is a password kept? Hashed, which takes 20 ms and 19 MiB, so whoever calls bounds how many at once.

use secrecy::SecretString;

use crate::crypto::password::{self, HashError};
use crate::engine::app::App;
use crate::engine::error::Error;

/// The hash of a password that somebody is to have.
#[derive(Clone)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// As it is stored.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Hashes a password that was taken.
pub fn hash(app: &App, password: &SecretString) -> Result<PasswordHash, Error> {
    Ok(PasswordHash(password::hash(password, &mut app.env.rng())?))
}

impl From<HashError> for Error {
    fn from(error: HashError) -> Self {
        Self::internal(error)
    }
}
