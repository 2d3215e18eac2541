//! The file `profiles.toml`: named servers, each with a session or a command that prints a token.
//!
//! The file has mode 0600. It is only replaced as a whole, by a process that holds the lock, so that two processes that
//! renew a session at once do so one after the other.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

use super::failure::{Failure, Outcome};
use crate::domain::shell;
use crate::domain::text::line_at;

/// The most that the file may contain, in bytes.
const MOST: u64 = 1024 * 1024;

/// Every profile.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profiles {
    /// The profile that is used if nothing else is said.
    pub current: Option<String>,
    /// The profiles by name.
    pub profiles: BTreeMap<String, Profile>,
}

/// One server, and how to sign in to it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The server's URL.
    pub url: String,
    /// The file with the certificates to trust instead of the system's.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// The address with which the user signed in.
    #[serde(default)]
    pub email: Option<String>,
    /// The id of the user's organization.
    #[serde(default)]
    pub organization: Option<String>,
    /// A shell command that prints an access token or an API key.
    #[serde(default)]
    pub token_command: Option<String>,
    /// The access token of the session.
    #[serde(default, deserialize_with = "secret")]
    pub access_token: Option<SecretString>,
    /// The refresh token of the session, which works once.
    #[serde(default, deserialize_with = "secret")]
    pub refresh_token: Option<SecretString>,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretString::from))
}

impl Profile {
    /// Forgets the session.
    pub fn forget_session(&mut self) {
        (self.access_token, self.refresh_token) = (None, None);
    }
}

impl Profiles {
    /// Returns the profile with this name.
    pub fn get(&self, name: &str) -> Outcome<&Profile> {
        self.profiles
            .get(name)
            .ok_or_else(|| Failure::usage(format!("there is no profile {name}: see `orgkeys profile list`")))
    }

    fn text(&self) -> String {
        let mut text = "# Written by `orgkeys login` and `orgkeys profile`; comments are not kept.\n".to_owned();
        if let Some(current) = &self.current {
            let _ = writeln!(text, "current = {}", quoted(current));
        }
        for (name, profile) in &self.profiles {
            let _ = write!(text, "\n[profiles.{name}]\nurl = {}\n", quoted(&profile.url));
            let ca = profile.ca.as_ref().map(|path| path.display().to_string());
            let token = |token: &Option<SecretString>| token.as_ref().map(|token| token.expose_secret().to_owned());
            let (access, refresh) = (token(&profile.access_token), token(&profile.refresh_token));
            for (key, value) in [
                ("ca", &ca),
                ("email", &profile.email),
                ("organization", &profile.organization),
                ("token_command", &profile.token_command),
                ("access_token", &access),
                ("refresh_token", &refresh),
            ] {
                if let Some(value) = value {
                    let _ = writeln!(text, "{key} = {}", quoted(value));
                }
            }
        }
        text
    }
}

/// Writes a TOML string. Its escapes are those of JSON, and it must not contain a raw DEL.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// Checks the name of a profile, which is a bare key of the file.
pub fn check_name(name: &str) -> Outcome<()> {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if (1..=64).contains(&name.len()) && name.bytes().all(is_bare) {
        return Ok(());
    }
    Err(Failure::usage("a profile's name has 1 to 64 letters, digits, - or _"))
}

/// Where the profiles are.
pub struct Store {
    folder: Option<PathBuf>,
}

/// The right to replace the file.
pub struct Lock<'a> {
    store: &'a Store,
    path: PathBuf,
    _file: File,
}

/// A new version of the file that is not in place yet.
pub struct Draft {
    /// Where it is until then.
    beside: PathBuf,
    path: PathBuf,
    file: File,
    is_in_place: bool,
}

