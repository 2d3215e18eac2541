//! `orgkeys profile`: the servers that this user has signed in to.

use clap::{Arg, ArgMatches, Command};
use serde_json::{Value, json};

use super::Context;
use super::flags::{CallFlags, args, chosen, columns_arg, explained};
use crate::client::failure::{Exit, Outcome};
use crate::client::output::{self, note};
use crate::client::profiles::{Profile, Profiles};
use crate::client::rows::{Column, plain};

/// The columns of the list.
const COLUMNS: [Column; 5] = [
    plain("IN USE", "inUse"),
    plain("NAME", "name"),
    plain("URL", "url"),
    plain("EMAIL", "email"),
    plain("CREDENTIAL", "credential"),
];

/// The command.
pub fn command() -> Command {
    let name = || Arg::new("name").required(true).value_name("NAME").help("The profile");
    let format = args().into_iter().filter(|arg| arg.get_id() == "output");
    Command::new("profile")
        .about("List, choose and delete profiles: servers that you have signed in to")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(explained(
            Command::new("list")
                .about("List the profiles; an asterisk marks the one in use")
                .args(format)
                .arg(columns_arg(COLUMNS.iter())),
            "orgkeys profile list",
        ))
        .subcommand(explained(
            Command::new("use").about("Use a profile from now on").arg(name()),
            "orgkeys profile use work",
        ))
        .subcommand(explained(
            Command::new("delete")
                .about("Forget a profile. Its session is not ended: see `orgkeys logout`")
                .arg(name()),
            "orgkeys profile delete work",
        ))
}

/// Runs the command.
pub fn run(context: &Context<'_>, matches: &ArgMatches) -> Outcome<Exit> {
    let (verb, matches) = chosen(matches)?;
    let name = || matches.get_one::<String>("name").cloned().unwrap_or_default();
    match verb {
        "use" => {
            let name = name();
            context.store.update(|profiles| {
                profiles.get(&name)?;
                profiles.current = Some(name.clone());
                Ok(())
            })?;
            note(&format!("the profile {name} is now in use"));
        }
        "delete" => {
            let name = name();
            context.store.update(|profiles| delete(profiles, &name))?;
            note(&format!("the profile {name} is deleted"));
            if context.store.load()?.current.is_none() {
                note("no profile is in use now: calls go to the server on this machine, unless they name another");
            }
        }
        _ => list(context, matches)?,
    }
    Ok(Exit::Done)
}

fn delete(profiles: &mut Profiles, name: &str) -> Outcome<()> {
    profiles.get(name)?;
    profiles.profiles.remove(name);
    if profiles.current.as_deref() == Some(name) {
        profiles.current = None;
    }
    Ok(())
}

fn list(context: &Context<'_>, matches: &ArgMatches) -> Outcome<()> {
    let flags = CallFlags::read(matches, context.shared)?;
    let columns = flags.chosen(&COLUMNS, |column| *column)?;
    let profiles = context.store.load()?;
    let rows: Vec<Value> = profiles
        .profiles
        .iter()
        .map(|(name, profile)| {
            let in_use = if profiles.current.as_ref() == Some(name) { "*" } else { "" };
            json!({
                "inUse": in_use, "name": name, "url": profile.url, "email": profile.email, "credential": credential(profile),
            })
        })
        .collect();
    output::show(flags.format(), &rows, &columns, true)
}

fn credential(profile: &Profile) -> Option<&'static str> {
    match (&profile.access_token, &profile.token_command) {
        (Some(_), _) => Some("session"),
        (None, Some(_)) => Some("token_command"),
        (None, None) => None,
    }
}
