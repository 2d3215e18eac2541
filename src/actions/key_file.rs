//! With which key are the secrets of webhooks sealed? With the one in the key file, made at the first start and never again while it is needed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::app::App;
use super::error::{Error, Kind};
use crate::crypto::sealed::{self, Key};
use crate::store::{self, key_file};

/// How it stands with the key.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The key file.
    pub path: PathBuf,
    /// What is wrong with it, and what to do; `None` when nothing is.
    pub problem: Option<String>,
    /// How many webhooks wait for it, or for another.
    pub waiting: u32,
}

/// Takes the key from its file for as long as the app is open. Makes the file if there is none and nothing is sealed yet.
pub fn open(app: &App, path: Option<&Path>) -> Result<Standing, Error> {
    let path = path.map_or_else(|| key_file::beside(app.database()), Path::to_owned);
    let (sealed, _) = app.identify(|tx| Ok(store::webhook::sealed(tx, None)?))?;
    let made = if sealed == 0 { make(app, &path) } else { Ok(()) };
    let found = made.and_then(|()| read(&path));
    let (key, problem) = match found {
        Ok(key) => (Some(key), None),
        Err(problem) => (None, Some(problem)),
    };
    let standing = stand(app, path, key.as_ref(), problem)?;
    if let Some(key) = key {
        // The first that was taken stays.
        let _ = app.key.set(Arc::new(key));
    }
    Ok(standing)
}

/// How it stands with the key file, without taking the key from it or making one.
pub fn look(app: &App, path: Option<&Path>) -> Result<Standing, Error> {
    let path = path.map_or_else(|| key_file::beside(app.database()), Path::to_owned);
    match read(&path) {
        Ok(key) => stand(app, path, Some(&key), None),
        Err(problem) => stand(app, path, None, Some(problem)),
    }
}

/// The key that seals, or what to do to have one.
pub(super) fn key(app: &App) -> Result<Arc<Key>, Error> {
    app.key.get().cloned().ok_or_else(|| {
        let message = "The key file is missing or cannot be read, so webhooks wait: put it back and restart the server";
        Error::new(Kind::Unavailable, "KEY_FILE_MISSING", message)
    })
}

fn stand(app: &App, path: PathBuf, key: Option<&Key>, problem: Option<String>) -> Result<Standing, Error> {
    let id = key.map(Key::id);
    let (_, waiting) = app.identify(|tx| Ok(store::webhook::sealed(tx, id)?))?;
    let another = (waiting > 0).then(|| {
        "it is not the key that their secrets are sealed under: put the right file back and restart, or rotate their secrets"
            .to_owned()
    });
    let open = || {
        let open = key_file::is_open_to_others(&path);
        open.then(|| "others than its owner may read it: chmod 600 it".to_owned())
    };
    let problem = problem.or(another).or_else(open);
    Ok(Standing { path, problem, waiting })
}

fn make(app: &App, path: &Path) -> Result<(), String> {
    if key_file::read(path)?.is_some() {
        return Ok(());
    }
    let line = sealed::line(&sealed::fresh(&mut app.outside.rng()));
    key_file::make(path, &line).map_err(|error| format!("it cannot be made: {error}"))
}

fn read(path: &Path) -> Result<Key, String> {
    let line = key_file::read(path)?;
    let line = line.ok_or("it is not there: put it back from where you keep a copy, and restart the server")?;
    Key::from_line(&line).ok_or_else(|| "it holds no key: put it back from where you keep a copy".to_owned())
}
