//! The command line: every command and its flags, and how results become output and an exit code.

mod admin;
mod audit;
mod backup;
mod client;
mod clock;
mod completions;
mod doctor;
mod healthcheck;
mod interrupt;
mod lifecycle;
mod local;
mod log;
mod memory;
mod output;
mod progress;
mod serve;
mod shared_flags;
mod sign;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use serde_json::json;
use tracing::Level;

use self::output::{Output, refuse_own_files, say, written};
use self::shared_flags::SharedFlags;
use crate::actions::open::open;
use crate::client::text;
use crate::config::{AllSettings, ConfigError, Flags, FlagsOf, Resolved, Settings, Texts, resolve};
use crate::engine::error::IN_USE;
use crate::engine::system::System;
use crate::server;
use crate::store::files;

/// Holds an organization's keys, the nodes that authenticate with them, and a tamper-evident audit log.
#[derive(Parser)]
#[command(name = "orgkeys", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Every command. `--config`, `--database` and `--json` are added to them by `shared_flags.rs`.
#[derive(Subcommand)]
enum Command {
    /// Run the server
    #[command(after_help = "Example:\n  orgkeys serve --database /var/lib/orgkeys/orgkeys.db --listen 127.0.0.1:3000")]
    Serve(FlagsOf<AllSettings>),
    /// Check whether the server with these settings responds. Exits with 0 if it does and 1 if not, within a second
    #[command(after_help = "Example:\n  orgkeys healthcheck --config /etc/orgkeys/orgkeys.toml")]
    Healthcheck(FlagsOf<healthcheck::Needs>),
    /// Print every setting and its source; secrets are masked
    #[command(after_help = "Example:\n  orgkeys config --config /etc/orgkeys/orgkeys.toml")]
    Config(FlagsOf<AllSettings>),
    /// Create and list organizations of the server on this machine, which may be running
    #[command(subcommand)]
    Org(admin::OrgCommand),
    /// List, invite and create users, change their roles, and reset passwords
    #[command(subcommand)]
    User(admin::UserCommand),
    /// Create, list and revoke access tokens of the server on this machine, which may be running
    #[command(subcommand)]
    Token(admin::TokenCommand),
    /// Verify and export the audit log; the server may be running
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Back up the database to a file; the server may be running
    #[command(
        after_help = "Example:\n  orgkeys backup --config /etc/orgkeys/orgkeys.toml /mnt/elsewhere/orgkeys.backup"
    )]
    Backup(backup::Backup),
    /// Replace the database with a backup (stop the server first, because it has the old file open)
    #[command(
        after_help = "Example:\n  orgkeys restore --config /etc/orgkeys/orgkeys.toml /mnt/elsewhere/orgkeys.backup"
    )]
    Restore(backup::Restore),
    /// Recover from a wrong system clock (stop the server first, because it remembers the later time)
    #[command(subcommand)]
    Clock(clock::ClockCommand),
    /// Check the installation and say what to fix; the server may be running. Exits with 0 if all is well, 1 if
    /// anything needs attention, 2 if the checks could not run
    #[command(after_help = "Example:\n  orgkeys doctor --config /etc/orgkeys/orgkeys.toml")]
    Doctor(doctor::Doctor),
    /// Sign a node's request with an organization key; pipe the output to `curl --json @-`
    #[command(after_help = "Example:\n  orgkeys sign --key key.pem --ip 203.0.113.7 --region eu-central-1")]
    Sign(sign::Sign),
    /// Print the OpenAPI document
    #[command(after_help = "Example:\n  orgkeys openapi > openapi.json")]
    Openapi,
    /// Print shell completions
    #[command(after_help = "Example:\n  orgkeys completions bash > /etc/bash_completion.d/orgkeys")]
    Completions(completions::Completions),
    /// Write a manual page for each command into a directory
    #[command(after_help = "Example:\n  orgkeys man /usr/local/share/man/man1")]
    Man(completions::ManPages),
}

/// Why a command failed and what to do, and the exit code that says so.
#[derive(Debug)]
struct CommandError {
    problem: String,
    code: u8,
}

impl CommandError {
    /// The exit code of a command that failed, unless the command documents another one.
    const FAILED: u8 = 1;

    /// The exit code for a command line that is wrong.
    const USAGE: u8 = 2;

    fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), code: Self::FAILED }
    }

    /// Adds what was done before it failed, or what to do then.
    fn and(self, done: &str) -> Self {
        Self { problem: format!("{}. {done}", self.problem), ..self }
    }

    /// Says what is wrong, and returns the exit code.
    fn exit(self) -> ExitCode {
        // It may contain text of a file from elsewhere, such as an export of another server's audit log.
        log::print(Level::ERROR, &text::lines(&format!("orgkeys: {}", self.problem)));
        ExitCode::from(self.code)
    }
}

impl<E: fmt::Display> From<E> for CommandError {
    fn from(error: E) -> Self {
        Self::new(error.to_string())
    }
}

/// What every command needs: the sources of the settings and the output format.
struct CommandContext {
    config: Option<PathBuf>,
    database: Option<String>,
    environment: Texts,
    output: Output,
}

