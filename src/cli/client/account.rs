//! `orgkeys login`, `logout` and `whoami`.

use clap::{Arg, ArgMatches, Command};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::flags::{CallFlags, args, explained, show_request};
use super::{Context, block_on, terminal};
use crate::client::base_url::BaseUrl;
use crate::client::compose::{Values, compose};
use crate::client::document::Document;
use crate::client::failure::{Exit, Failure, Outcome};
use crate::client::output::{self, note};
use crate::client::profiles::{Profile, Profiles, check_name};
use crate::client::rows::{plain, role};
use crate::client::server::Server;
use crate::client::session::{Client, tokens};
use crate::client::target::{Credential, Target};

/// The profile of a first sign-in.
const FIRST: &str = "default";

/// The commands.
pub fn commands() -> [Command; 3] {
    let login = Command::new("login")
        .about("Sign in to a server and keep the session in a profile")
        .long_about(
            "Sign in to a server and keep the session in a profile. The password is asked for on the terminal; without one it \
             is the first line of standard input. The session is renewed by itself, and ends after 30 days without a call.",
        )
        .args(args().into_iter().filter(|arg| !["org", "output", "dry-run"].contains(&arg.get_id().as_str())))
        .arg(Arg::new("email").long("email").value_name("EMAIL").help("Your email address, if you do not want to be asked"))
        .arg(
            Arg::new("token-command")
                .long("token-command")
                .value_name("COMMAND")
                .conflicts_with("email")
                .help("Keep this shell command, which prints an access token or API key, instead of a session"),
        );
    let without_org = args().into_iter().filter(|arg| arg.get_id() != "org");
    let logout = Command::new("logout").about("End the session of a profile").args(without_org);
    let whoami = Command::new("whoami").about("Show who you are: user, role, organization and server").args(args());
    [
        explained(login, "orgkeys login --url https://keys.example.org --profile work"),
        explained(logout, "orgkeys logout --profile work"),
        explained(whoami, "orgkeys whoami"),
    ]
}

/// Signs in.
pub fn log_in(context: &Context<'_>, matches: &ArgMatches) -> Outcome<Exit> {
    let flags = CallFlags::read(matches, context.shared)?;
    let document = Document::of_this_program();
    let profiles = context.store.load()?;
    let (name, server, profile) = place(context, &flags, &profiles)?;
    let ca = flags.selection.ca.clone().or(profile.ca);
    if flags.selection.ca.is_some() && !server.is_https() {
        return Err(Failure::usage(format!("--ca is for https, and {server} is not encrypted")));
    }
    if server.is_exposed() {
        note(&format!("orgkeys: warning: {server} is not encrypted: others on the network can read your password"));
    }
    let ca = ca.map(|path| std::path::absolute(&path).unwrap_or(path));
    let target = Target {
        server: Server::Url(server.clone()),
        ca: ca.clone(),
        profile: None,
        credential: Credential::None,
        organization: None,
    };
    let mut profile = Profile { url: server.to_string(), ca, ..Profile::default() };
    let signed_in = match matches.get_one::<String>("token-command") {
        Some(command) => {
            profile.token_command = Some(command.clone());
            let credential = Credential::Command(command.clone());
            let mut client = Client::new(Target { credential, ..target }, document, &context.store)?;
            profile.organization = Some(block_on(client.organization())?);
            "the token of the command".to_owned()
        }
        None => with_password(context, document, target, matches, &mut profile)?,
    };
    context.store.update(|profiles| {
        profiles.profiles.insert(name.clone(), profile);
        profiles.current = Some(name.clone());
        Ok(())
    })?;
    note(&format!("signed in to {server} as {signed_in}; the profile {name} is now in use"));
    Ok(Exit::Done)
}

/// Returns the profile to sign in to: its name, its server, and what it holds so far.
fn place(context: &Context<'_>, flags: &CallFlags, profiles: &Profiles) -> Outcome<(String, BaseUrl, Profile)> {
    let named = flags.selection.profile.clone();
    let url =
        flags.selection.url.clone().or_else(|| named.is_none().then(|| context.variable("ORGKEYS_URL")).flatten());
    let url = url.map(|url| BaseUrl::parse(&url)).transpose()?;
    let is_for =
        |profile: &Profile| url.as_ref().is_none_or(|url| BaseUrl::parse(&profile.url).is_ok_and(|own| own == *url));
    let current = profiles.current.clone().filter(|name| profiles.profiles.get(name).is_some_and(is_for));
    let known =
        profiles.profiles.iter().find(|(_, profile)| url.is_some() && is_for(profile)).map(|(name, _)| name.clone());
    let name = named.or(current).or(known).unwrap_or_else(|| FIRST.to_owned());
    check_name(&name)?;
    let profile = profiles.profiles.get(&name).cloned().unwrap_or_default();
    match url {
        Some(_) if !profile.url.is_empty() && !is_for(&profile) => Err(Failure::usage(format!(
            "the profile {name} is for {}: name another with --profile, or run `orgkeys profile delete {name}`",
            profile.url
        ))),
        Some(url) => Ok((name, url, profile)),
        None if profile.url.is_empty() => {
            Err(Failure::usage("no server is named: run `orgkeys login --url https://keys.example.org`"))
        }
        None => Ok((name, BaseUrl::parse(&profile.url)?, profile)),
    }
}

