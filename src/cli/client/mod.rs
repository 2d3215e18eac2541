//! Commands that call a server over HTTP: `orgkeys api` for every operation, and the curated commands on top of it.

mod account;
mod api;
mod audit;
mod flags;
mod profile;
mod terminal;
mod verb;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tracing::Level;

use super::shared_flags::SharedFlags;
use super::{CommandContext, admin, local, log};
use crate::client::document::{Document, Operation};
use crate::client::failure::{Exit, Failure, Outcome};
use crate::client::noun::{Noun, Shows, Verb};
use crate::client::nouns::{NOUNS, USER};
use crate::client::output;
use crate::client::profiles::Store;
use crate::client::session::Client;
use crate::client::target::{names_server, resolve};
use crate::client::text::one_line;
use crate::config::Texts;

use self::flags::{CallFlags, chosen};

/// Words on a command line that may show every operation.
const SHOW_ALL: [&str; 3] = ["help", "completions", "man"];

/// Returns every operation.
pub fn operations() -> Vec<Operation> {
    Document::of_this_program().operations()
}

/// Returns the operations that must be known to understand this command line: none, those that it names, or all. Building
/// the commands of all takes as long as most commands run.
pub fn needed_operations(words: &[OsString]) -> Vec<Operation> {
    let has = |name: &str| words.iter().skip(1).any(|word| name == word);
    let shows_all = SHOW_ALL.iter().any(|name| has(name));
    if !shows_all && !has("api") {
        return Vec::new();
    }
    let all = operations();
    if shows_all || !all.iter().any(|operation| has(&operation.id)) {
        return all;
    }
    all.into_iter().filter(|operation| has(&operation.id)).collect()
}

/// Adds the commands that call a server. `operations` are those that `orgkeys api` has.
pub fn extend(command: Command, operations: &[Operation]) -> Command {
    let command = command
        .subcommand(api::command(operations))
        .subcommands(NOUNS.iter().map(verb::noun))
        .subcommands(account::commands())
        .subcommand(profile::command())
        .mut_subcommand("audit", audit::extend);
    USER.iter().fold(command, |command, verb| command.mut_subcommand("user", |user| verb::extend(user, verb)))
}

/// Runs a command that calls a server; `None` if the command line has another one.
pub fn run(matches: &ArgMatches, shared: &SharedFlags, command: &CommandContext) -> Option<ExitCode> {
    let store = Store::new(|name| filled(&command.environment, name));
    let context = Context { command, store, shared };
    let (noun, matches) = matches.subcommand()?;
    let done = match noun {
        "api" => api::run(&context, matches),
        "login" => account::log_in(&context, matches),
        "logout" => account::log_out(&context, matches),
        "whoami" => account::who_am_i(&context, matches),
        "profile" => profile::run(&context, matches),
        "audit" => audit::run(&context, matches)?,
        "user" => user(&context, matches)?,
        _ => {
            let noun = NOUNS.iter().find(|known| known.name == noun)?;
            noun_verb(&context, noun, matches)
        }
    };
    Some(match done {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(failure) => {
            if failure.exit != Exit::Interrupted || !failure.message.is_empty() {
                log::print(Level::ERROR, &one_line(&format!("orgkeys: {}", failure.message)));
            }
            ExitCode::from(failure.exit as u8)
        }
    })
}

/// What every call needs of the process.
struct Context<'a> {
    command: &'a CommandContext,
    store: Store,
    shared: &'a SharedFlags,
}

impl Context<'_> {
    /// Returns a variable that is not empty.
    fn variable(&self, name: &str) -> Option<String> {
        filled(&self.command.environment, name)
    }

    /// Returns a caller of the server that the flags, the environment or a profile name, else of the one on this machine.
    fn client<'a>(&'a self, flags: &CallFlags, document: Document) -> Outcome<Client<'a>> {
        let socket = || local::socket(self.command);
        let target = resolve(&flags.selection, |name| self.variable(name), &self.store, socket)?;
        Client::new(target, document, &self.store)
    }
}

fn filled(environment: &Texts, name: &str) -> Option<String> {
    environment.get(name).filter(|value| !value.is_empty()).cloned()
}

/// Runs a call to its end, or until a signal: then what it has begun is undone.
fn block_on<T>(work: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    let fail = |error: std::io::Error| Failure::usage(format!("cannot start: {error}"));
    let runtime = Builder::new_current_thread().enable_all().build().map_err(fail)?;
    let done = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(fail)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(fail)?;
        tokio::select! {
            done = work => done,
            _ = interrupt.recv() => Err(Failure::new(Exit::Interrupted, "")),
            _ = terminate.recv() => Err(Failure::new(Exit::Interrupted, "")),
        }
    });
    // A name lookup that was abandoned must not be waited for.
    runtime.shutdown_background();
    done
}

fn noun_verb(context: &Context<'_>, noun: &Noun, matches: &ArgMatches) -> Outcome<Exit> {
    let (name, matches) = chosen(matches)?;
    match noun.verbs.iter().find(|verb| verb.name == name) {
        Some(verb) => verb::run(context, verb, matches),
        None => Err(Failure::usage(format!("{} cannot {name}", noun.name))),
    }
}

/// Runs a command of `user` that calls a server; `None` if the command line has another one.
fn user(context: &Context<'_>, matches: &ArgMatches) -> Option<Outcome<Exit>> {
    let (name, matches) = matches.subcommand()?;
    let verb: &Verb = USER.iter().find(|verb| verb.name == name)?;
    if name == "list" { users(context, verb, matches).transpose() } else { Some(verb::run(context, verb, matches)) }
}

/// Lists users: those that the server shows to a credential or that a server that is named has, else those of the server or
/// database on this machine. Returns `None` if the command of this machine prints them.
fn users(context: &Context<'_>, verb: &Verb, matches: &ArgMatches) -> Outcome<Option<Exit>> {
    let flags = CallFlags::read(matches, context.shared)?;
    let has_credential = ["ORGKEYS_TOKEN", "ORGKEYS_TOKEN_FILE"].iter().any(|name| context.variable(name).is_some());
    if has_credential || names_server(&flags.selection, |name| context.variable(name), &context.store)? {
        return verb::run(context, verb, matches).map(Some);
    }
    let is_given = |name: &str| matches.value_source(name) == Some(ValueSource::CommandLine);
    if let Some(name) = ["ca", "dry-run"].into_iter().find(|name| is_given(name)) {
        let why = format!("--{name} is for a call to a server: add --url or --profile, or set ORGKEYS_URL");
        return Err(Failure::usage(why));
    }
    let Shows::List(columns) = verb.shows else { return Ok(None) };
    if !is_given("output") && !flags.chooses_columns() {
        return Ok(None);
    }
    let columns = flags.chosen(columns, |column| *column)?;
    let rows = admin::users(context.command, flags.selection.org.clone());
    let rows = rows.map_err(|error| Failure::new(Exit::Refused, error.problem))?;
    output::show(flags.format(), &rows, &columns, true)?;
    Ok(Some(Exit::Done))
}