/// Returns `orgkeys` with every command and flag, as completions and man pages show it.
#[must_use]
pub fn command() -> clap::Command {
    shared_flags::add(client::extend(Cli::command(), &client::operations()), "")
}

/// Returns the commands that are enough to understand these words.
fn command_for(words: &[OsString]) -> clap::Command {
    shared_flags::add(client::extend(Cli::command(), &client::needed_operations(words)), "")
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    memory::tell_panics();
    if let Err(error) = memory::forbid_images() {
        let danger = "a core dump would contain keys and passwords";
        log::print(Level::ERROR, &format!("orgkeys: core dumps could not be disabled ({error}); {danger}"));
        return ExitCode::FAILURE;
    }
    let words: Vec<OsString> = std::env::args_os().collect();
    let matches = match command_for(&words).try_get_matches_from(&words) {
        Ok(matches) => matches,
        Err(usage) => return explain(&usage),
    };
    let environment: Texts = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let shared = shared_flags::read(&matches);
    if let Err(error) = refuse_own_files() {
        return error.exit();
    }
    let context = CommandContext::new(shared.clone(), environment);
    if let Some(code) = client::run(&matches, &shared, &context) {
        return code;
    }
    match Cli::from_arg_matches(&matches) {
        Ok(cli) => run(cli.command, &context).unwrap_or_else(CommandError::exit),
        Err(usage) => explain(&usage),
    }
}

/// Prints why the command line is wrong, or the help or version that it asks for.
fn explain(usage: &clap::Error) -> ExitCode {
    let printed = written(usage.print().and_then(|()| std::io::stdout().flush()));
    match printed {
        Err(error) if !usage.use_stderr() => error.exit(),
        _ => u8::try_from(usage.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from),
    }
}

fn run(command: Command, context: &CommandContext) -> Result<ExitCode, CommandError> {
    match command {
        Command::Serve(given) => serve::run(context.resolve(&given.flags)?)?,
        Command::Healthcheck(given) => healthcheck::run(&context.resolve(&given.flags)?.settings)?,
        Command::Config(given) => print_settings(&context.resolve(&given.flags)?, context.output)?,
        Command::Org(command) => command.run(context)?,
        Command::User(command) => command.run(context)?,
        Command::Token(command) => command.run(context)?,
        Command::Audit(command) => command.run(context)?,
        Command::Backup(command) => command.run(context)?,
        Command::Restore(command) => command.run(context)?,
        Command::Doctor(command) => return command.run(context),
        Command::Clock(command) => command.run(context)?,
        Command::Sign(command) => command.run()?,
        Command::Openapi => say(crate::api::http::document::text().trim_end())?,
        Command::Completions(command) => command.run(self::command())?,
        Command::Man(command) => command.run(self::command())?,
    }
    Ok(ExitCode::SUCCESS)
}

impl CommandContext {
    fn new(shared: SharedFlags, environment: Texts) -> Self {
        let SharedFlags { config, database, json } = shared;
        let variable = || environment.get("ORGKEYS_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
        Self { config: config.or_else(variable), database, environment, output: Output { json } }
    }

    /// Resolves the settings of a command with `flags`, and with the database that it was given.
    fn resolve(&self, flags: &Flags) -> Result<Resolved, ConfigError> {
        let flags = match &self.database {
            Some(path) => flags.clone().with("database", path),
            None => flags.clone(),
        };
        let resolved = resolve(&flags, &self.environment, self.config.as_deref())?;
        for warning in &resolved.warnings {
            log::print(Level::WARN, &format!("orgkeys: warning: {warning}"));
        }
        Ok(resolved)
    }

    /// Resolves the settings of a command without further flags.
    fn settings(&self) -> Result<Settings, ConfigError> {
        Ok(self.resolve(&Flags::default())?.settings)
    }
}

/// Opens the database for a command that needs it exclusively; `why` says so if another process uses it. The file
/// must exist, so that a typo does not create one.
fn open_database(settings: &Settings, why: &str) -> Result<System, CommandError> {
    let database = files::real(&settings.database)?;
    if !files::exists(&database)? {
        let path = database.display();
        return Err(CommandError::new(format!(
            "{path} does not exist. This command works on the server's own machine: name the server's database with --database, or \
             run `orgkeys serve` to create one"
        )));
    }
    let opened = open(&server::store_options(settings), server::limits(settings), server::clock::system());
    match opened {
        Ok((_, system)) => Ok(system),
        Err(error) if error.code == IN_USE => Err(in_use(&database, why)),
        Err(error) => Err(error.into()),
    }
}

/// The error for a database that another process uses.
fn in_use(database: &Path, why: &str) -> CommandError {
    let database = files::real(database).unwrap_or_else(|_| database.to_owned());
    CommandError::new(format!("another orgkeys process is using {}: {why}", database.display()))
}

fn print_settings(resolved: &Resolved, output: Output) -> Result<(), CommandError> {
    for (field, text, source) in &resolved.origins {
        let shown = if text.is_empty() { "-" } else { text };
        let json = json!({ "name": field.name, "value": text, "source": source.to_string() });
        output.print(&json, || {
            format!("{:<17} {shown:<22} {:<12}{}", field.name, source.to_string(), field.summary.replace('`', ""))
        })?;
    }
    Ok(())
}
