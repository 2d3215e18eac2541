use std::os::unix::fs::PermissionsExt;

use super::*;

const PROFILES: &str = "current = \"work\"\n\
    [profiles.work]\nurl = \"https://keys\"\norganization = \"org-1\"\naccess_token = \"okp_work\"\nrefresh_token = \"okr_work\"\n\
    [profiles.home]\nurl = \"https://home\"\ntoken_command = \"pass home\"\nca = \"/ca.pem\"\n\
    [profiles.also]\nurl = \"https://bare\"\naccess_token = \"okp_also\"\n\
    [profiles.bare]\nurl = \"https://bare\"\n\
    [profiles.twin]\nurl = \"https://bare\"\naccess_token = \"okp_twin\"\n\
    [profiles.other]\nurl = \"https://keys\"\naccess_token = \"okp_other\"\n";

/// The server, the profile, the secret or command, and the organization.
type Shown = (String, Option<String>, String, Option<String>);

/// The profiles in a folder of their own.
fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::TempDir::new().expect("a folder");
    fs::create_dir(folder.path().join("orgkeys")).expect("a folder");
    let path = folder.path().join("orgkeys/profiles.toml");
    fs::write(&path, PROFILES).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
    let store = Store::new(|_| Some(folder.path().display().to_string()));
    (folder, store)
}

fn resolved(flags: [Option<&str>; 2], variables: &[(&str, &str)]) -> Result<Shown, String> {
    let (_folder, store) = store();
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
    assert_eq!(resolved([None, Some("home")], &[url, token]), shown("https://home", Some("home"), "pass home", None));
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
    assert_eq!(resolved([Some("https://keys/"), None], &[]).expect("it").2, "okp_work", "of two, the one in use");
    assert_eq!(resolved([None, Some("other")], &[]).expect("it").2, "okp_other");
    assert_eq!(resolved([Some("https://home"), None], &[]).expect("it").2, "pass home", "the only one");
    assert_eq!(resolved([Some("http://keys"), None], &[]).expect("it").2, "none");
    assert_eq!(resolved([Some("https://bare"), None], &[]).expect("it").2, "none", "three profiles have this URL");
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
    let (longest, too_long) = ("k".repeat(4_096), "k".repeat(4_097));
    assert_eq!(resolved([None, None], &[("ORGKEYS_TOKEN", &longest)]).expect("it").2, longest);
    assert!(resolved([None, None], &[("ORGKEYS_TOKEN", &too_long)]).is_err());
}

#[test]
fn the_certificates_of_the_command_line_come_before_those_of_the_profile() {
    let (_folder, store) = store();
    let socket = || Ok(PathBuf::from("/a.sock"));
    for (profile, ca, trusted) in [
        ("home", None, Some("/ca.pem")),
        ("home", Some("mine.pem"), Some("mine.pem")),
        ("work", Some("mine.pem"), Some("mine.pem")),
        ("work", None, None),
    ] {
        let selection =
            Selection { profile: Some(profile.to_owned()), ca: ca.map(PathBuf::from), ..Selection::default() };
        let target = resolve(&selection, |_| None, &store, socket).expect("a target");
        assert_eq!(target.ca, trusted.map(PathBuf::from), "{profile} {ca:?}");
    }
    let clear = Selection { url: Some("http://keys".to_owned()), ca: Some("mine.pem".into()), ..Selection::default() };
    assert!(resolve(&clear, |_| None, &store, socket).expect_err("refused").message.contains("is not encrypted"));
}
