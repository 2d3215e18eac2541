//! The command line: every command and its flags, and how results become output and an exit code.

mod admin;
mod audit;
mod backup;
mod client;
mod clock;
mod doctor;
mod healthcheck;
mod log;
mod memory;
mod serve;
mod sign;

use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;

use crate::actions::open::open;
use crate::config::{ConfigError, Flags, Resolved, Settings, Texts, resolve};
use crate::engine::system::System;
use crate::server;
use crate::store::files;

/// Holds an organization's keys, the nodes that authenticate with them, and a tamper-evident audit log.
#[derive(Parser)]
#[command(name = "orgkeys", version, max_term_width = 100)]
struct Cli {
    /// The settings file (TOML) [env: `ORGKEYS_CONFIG`]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON with the API's field names
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve {
        #[command(flatten)]
        flags: Flags,
    },
    /// Check whether the server with these settings responds. Exits with 0 if it does and 1 if not, within a second
    Healthcheck {
        #[command(flatten)]
        flags: Flags,
    },
    /// Print every setting and its source; secrets are masked
    Config {
        #[command(flatten)]
        flags: Flags,
    },
    /// Create and list organizations (stop the server first)
    #[command(subcommand)]
    Org(admin::OrgCommand),
    /// Create and list users, and reset passwords (stop the server first)
    #[command(subcommand)]
    User(admin::UserCommand),
    /// Create, list and revoke access tokens (stop the server first)
    #[command(subcommand)]
    Token(admin::TokenCommand),
    /// Verify and export the audit log; the server may be running
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Back up the database to a file; the server may be running
    Backup(backup::Backup),
    /// Replace the database with a backup (stop the server first)
    Restore(backup::Restore),
    /// Recover from a wrong system clock (stop the server first)
    #[command(subcommand)]
    Clock(clock::ClockCommand),
    /// Check the installation and say what to fix; the server may be running. Exits with 0 if all is well, 1 if
    /// anything needs attention, 2 if the checks could not run
    Doctor(doctor::Doctor),
    /// Sign a node's request with an organization key; pipe the output to `curl --json @-`
    Sign(sign::Sign),
    /// Print the OpenAPI document
    Openapi,
    /// Print shell completions
    Completions {
        /// The shell for which to print completions
        shell: Shell,
    },
}

/// The database of a command that takes no other setting.
#[derive(clap::Args)]
struct Database {
    /// The database file [env: `ORGKEYS_DATABASE`] [default: orgkeys.db]
    #[arg(long, value_name = "FILE")]
    database: Option<String>,
}

/// Why a command failed, and what to do.
#[derive(Debug)]
struct CommandError(String);

impl<E: fmt::Display> From<E> for CommandError {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// What every command needs: the sources of the settings and the output format.
struct CommandContext {
    config: Option<PathBuf>,
    environment: Texts,
    json: bool,
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    memory::tell_panics();
    if let Err(error) = memory::forbid_images() {
        eprintln!("orgkeys: core dumps could not be disabled ({error}); a core dump would contain keys and passwords");
        return ExitCode::FAILURE;
    }
    let matches = commands().get_matches();
    let environment: Texts = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    if let Some(code) = client::run(&matches, &environment) {
        return code;
    }
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let config = cli.config.or_else(|| environment.get("ORGKEYS_CONFIG").map(PathBuf::from));
    let context = CommandContext { config, environment, json: cli.json };
    match run(cli.command, &context) {
        Ok(code) => code,
        Err(CommandError(problem)) => {
            eprintln!("orgkeys: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Every command, those that call a server included.
fn commands() -> clap::Command {
    client::extend(Cli::command(), std::env::args_os())
}

fn run(command: Command, context: &CommandContext) -> Result<ExitCode, CommandError> {
    match command {
        Command::Serve { flags } => serve::run(context.resolve(&flags)?)?,
        Command::Healthcheck { flags } => healthcheck::run(&context.resolve(&flags)?.settings)?,
        Command::Config { flags } => {
            print_settings(&context.resolve(&flags)?, context.json);
        }
        Command::Org(command) => command.run(context)?,
        Command::User(command) => command.run(context)?,
        Command::Token(command) => command.run(context)?,
        Command::Audit(command) => command.run(context)?,
        Command::Backup(command) => command.run(context)?,
        Command::Restore(command) => command.run(context)?,
        Command::Doctor(command) => return Ok(command.run(context)),
        Command::Clock(command) => command.run(context)?,
        Command::Sign(command) => command.run()?,
        Command::Openapi => {
            say(crate::api::http::document::text().trim_end());
        }
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut commands(), "orgkeys", &mut std::io::stdout());
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl CommandContext {
    fn resolve(&self, flags: &Flags) -> Result<Resolved, ConfigError> {
        let resolved = resolve(flags, &self.environment, self.config.as_deref())?;
        for warning in &resolved.warnings {
            eprintln!("orgkeys: warning: {warning}");
        }
        Ok(resolved)
    }

    /// Resolves the settings of a command that takes only `--database`.
    fn settings(&self, database: &Database) -> Result<Settings, ConfigError> {
        let flags = match &database.database {
            Some(path) => Flags::default().with("database", path),
            None => Flags::default(),
        };
        Ok(self.resolve(&flags)?.settings)
    }

    /// Opens the database for a command that needs it exclusively. The file must exist, so that a typo does not create
    /// one.
    fn open(&self, database: &Database) -> Result<System, CommandError> {
        let settings = self.settings(database)?;
        let database = files::real(&settings.database)?;
        if !database.try_exists()? {
            let path = database.display();
            return Err(CommandError(format!(
                "{path} does not exist: name the database with --database, or run `orgkeys serve` to create one"
            )));
        }
        let (_, system) = open(&server::store_options(&settings), server::limits(&settings), server::clock::system())?;
        Ok(system)
    }

    /// Prints one result, as JSON or as text.
    fn print(&self, json: &serde_json::Value, line: impl FnOnce() -> String) {
        let text = if self.json { json.to_string() } else { line() };
        say(&text);
    }
}

/// Prints to standard output. Exits with 0 when the reader has closed the pipe, as `head` does.
fn say(text: &str) {
    if writeln!(std::io::stdout(), "{text}").is_err() {
        std::process::exit(0);
    }
}

fn print_settings(resolved: &Resolved, json: bool) {
    for (field, text, source) in &resolved.origins {
        let shown = if text.is_empty() { "-" } else { text };
        say(&if json {
            serde_json::json!({ "name": field.name, "value": text, "source": source.to_string() }).to_string()
        } else {
            format!("{:<17} {shown:<22} {:<12}{}", field.name, source.to_string(), field.summary.replace('`', ""))
        });
    }
}
