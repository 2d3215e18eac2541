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
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const PROFILES: &str = "current = \"work\"\n\
        [profiles.work]\nurl = \"https://keys\"\norganization = \"org-1\"\naccess_token = \"okp_work\"\nrefresh_token = \"okr_work\"\n\
        [profiles.home]\nurl = \"https://home\"\ntoken_command = \"pass home\"\nca = \"/ca.pem\"\n\
        [profiles.bare]\nurl = \"https://bare\"\n\
        [profiles.twin]\nurl = \"https://bare\"\naccess_token = \"okp_twin\"\n";

    /// The server, the profile, the secret or command, and the organization.
    type Shown = (String, Option<String>, String, Option<String>);

    fn resolved(flags: [Option<&str>; 2], variables: &[(&str, &str)]) -> Result<Shown, String> {
        let folder = tempfile::TempDir::new().expect("a folder");
        fs::create_dir(folder.path().join("orgkeys")).expect("a folder");
        let path = folder.path().join("orgkeys/profiles.toml");
        fs::write(&path, PROFILES).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
        let store = Store::new(|_| Some(folder.path().display().to_string()));
        let [url, profile] = flags.map(|flag| flag.map(str::to_owned));
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let selection = Selection { url, profile, ..Selection::default() };
        let target = resolve(&selection, variable, &store, || Ok(PathBuf::from("/a.sock")));
        let target = target.map_err(|failure| failure.message)?;
        let secret = match target.credential {
            Credential::None => "none".to_owned(),
            Credential::Fixed(token) | Credential::Session { access: token } => token.expose_secret().to_owned(),
            Credential::Command(command) => command,
        };
        Ok((target.server.to_string(), target.profile, secret, target.organization))
    }

    #[test]
    fn a_flag_comes_before_a_variable_and_a_variable_before_the_current_profile() {
        let shown = |server: &str, profile: Option<&str>, secret: &str, organization: Option<&str>| {
            Ok((server.to_owned(), profile.map(str::to_owned), secret.to_owned(), organization.map(str::to_owned)))
        };
        let (url, token) = (("ORGKEYS_URL", "https://env"), ("ORGKEYS_TOKEN", "okp_env"));
        assert_eq!(resolved([None, None], &[]), shown("https://keys", Some("work"), "okp_work", Some("org-1")));
        assert_eq!(resolved([None, None], &[token]), shown("https://keys", Some("work"), "okp_env", None));
        assert_eq!(resolved([None, None], &[url]), shown("https://env", None, "none", None));
        assert_eq!(resolved([None, None], &[url, token]), shown("https://env", None, "okp_env", None));
        assert_eq!(resolved([Some("https://flag"), None], &[url]), shown("https://flag", None, "none", None));
        assert_eq!(
            resolved([None, Some("home")], &[url, token]),
            shown("https://home", Some("home"), "pass home", None)
        );
        assert_eq!(resolved([None, Some("bare")], &[url, token]), shown("https://bare", Some("bare"), "okp_env", None));
    }

    #[test]
    fn the_server_on_this_machine_is_called_if_none_is_named_or_its_database_is() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let store = Store::new(|_| Some(folder.path().display().to_string()));
        let socket = || Ok(PathBuf::from("/a.sock"));
        let url = |name: &str| (name == "ORGKEYS_URL").then(|| "https://env".to_owned());
        let token = |name: &str| (name == "ORGKEYS_TOKEN").then(|| "okp_env".to_owned());
        let none = resolve(&Selection::default(), |_| None, &store, socket).expect("a target");
        assert_eq!((none.server.to_string().as_str(), none.is_administrator()), ("unix:/a.sock", true));
        let given = resolve(&Selection::default(), token, &store, socket).expect("a target");
        assert_eq!((given.server.to_string().as_str(), given.is_administrator()), ("unix:/a.sock", false));
        let local = Selection { is_local: true, ..Selection::default() };
        assert!(resolve(&local, url, &store, socket).expect("a target").is_administrator());
        assert!(!names_server(&local, url, &store).expect("it"));
        assert!(names_server(&Selection::default(), url, &store).expect("it"));
        let org = || Some("org-1".to_owned());
        let chosen = Selection { org: org(), ..Selection::default() };
        assert_eq!(resolve(&chosen, |_| None, &store, socket).expect("a target").organization, org());
        let both = Selection { url: Some("https://flag".to_owned()), ..local.clone() };
        let ca = Selection { ca: Some("ca.pem".into()), ..Selection::default() };
        for (selection, variable) in [
            (&both, &(|_: &str| None) as &dyn Fn(&str) -> Option<String>),
            (&ca, &|_| None),
            (&chosen, &url),
            (&chosen, &token),
        ] {
            assert!(resolve(selection, variable, &store, socket).is_err(), "{selection:?}");
        }
    }

    #[test]
    fn a_profiles_credential_is_only_sent_to_its_own_url() {
        assert_eq!(resolved([Some("https://other"), None], &[]).expect("it").2, "none");
        assert_eq!(resolved([Some("https://keys/"), None], &[]).expect("it").2, "okp_work");
        assert_eq!(resolved([Some("http://keys"), None], &[]).expect("it").2, "none");
        assert_eq!(resolved([Some("https://bare"), None], &[]).expect("it").2, "none", "two profiles have this URL");
        assert!(resolved([Some("https://other"), Some("work")], &[]).is_err());
        assert!(resolved([Some("https://keys"), Some("work")], &[]).is_ok());
        assert!(resolved([None, Some("none")], &[]).is_err());
    }

    #[test]
    fn a_token_is_taken_from_a_variable_or_a_file_but_not_from_both() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), "okp_file\n").expect("written");
        let path = file.path().display().to_string();
        let named = ("ORGKEYS_TOKEN_FILE", path.as_str());
        assert_eq!(resolved([None, None], &[named]).expect("it").2, "okp_file");
        assert!(resolved([None, None], &[named, ("ORGKEYS_TOKEN", "okp_env")]).is_err());
        for token in ["okp a", "okp\u{e9}", "a\u{1}"] {
            let problem = resolved([None, None], &[("ORGKEYS_TOKEN", token)]).expect_err("refused");
            assert!(!problem.contains(token), "{problem}");
        }
        fs::write(file.path(), "").expect("written");
        assert!(resolved([None, None], &[named]).is_err(), "an empty file");
    }
}
