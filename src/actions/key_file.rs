//! With which key are the secrets of webhooks sealed? With the one in the key file, made at the first start and never again while it is needed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::crypto::sealed::{self, SealingKey};
use crate::engine::app::App;
use crate::engine::error::{Error as ActionError, ErrorKind};
use crate::engine::system::System;
use crate::store::{self, ReadTx, StoreError, key_file};

/// How it stands with the key.
#[derive(Clone, Debug)]
pub struct KeyFileStatus {
    /// The key file.
    pub path: PathBuf,
    /// What is wrong with it; `None` when nothing is.
    pub problem: Option<Problem>,
    /// How many webhooks have a secret that is sealed.
    pub sealed: u32,
    /// How many of these wait for it, or for another.
    pub waiting: u32,
}

/// What is wrong with a key file; in words, what and what to do.
#[derive(Clone, Debug, Error)]
#[error("{}: {}", self.what(), self.remedy())]
pub enum Problem {
    /// There is none.
    Missing,
    /// There is none and none can be made.
    Unmade(String),
    /// It cannot be read.
    Unreadable(String),
    /// What it holds is no key.
    NoKey,
    /// It holds another key than the secrets are sealed under.
    Another,
    /// Others may read it.
    Open,
}

impl Problem {
    /// What is wrong, as a phrase.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Self::Missing => "it is not there".to_owned(),
            Self::Unmade(why) => format!("it cannot be made: {why}"),
            Self::Unreadable(why) => format!("it cannot be read: {why}"),
            Self::NoKey => "it holds no key".to_owned(),
            Self::Another => "it is not the key that their secrets are sealed under".to_owned(),
            Self::Open => "others than its owner may read it".to_owned(),
        }
    }

    /// What to do about it, as a phrase.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Missing | Self::NoKey => {
                "put it back from where you keep a copy, and restart the server; if it is lost, write a new one with \
                 `openssl rand -base64 32` (mode 0600), restart, rotate the secret of every webhook, and give it to its \
                 receiver: what waits goes out then"
            }
            Self::Another => {
                "put the right file back and restart; if it is lost, rotate the secret of every webhook that was made \
                 before, and give it to its receiver: what waits goes out then"
            }
            Self::Unmade(_) => "let the server's user write that folder, or name another file in key_file, and restart",
            Self::Unreadable(_) => "let the server's user read it, or name the right file in key_file, and restart",
            Self::Open => "chmod 600 it",
        }
    }
}

/// Takes the key from its file for as long as the app is open. Makes the file if there is none and nothing is sealed yet.
pub fn open(system: &System, path: Option<&Path>) -> Result<KeyFileStatus, ActionError> {
    let path = path.map_or_else(|| key_file::beside(system.app().database()), Path::to_owned);
    let (sealed, _) = system.read(|tx| Ok(store::webhook::sealed(tx, None)?))?;
    let made = if sealed == 0 { make(system.app(), &path) } else { Ok(()) };
    let found = made.and_then(|()| read(&path));
    let (key, problem) = match found {
        Ok(key) => (Some(key), None),
        Err(problem) => (None, Some(problem)),
    };
    let standing = system.read(|tx| Ok(stand(tx, path, key.as_ref(), problem)?))?;
    if let Some(key) = key {
        // The first that was taken stays.
        let _ = system.app().key.set(Arc::new(key));
    }
    Ok(standing)
}

/// How it stands with the key file at `path`, without taking the key from it or making one.
pub fn look(tx: &ReadTx<'_>, path: PathBuf) -> Result<KeyFileStatus, StoreError> {
    match read(&path) {
        Ok(key) => stand(tx, path, Some(&key), None),
        Err(problem) => stand(tx, path, None, Some(problem)),
    }
}

/// The key that seals, or what to do to have one.
pub(super) fn key(app: &App) -> Result<Arc<SealingKey>, ActionError> {
    app.key.get().cloned().ok_or_else(|| {
        let message = "The key file is missing or cannot be read, so webhooks wait: whoever runs the server puts it back and restarts the server, or learns from `orgkeys doctor` what to do if it is lost";
        ActionError::new(ErrorKind::Unavailable, "KEY_FILE_MISSING", message)
    })
}

fn stand(
    tx: &ReadTx<'_>,
    path: PathBuf,
    key: Option<&SealingKey>,
    problem: Option<Problem>,
) -> Result<KeyFileStatus, StoreError> {
    let (sealed, waiting) = store::webhook::sealed(tx, key.map(SealingKey::id))?;
    let another = (waiting > 0).then_some(Problem::Another);
    let open = || key_file::is_open_to_others(&path).then_some(Problem::Open);
    let problem = problem.or(another).or_else(open);
    Ok(KeyFileStatus { path, problem, sealed, waiting })
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
