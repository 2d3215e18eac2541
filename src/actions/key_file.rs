//! The key file, whose key encrypts the secrets of webhooks and those for nodes. It is created at the first start, and
//! never replaced while any secret is encrypted with it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::crypto::sealed::{self, KeyId, SealingKey};
use crate::domain::secret::Secret;
use crate::engine::app::App;
use crate::engine::error::{Error as ActionError, ErrorKind};
use crate::engine::system::System;
use crate::store::{self, ReadTx, StoreError, key_file};

/// The state of the key file.
#[derive(Clone, Debug)]
pub struct KeyFileStatus {
    /// The key file.
    pub path: PathBuf,
    /// What is wrong with it; `None` when nothing is.
    pub problem: Option<Problem>,
    /// What is encrypted with a key file.
    pub sealed: Sealed,
    /// What of it cannot be decrypted with the key in the file.
    pub waiting: Sealed,
}

/// A number of encrypted secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Those of webhooks.
    pub webhooks: u32,
    /// Those for nodes.
    pub secrets: u32,
}

impl Sealed {
    const NOTHING: Self = Self { webhooks: 0, secrets: 0 };

    /// Whether nothing is encrypted.
    #[must_use]
    pub fn is_nothing(self) -> bool {
        self == Self::NOTHING
    }
}

impl fmt::Display for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { webhooks, secrets } = *self;
        let plural = |count| if count == 1 { "" } else { "s" };
        if webhooks > 0 || secrets == 0 {
            write!(f, "the secrets of {webhooks} webhook{}", plural(webhooks))?;
        }
        if webhooks > 0 && secrets > 0 {
            f.write_str(" and ")?;
        }
        if secrets > 0 {
            write!(f, "{secrets} secret{} for nodes", plural(secrets))?;
        }
        Ok(())
    }
}

/// What is wrong with a key file. Its text says what to do.
#[derive(Clone, Debug, Error)]
#[error("{}: {}", self.what(), self.remedy())]
pub enum Problem {
    /// The file does not exist.
    Missing,
    /// The file does not exist and cannot be created.
    Unmade(String),
    /// It cannot be read.
    Unreadable(String),
    /// It does not contain a key.
    NoKey,
    /// It contains a different key than the one that encrypted the secrets.
    Another,
    /// Other users can read it.
    Open,
}

impl Problem {
    /// What is wrong, as a phrase.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Self::Missing => "it does not exist".to_owned(),
            Self::Unmade(why) => format!("it cannot be created: {why}"),
            Self::Unreadable(why) => format!("it cannot be read: {why}"),
            Self::NoKey => "it does not contain a key".to_owned(),
            Self::Another => "it contains a different key than the one that encrypted the secrets".to_owned(),
            Self::Open => "it is readable by users other than its owner".to_owned(),
        }
    }

    /// What to do about it, as a phrase.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Missing | Self::NoKey => {
                "restore it from your copy and restart the server; if it is lost, create a new one with \
                `openssl rand -base64 32` (mode 0600), restart, rotate the secret of every webhook and configure the new \
                secret at its receiver: pending deliveries are then sent. Set the secrets for nodes again"
            }
            Self::Another => {
                "restore the right file and restart the server; if it is lost, rotate the secret of every webhook that \
                was created with the old file and configure the new secret at its receiver: pending deliveries are then sent. Set the secrets for \
                nodes again"
            }
            Self::Unmade(_) => {
                "make the directory writable by the server's user, or set key_file to another path, and restart"
            }
            Self::Unreadable(_) => {
                "make it readable by the server's user, or set key_file to the right path, and restart"
            }
            Self::Open => "run chmod 600 on it",
        }
    }
}