impl Store {
    /// The store of a user with these variables: `$XDG_CONFIG_HOME/orgkeys`, else `~/.config/orgkeys`.
    pub fn new(variable: impl Fn(&str) -> Option<String>) -> Self {
        let folder = |name: &str| variable(name).filter(|path| path.starts_with('/')).map(PathBuf::from);
        let folder = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")));
        Self { folder: folder.map(|folder| folder.join("orgkeys")) }
    }

    fn path(&self) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join("profiles.toml"))
    }

    /// Reads the profiles. Without a file there are none.
    pub fn load(&self) -> Outcome<Profiles> {
        let Some(path) = self.path() else { return Ok(Profiles::default()) };
        match File::open(&path) {
            Ok(file) => read(&path, &file),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Profiles::default()),
            Err(error) => Err(fail(&path, &error)),
        }
    }

    /// Waits for the right to replace the file.
    pub fn lock(&self) -> Outcome<Lock<'_>> {
        let (Some(folder), Some(path)) = (&self.folder, self.path()) else {
            return Err(Failure::usage("there is no place for profiles: set HOME or XDG_CONFIG_HOME"));
        };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| fail(folder, &error))?;
        let name = folder.join("profiles.lock");
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&name);
        let file = file.and_then(|file| file.lock().map(|()| file)).map_err(|error| fail(&name, &error))?;
        // A link stays a link: the file that it leads to is replaced.
        Ok(Lock { store: self, path: fs::canonicalize(&path).unwrap_or(path), _file: file })
    }

    /// Changes the profiles.
    pub fn update<T>(&self, change: impl FnOnce(&mut Profiles) -> Outcome<T>) -> Outcome<T> {
        let lock = self.lock()?;
        let mut profiles = lock.load()?;
        let changed = change(&mut profiles)?;
        lock.draft()?.save(&profiles)?;
        Ok(changed)
    }
}

impl Lock<'_> {
    /// Reads the profiles.
    pub fn load(&self) -> Outcome<Profiles> {
        self.store.load()
    }

    /// Prepares the next version of the file, so that a full disk or a missing right is found before anything else is done.
    pub fn draft(&self) -> Outcome<Draft> {
        let beside = self.path.with_extension("toml.new");
        let _ = fs::remove_file(&beside);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside);
        let file = file.map_err(|error| fail(&beside, &error))?;
        Ok(Draft { beside, path: self.path.clone(), file, is_in_place: false })
    }
}

impl Draft {
    /// Writes the profiles to disk and puts them in place.
    pub fn save(mut self, profiles: &Profiles) -> Outcome<()> {
        let write = || -> io::Result<()> {
            (&self.file).write_all(profiles.text().as_bytes())?;
            self.file.sync_all()?;
            fs::rename(&self.beside, &self.path)?;
            self.path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
        };
        write().map_err(|error| fail(&self.path, &error))?;
        self.is_in_place = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_in_place {
            let _ = fs::remove_file(&self.beside);
        }
    }
}

fn read(path: &Path, file: &File) -> Outcome<Profiles> {
    let mode = file.metadata().map_err(|error| fail(path, &error))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let (shown, argument) = (path.display(), shell::quoted(path.display()));
        return Err(Failure::usage(format!(
            "{shown} is accessible to other users (its mode is {mode:04o}), and it may hold tokens: run chmod 600 {argument}, and \
             sign in again if others can log in here"
        )));
    }
    let mut text = String::new();
    file.take(MOST + 1).read_to_string(&mut text).map_err(|error| fail(path, &error))?;
    if text.len() as u64 > MOST {
        return Err(Failure::usage(format!("{} is longer than 1 MiB: remove what you do not need", path.display())));
    }
    // The parser's message repeats the line, which may hold a token; its place is enough.
    let profiles: Profiles = toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_at(&text, span.start));
        let path = path.display();
        Failure::usage(format!(
            "{path}: line {line} is not as `orgkeys login` writes it: remove the line, or sign in again"
        ))
    })?;
    for name in profiles.profiles.keys() {
        check_name(name)?;
    }
    Ok(profiles)
}

fn fail(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
