//! What can be typed? Every command, its flags, and how its outcome becomes lines and an exit code.

mod admin;
mod audit;
mod backup;
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

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::actions::open::open;
use crate::config::{ConfigError, Flags, Resolved, Settings, Texts, resolve};
use crate::engine::system::System;
use crate::server;
use crate::store::files;

/// Holds an organization's keys, the nodes that prove themselves with them, and an audit log of everything that was done.
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
    /// Say whether the server with these settings answers; exits 0 or 1 within a second
    Healthcheck {
        #[command(flatten)]
        flags: Flags,
    },
    /// Print every setting and where it comes from; secrets are masked
    Config {
        #[command(flatten)]
        flags: Flags,
    },
    /// Make and list organizations, while no server runs
    #[command(subcommand)]
    Org(admin::Org),
    /// Add and list people, while no server runs
    #[command(subcommand)]
    User(admin::User),
    /// Make, list and revoke access tokens, while no server runs
    #[command(subcommand)]
    Token(admin::Token),
    /// Verify and export the audit log, beside a running server too
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Copy the database to a file, beside a running server too
    Backup(backup::Backup),
    /// Put a backup in the place of the database, while no server runs
    Restore(backup::Restore),
    /// Set straight what a wrong clock left behind, while no server runs
    #[command(subcommand)]
    Clock(clock::Clock),
    /// Say what is well, what is not, and what to do, beside a running server too; exits 0, 1 to act, 2 if it cannot look
    Doctor(doctor::Doctor),
    /// Sign a node's request with an organization key, ready for `curl --json @-`
    Sign(sign::Sign),
    /// Print the OpenAPI document
    Openapi,
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// The database that a command works on.
#[derive(clap::Args)]
struct Database {
    /// The database file [env: `ORGKEYS_DATABASE`] [default: orgkeys.db]
    #[arg(long, value_name = "FILE")]
    database: Option<String>,
}

/// Why a command did not do what it should; the text says what to do.
#[derive(Debug)]
struct Failure(String);

impl<E: fmt::Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// What every command needs: the settings and the form of the output.
struct Context {
    config: Option<PathBuf>,
    environment: Texts,
    json: bool,
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    memory::tell_panics();
    if let Err(error) = memory::forbid_images() {
        eprintln!("orgkeys: core dumps could not be switched off ({error}), and one would hold keys and passwords");
        return ExitCode::FAILURE;
    }
    let cli = Cli::parse();
    let environment: Texts = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let config = cli.config.or_else(|| environment.get("ORGKEYS_CONFIG").map(PathBuf::from));
    let context = Context { config, environment, json: cli.json };
    match run(cli.command, &context) {
        Ok(code) => code,
        Err(Failure(problem)) => {
            eprintln!("orgkeys: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command, context: &Context) -> Result<ExitCode, Failure> {
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
            clap_complete::generate(shell, &mut Cli::command(), "orgkeys", &mut std::io::stdout());
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Context {
    fn resolve(&self, flags: &Flags) -> Result<Resolved, ConfigError> {
        let resolved = resolve(flags, &self.environment, self.config.as_deref())?;
        for warning in &resolved.warnings {
            eprintln!("orgkeys: warning: {warning}");
        }
        Ok(resolved)
    }

    /// The settings of a command that takes only `--database`.
    fn settings(&self, database: &Database) -> Result<Settings, ConfigError> {
        let flags = match &database.database {
            Some(path) => Flags::default().with("database", path),
            None => Flags::default(),
        };
        Ok(self.resolve(&flags)?.settings)
    }

    /// Opens the app for a command that needs the database for itself. It must be there: a typing error makes none.
    fn open(&self, database: &Database) -> Result<System, Failure> {
        let settings = self.settings(database)?;
        let database = files::real(&settings.database)?;
        if !database.try_exists()? {
            let path = database.display();
            return Err(Failure(format!(
                "{path} is not there: name the database with --database; `orgkeys serve` makes one"
            )));
        }
        let (_, system) = open(&server::store_options(&settings), server::limits(&settings), server::clock::system())?;
        Ok(system)
    }

    /// Prints one thing: its JSON, or its line.
    fn print(&self, json: &serde_json::Value, line: impl FnOnce() -> String) {
        let text = if self.json { json.to_string() } else { line() };
        say(&text);
    }
}

/// Prints to standard output. Whoever read it may have seen enough and be gone, as `head` is.
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
