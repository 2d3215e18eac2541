//! Which server is called, and with which credential: a flag, else a variable, else a profile, else the server on this
//! machine, by its socket.
//!
//! The credential of a profile is only sent to the URL of that profile. On the socket nobody needs one.

use std::fs;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use super::base_url::BaseUrl;
use super::failure::{Failure, Outcome};
use super::input::first_line;
use super::profiles::{Profile, Profiles, Store};
use super::request::Request;
use super::server::Server;

/// The header that names the organization in which the server's administrator acts.
const ORGANIZATION: &str = "X-Orgkeys-Organization";

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// `--url`.
    pub url: Option<String>,
    /// `--profile`.
    pub profile: Option<String>,
    /// `--ca`.
    pub ca: Option<PathBuf>,
    /// `--org`.
    pub org: Option<String>,
    /// Whether `--database` or `--config` names the server on this machine.
    pub is_local: bool,
}

/// A server and a credential.
#[derive(Debug)]
pub struct Target {
    /// The server.
    pub server: Server,
    /// The file with the certificates to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// The profile that the server or the credential comes from.
    pub profile: Option<String>,
    /// The credential.
    pub credential: Credential,
    /// The id of the organization, if the profile or `--org` names it.
    pub organization: Option<String>,
}

/// What identifies the caller.
#[derive(Debug)]
pub enum Credential {
    /// Nothing.
    None,
    /// An access token or an API key.
    Fixed(SecretString),
    /// A shell command that prints one.
    Command(String),
    /// A session of the profile.
    Session {
        /// Its access token.
        access: SecretString,
    },
}

impl Target {
    /// Whether the caller is the server's administrator, who needs no credential on the socket.
    #[must_use]
    pub fn is_administrator(&self) -> bool {
        matches!((&self.server, &self.credential), (Server::Socket(_), Credential::None))
    }

    /// Returns a request that names the organization in which the server's administrator acts.
    #[must_use]
    pub fn addressed(&self, request: &Request) -> Request {
        let mut request = request.clone();
        if let (true, true, Some(organization)) = (self.is_administrator(), request.authenticated, &self.organization) {
            request.set_header(ORGANIZATION, organization);
        }
        request
    }

    /// The header that the credential is sent in, masked; empty without a credential.
    #[must_use]
    pub fn masked_credential(&self) -> &'static str {
        match &self.credential {
            Credential::None => "",
            Credential::Fixed(secret) if is_api_key(secret.expose_secret()) => "X-Api-Key: ********",
            _ => "Authorization: Bearer ********",
        }
    }
}

/// Whether a credential is an API key, which is sent in a header of its own.
pub fn is_api_key(secret: &str) -> bool {
    secret.starts_with("oka_")
}

/// Whether the command line, the environment or the profile in use names a server.
pub fn names_server(selection: &Selection, variable: impl Fn(&str) -> Option<String>, store: &Store) -> Outcome<bool> {
    refuse_two_places(selection)?;
    let is_named = selection.url.is_some() || selection.profile.is_some();
    Ok(is_named || (!selection.is_local && (variable("ORGKEYS_URL").is_some() || store.load()?.current.is_some())))
}

fn refuse_two_places(selection: &Selection) -> Outcome<()> {
    if selection.is_local && (selection.url.is_some() || selection.profile.is_some()) {
        return Err(Failure::usage(
            "--database and --config are for the server on this machine, and --url and --profile name another: leave out one of \
             them",
        ));
    }
    Ok(())
}

/// Returns the server and the credential. `variable` returns variables that are not empty, `socket` the path of the socket
/// of the server on this machine.
pub fn resolve(
    selection: &Selection,
    variable: impl Fn(&str) -> Option<String>,
    store: &Store,
    socket: impl FnOnce() -> Outcome<PathBuf>,
) -> Outcome<Target> {
    let token = token(&variable)?;
    refuse_two_places(selection)?;
    if selection.is_local {
        return local(selection, token, socket()?);
    }
    let url = selection.url.clone().or_else(|| selection.profile.is_none().then(|| variable("ORGKEYS_URL")).flatten());
    let url = url.map(|url| BaseUrl::parse(&url)).transpose()?;
    let profiles = if url.is_some() && token.is_some() && selection.profile.is_none() {
        Profiles::default()
    } else {
        store.load()?
    };
    let found = find(&profiles, selection.profile.as_deref(), url.as_ref())?;
    let Some(server) = url.or(match found {
        Some((_, profile)) => Some(BaseUrl::parse(&profile.url)?),
        None => None,
    }) else {
        return local(selection, token, socket()?);
    };
    // A profile that is named on the command line comes before the variable.
    let own = found.map_or(Credential::None, |(_, profile)| credential(profile));
    let is_own = !matches!(own, Credential::None) && (selection.profile.is_some() || token.is_none());
    let organization = found.filter(|_| is_own).and_then(|(_, profile)| profile.organization.clone());
    let credential = if is_own { own } else { token.map_or(Credential::None, Credential::Fixed) };
    let ca = selection.ca.clone().or_else(|| found.and_then(|(_, profile)| profile.ca.clone()));
    if selection.ca.is_some() && !server.is_https() {
        return Err(Failure::usage(format!("--ca is for https, and {server} is not encrypted")));
    }
    if selection.org.is_some() {
        return Err(org_is_for_the_administrator());
    }
    let (server, profile) = (Server::Url(server), found.map(|(name, _)| name.to_owned()));
    Ok(Target { server, ca, profile, credential, organization })
}

