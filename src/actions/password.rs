//! How is a password kept? Hashed, which takes 20 ms and 19 MiB, so whoever calls bounds how many at once.

use secrecy::SecretString;

use super::app::App;
use super::error::Error;
use crate::crypto::password::{self, HashError};

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

impl From<HashError> for Error {
    fn from(error: HashError) -> Self {
        Self::internal(error)
    }
}