/// Loads the key for as long as the app is open. Creates the file if it does not exist and no secret is encrypted yet.
pub fn open(system: &System, path: Option<&Path>) -> Result<KeyFileStatus, ActionError> {
    let path = path.map_or_else(|| key_file::beside(system.app().database()), Path::to_owned);
    let (sealed, _) = system.read(|tx| Ok(sealed(tx, None)?))?;
    let made = if sealed.is_nothing() { make(system.app(), &path) } else { Ok(()) };
    let found = made.and_then(|()| read(&path));
    let (key, problem) = match found {
        Ok(key) => (Some(key), None),
        Err(problem) => (None, Some(problem)),
    };
    let standing = system.read(|tx| Ok(stand(tx, path, key.as_ref(), problem)?))?;
    if let Some(key) = key {
        // The key that was loaded first stays.
        let _ = system.app().key.set(Arc::new(key));
    }
    Ok(standing)
}

/// Returns the state of the key file at `path`, without loading the key or creating the file.
pub fn look(tx: &ReadTx<'_>, path: PathBuf) -> Result<KeyFileStatus, StoreError> {
    match read(&path) {
        Ok(key) => stand(tx, path, Some(&key), None),
        Err(problem) => stand(tx, path, None, Some(problem)),
    }
}

/// Returns the secrets for nodes that the key in the file does not decrypt.
pub(super) fn unreadable(tx: &ReadTx<'_>, path: &Path) -> Result<Vec<Secret>, StoreError> {
    store::secret::unreadable(tx, read(path).ok().as_ref().map(SealingKey::id))
}

/// Returns the loaded key, or an error that says what to do.
pub(super) fn key(app: &App) -> Result<Arc<SealingKey>, ActionError> {
    app.key.get().cloned().ok_or_else(|| {
        let message = "The server's key file is missing or unreadable, so webhooks are paused and secrets for nodes can be neither set nor fetched: the server's administrator must restore the file and restart the server; if it is lost, `orgkeys doctor` says what to do";
        ActionError::new(ErrorKind::Unavailable, "KEY_FILE_MISSING", message)
    })
}

fn stand(
    tx: &ReadTx<'_>,
    path: PathBuf,
    key: Option<&SealingKey>,
    problem: Option<Problem>,
) -> Result<KeyFileStatus, StoreError> {
    let (sealed, waiting) = sealed(tx, key.map(SealingKey::id))?;
    let another = (!waiting.is_nothing()).then_some(Problem::Another);
    let open = || key_file::is_open_to_others(&path).then_some(Problem::Open);
    let problem = problem.or(another).or_else(open);
    Ok(KeyFileStatus { path, problem, sealed, waiting })
}

/// Returns what is encrypted, and what of it is not encrypted with this key.
fn sealed(tx: &ReadTx<'_>, key: Option<KeyId>) -> Result<(Sealed, Sealed), StoreError> {
    let (webhooks, secrets) = (store::webhook::sealed(tx, key)?, store::secret::sealed(tx, key)?);
    Ok((Sealed { webhooks: webhooks.0, secrets: secrets.0 }, Sealed { webhooks: webhooks.1, secrets: secrets.1 }))
}

fn make(app: &App, path: &Path) -> Result<(), Problem> {
    if key_file::read(path).map_err(Problem::Unreadable)?.is_some() {
        return Ok(());
    }
    let line = sealed::line(&sealed::fresh(&mut app.env.rng()));
    key_file::make(path, &line).map_err(|error| Problem::Unmade(error.to_string()))
}

fn read(path: &Path) -> Result<SealingKey, Problem> {
    let line = key_file::read(path).map_err(Problem::Unreadable)?.ok_or(Problem::Missing)?;
    SealingKey::from_line(&line).ok_or(Problem::NoKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encrypted_is_said_with_its_numbers() {
        for (webhooks, secrets, said) in [
            (0, 0, "the secrets of 0 webhooks"),
            (1, 0, "the secrets of 1 webhook"),
            (0, 1, "1 secret for nodes"),
            (2, 3, "the secrets of 2 webhooks and 3 secrets for nodes"),
        ] {
            assert_eq!(Sealed { webhooks, secrets }.to_string(), said);
        }
    }
}