/// Returns the server on this machine, called with a token or as its administrator.
fn local(selection: &Selection, token: Option<SecretString>, socket: PathBuf) -> Outcome<Target> {
    if selection.ca.is_some() {
        return Err(Failure::usage("--ca is for https: add --url, because no server is named"));
    }
    if selection.org.is_some() && token.is_some() {
        return Err(org_is_for_the_administrator());
    }
    Ok(Target {
        server: Server::Socket(socket),
        ca: None,
        profile: None,
        credential: token.map_or(Credential::None, Credential::Fixed),
        organization: selection.org.clone(),
    })
}

fn org_is_for_the_administrator() -> Failure {
    Failure::usage(
        "--org is for the server's administrator, who calls the server on its own machine without a credential: leave it out, \
         because a credential belongs to one organization",
    )
}

/// Returns the profile that is meant.
fn find<'a>(
    profiles: &'a Profiles,
    name: Option<&str>,
    url: Option<&BaseUrl>,
) -> Outcome<Option<(&'a str, &'a Profile)>> {
    let entry = |name: &str| profiles.profiles.get_key_value(name).map(|(name, profile)| (name.as_str(), profile));
    let is_for = |profile: &Profile, url: &BaseUrl| BaseUrl::parse(&profile.url).is_ok_and(|own| own == *url);
    match (name, url) {
        (Some(name), url) => {
            let profile = profiles.get(name)?;
            if url.is_some_and(|url| !is_for(profile, url)) {
                let message = format!("--url is not the URL of the profile {name}: leave out one of them");
                return Err(Failure::usage(message));
            }
            Ok(entry(name))
        }
        (None, None) => match profiles.current.as_deref() {
            Some(current) => Ok(Some((entry(current)).ok_or_else(|| {
                Failure::usage(format!("there is no profile {current}: run `orgkeys profile use NAME`"))
            })?)),
            None => Ok(None),
        },
        (None, Some(url)) => {
            let current = profiles.current.as_deref().and_then(entry).filter(|(_, profile)| is_for(profile, url));
            let mut others =
                profiles.profiles.keys().filter_map(|name| entry(name)).filter(|(_, own)| is_for(own, url));
            let (first, second) = (others.next(), others.next());
            Ok(current.or(first.filter(|_| second.is_none())))
        }
    }
}

fn credential(profile: &Profile) -> Credential {
    match (&profile.access_token, &profile.token_command) {
        (Some(access), _) => Credential::Session { access: access.clone() },
        (None, Some(command)) => Credential::Command(command.clone()),
        (None, None) => Credential::None,
    }
}

/// Returns the token of the environment.
fn token(variable: &impl Fn(&str) -> Option<String>) -> Outcome<Option<SecretString>> {
    let text = match (variable("ORGKEYS_TOKEN"), variable("ORGKEYS_TOKEN_FILE")) {
        (Some(_), Some(_)) => {
            return Err(Failure::usage("ORGKEYS_TOKEN and ORGKEYS_TOKEN_FILE are both set: set only one of them"));
        }
        (Some(token), None) => token,
        (None, Some(path)) => {
            let bytes = fs::read(&path)
                .map_err(|error| Failure::usage(format!("ORGKEYS_TOKEN_FILE: cannot read {path}: {error}")))?;
            first_line(&bytes)
                .ok_or_else(|| Failure::usage(format!("ORGKEYS_TOKEN_FILE: {path} has no token in its first line")))?
        }
        (None, None) => return Ok(None),
    };
    checked(&text)
        .map(Some)
        .ok_or_else(|| Failure::usage("the token in the environment is not an access token or API key"))
}

/// Returns a credential if it can be sent in a header.
pub fn checked(text: &str) -> Option<SecretString> {
    let text = text.trim();
    let is_sendable = !text.is_empty() && text.len() <= 4_096 && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_sendable.then(|| SecretString::from(text.to_owned()))
}

#[cfg(test)]
mod tests;