/// Signs in with a password. Returns the email address.
fn with_password(
    context: &Context<'_>,
    document: Document,
    target: Target,
    matches: &ArgMatches,
    profile: &mut Profile,
) -> Outcome<String> {
    let email = matches.get_one::<String>("email").cloned().map_or_else(|| terminal::ask("Email"), Ok)?;
    let password = terminal::ask_secret("Password")?;
    let body = json!({ "email": email, "password": password, "deviceInfo": "orgkeys command line" });
    let request = compose(&document.operation("loginUser")?, &Values::default(), Some(body.to_string().into_bytes()))?;
    let mut client = Client::new(target, document, &context.store)?;
    let answer = block_on(client.call(&request))?.json()?;
    let (access, refresh) = tokens(&answer)?;
    (profile.access_token, profile.refresh_token) = (Some(access), Some(refresh));
    profile.organization = answer["user"]["orgId"].as_str().map(str::to_owned);
    profile.email = Some(email.clone());
    Ok(email)
}

/// Signs out.
pub fn log_out(context: &Context<'_>, matches: &ArgMatches) -> Outcome<Exit> {
    let flags = CallFlags::read(matches, context.shared)?;
    let document = Document::of_this_program();
    let mut client = context.client(&flags, document)?;
    let name = client.target.profile.clone();
    let name = name.ok_or_else(|| Failure::usage("no profile is in use, so there is no session to end"))?;
    let profile = context.store.load()?.get(&name)?.clone();
    let Some(refresh) = profile.refresh_token else {
        return Err(Failure::new(Exit::NotSignedIn, format!("the profile {name} has no session")));
    };
    let body = json!({ "refreshToken": refresh.expose_secret() }).to_string().into_bytes();
    let request = compose(&document.operation("logoutUser")?, &Values::default(), Some(body))?;
    if flags.dry_run {
        show_request(&client.target, &request)?;
        return Ok(Exit::Done);
    }
    block_on(client.call(&request)).map_err(|failure| Failure {
        message: format!(
            "{}. The session is kept: `orgkeys profile delete {name}` forgets it without ending it",
            failure.message
        ),
        ..failure
    })?;
    context.store.update(|profiles| {
        if let Some(profile) = profiles.profiles.get_mut(&name) {
            profile.forget_session();
        }
        Ok(())
    })?;
    note(&format!("signed out of {}", client.target.server));
    Ok(Exit::Done)
}

/// Shows the caller.
pub fn who_am_i(context: &Context<'_>, matches: &ArgMatches) -> Outcome<Exit> {
    let flags = CallFlags::read(matches, context.shared)?;
    let document = Document::of_this_program();
    let mut client = context.client(&flags, document)?;
    if flags.dry_run {
        let credential = match &client.target.credential {
            Credential::Fixed(secret) => Some(secret),
            _ => None,
        };
        let request = if client.target.is_administrator() {
            Client::administrator_request()
        } else {
            client.identity_request(credential)?.1
        };
        show_request(&client.target, &request)?;
        return Ok(Exit::Done);
    }
    let is_administrator = client.target.is_administrator();
    let (is_key, mut row): (bool, Value) =
        if is_administrator { (false, block_on(client.administrator())?) } else { block_on(client.identity())? };
    row["server"] = client.target.server.to_string().into();
    row["profile"] = client.target.profile.clone().into();
    let server = [plain("SERVER", "server"), plain("PROFILE", "profile")];
    let columns = if is_key {
        [plain("API KEY", "apiKeyId"), role("ROLE", "roleId"), plain("ORGANIZATION", "organizationId")].to_vec()
    } else if is_administrator {
        [plain("ID", "id"), role("ROLE", "orgRole"), plain("ORGANIZATION", "orgId")].to_vec()
    } else {
        vec![
            plain("EMAIL", "email"),
            plain("ID", "id"),
            plain("NAME", "name"),
            plain("LAST NAME", "lastName"),
            role("ROLE", "orgRole"),
            plain("ORGANIZATION", "orgId"),
        ]
    };
    output::show(flags.format(), &[row], &[columns, server.to_vec()].concat(), false)?;
    Ok(Exit::Done)
}
