//! Secrets in files: the key `<name>_file` names a file that contains the secret `name`.

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use thiserror::Error;

use super::{Field, Settings};
use crate::store::files;

/// Why a secret cannot be read from its file.
#[derive(Debug, Error)]
pub enum SecretFileError {
    /// The file cannot be read.
    #[error("{key}: cannot read {}: {why}", .path.display())]
    #[expect(missing_docs, reason = "the key that names the file, its path, and the reason")]
    Unreadable { key: String, path: PathBuf, why: String },
    /// The file holds nothing, which would count as not set.
    #[error(
        "{key}: {} is empty: put a secret into it, such as one that `orgkeys token generate` prints. Under systemd, put it \
         into the file that LoadCredential names",
        .path.display()
    )]
    #[expect(missing_docs, reason = "the key that names the file, and its path")]
    Empty { key: String, path: PathBuf },
}

/// What sets a setting.
pub(super) enum Found {
    /// Its text.
    Text(String),
    /// The text in a file that this key names.
    In { key: String, path: PathBuf },
}

impl Found {
    /// Whether this is more than an empty text.
    pub(super) fn is_set(&self) -> bool {
        !matches!(self, Self::Text(text) if text.is_empty())
    }

    /// Returns the text, or the file if it is to be read only when the secret is needed.
    pub(super) fn read(self, field: &Field) -> Result<(String, Option<PathBuf>), SecretFileError> {
        match self {
            Self::Text(text) => Ok((text, None)),
            Self::In { path, .. } if field.read_late => Ok((String::new(), Some(path))),
            Self::In { key, path } => Ok((secret_in(&key, &path)?, None)),
        }
    }
}

impl Settings {
    /// Whether an access token for the first owner is configured.
    #[must_use]
    pub const fn has_bootstrap_token(&self) -> bool {
        self.bootstrap_token.is_some() || self.bootstrap_token_file.is_some()
    }

    /// Returns the access token for the first owner. Its file is read only now: once the owner has the token, nobody
    /// needs the file.
    pub fn read_bootstrap_token(&self) -> Result<Option<SecretString>, SecretFileError> {
        match &self.bootstrap_token_file {
            Some(path) => Ok(Some(secret_in("bootstrap_token_file", path)?.into())),
            None => Ok(self.bootstrap_token.clone()),
        }
    }
}

fn secret_in(key: &str, path: &Path) -> Result<String, SecretFileError> {
    let text = files::read_text(path).map_err(|why| SecretFileError::Unreadable {
        key: key.to_owned(),
        path: path.to_owned(),
        why,
    })?;
    match text.trim() {
        "" => Err(SecretFileError::Empty { key: key.to_owned(), path: path.to_owned() }),
        secret => Ok(secret.to_owned()),
    }
}
