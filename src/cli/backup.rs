//! `orgkeys backup` and `orgkeys restore`: consistent copies of the database, and how to restore one.

use std::path::{Path, PathBuf};

use serde_json::json;
use tracing::Level;

use super::{CommandContext, CommandError, in_use, interrupt, log, progress};
use crate::actions::backup::{self, Request, Restored};
use crate::actions::key_file::{KeyFileStatus, Problem};
use crate::config::{FlagsOf, Settings, Takes};
use crate::engine::error::IN_USE;
use crate::server::{clock, store_options};
use crate::store;

/// The setting that says where the key file is, which no backup contains.
enum Needs {}

impl Takes for Needs {
    fn takes(name: &str) -> bool {
        name == "key_file"
    }
}

#[derive(clap::Args)]
pub struct Backup {
    /// The backup file to write; an existing backup is replaced
    file: PathBuf,
    #[command(flatten)]
    given: FlagsOf<Needs>,
}

#[derive(clap::Args)]
pub struct Restore {
    /// The backup file
    file: PathBuf,
    /// Restore only a file with this SHA-256, as `orgkeys backup` printed it
    #[arg(long, value_name = "HEX", value_parser = parse_sha256)]
    sha256: Option<String>,
    /// Keep the access tokens in the backup valid; by default all are revoked
    #[arg(long)]
    keep_tokens: bool,
    #[command(flatten)]
    given: FlagsOf<Needs>,
}

impl Backup {
    pub fn run(self, context: &CommandContext) -> Result<(), CommandError> {
        let settings = context.resolve(&self.given.flags)?.settings;
        interrupt::clean_up()?;
        let (made, unnoted) = {
            let _line = progress::show();
            backup::make(&settings.database, &self.file, &clock::system())?
        };
        if let Some(error) = unnoted {
            let database = settings.database.display();
            let unnoted = format!(
                "orgkeys: warning: the backup is complete, but its time could not be written next to {database} ({error}): \
                the server's metric and audit log will not show it"
            );
            log::print(Level::WARN, &unnoted);
        }
        let key_file = key_file(&settings)?;
        let mut json = json!(made);
        json["keyFile"] = json!(key_file.display().to_string());
        let line = || {
            let (file, heads) = (self.file.display(), made.heads.iter().map(ToString::to_string).collect::<Vec<_>>());
            let (at, version, sha256) = (&made.at, made.schema_version, &made.sha256);
            format!(
                "{file} holds the database as of {at} (schema {version})\nsha256 {sha256}\n{}\n\
                Not in the backup: the key file {}. Keep a copy of it in another place",
                heads.join("\n"),
                key_file.display()
            )
        };
        let done = format!("The backup is complete all the same: {}", self.file.display());
        context.output.print_done(&json, line, &done)
    }
}

impl Restore {
    pub fn run(self, context: &CommandContext) -> Result<(), CommandError> {
        let settings = context.resolve(&self.given.flags)?.settings;
        interrupt::clean_up()?;
        let request = Request {
            file: &self.file,
            sha256: self.sha256.as_deref(),
            keep_tokens: self.keep_tokens,
            key_file: settings.key_file.as_deref(),
        };
        let restored = {
            let _line = progress::show();
            backup::restore(&request, &store_options(&settings), &clock::system())
        };
        let restored = restored.map_err(|error| match error.code {
            IN_USE => in_use(&settings.database, "stop it first, because it would go on working on the replaced file"),
            _ => error.into(),
        })?;
        let shown = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let json = json!({
            "success": true, "aside": shown(&restored.aside.database), "logAside": shown(&restored.aside.log),
            "oldHeads": restored.old_heads, "newHeads": restored.new_heads, "tokensEnded": restored.tokens_ended,
            "signedAfter": restored.signed_after.to_string(), "keyFile": restored.key_file.path.display().to_string(),
        });
        let done = "The backup was restored all the same: do not restore it again. `orgkeys audit export` shows what was done (server.restore)";
        context.output.print_done(&json, || self.report(&settings.database, &restored), done)
    }

    fn report(&self, database: &Path, restored: &Restored) -> String {
        let mut lines = vec![format!("Restored {} from {}.", database.display(), self.file.display())];
        if let Some(aside) = &restored.aside.database {
            let aside = aside.display();
            lines.push(format!("The replaced database is at {aside}. Compare the two databases: everything that was created, deleted or revoked since the backup is undone."));
        }
        if let Some(log) = &restored.aside.log {
            let log = log.display();
            lines.push(format!("There was no database, but its latest changes were left behind in its log. It is kept at {log}: if the database is found, they belong together."));
        }
        lines.push(if self.keep_tokens {
            "The access tokens in the backup are valid again, including any revoked since: review them with `orgkeys token list`.".to_owned()
        } else {
            let ended = restored.tokens_ended;
            format!("{ended} access token(s) were revoked: create a new one with `orgkeys token create --user EMAIL`.")
        });
        let after = restored.signed_after;
        let signed = if restored.used_known {
            format!("Signed calls with a timestamp before {after} are refused: nodes must sign new ones.")
        } else {
            format!(
                "No database that continues this backup was replaced, so used signatures are unknown: all signed calls are refused until {after}, and nodes must sign again after that."
            )
        };
        lines.push(format!("Review the organization keys, API keys, users and nodes: those that were deleted since the backup exist again. {signed}"));
        lines.push(about_key_file(&restored.key_file));
        lines.join("\n")
    }
}

/// Says what became of the key file, which was not in the backup.
fn about_key_file(found: &KeyFileStatus) -> String {
    let about = match &found.problem {
        None if found.sealed.is_nothing() => "it is in its place".to_owned(),
        None => format!("it is in its place, and decrypts {}", found.sealed),
        Some(Problem::Missing) if found.sealed.is_nothing() => {
            "nothing is encrypted with it, and the next start creates one".to_owned()
        }
        Some(problem) => problem.to_string(),
    };
    format!("Not in a backup: the key file {}: {about}.", found.path.display())
}

/// Where the key file is.
fn key_file(settings: &Settings) -> Result<PathBuf, CommandError> {
    match &settings.key_file {
        Some(path) => Ok(path.clone()),
        None => Ok(store::key_file::beside(&store::files::real(&settings.database)?)),
    }
}

fn parse_sha256(text: &str) -> Result<String, String> {
    let is_hex = text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    if is_hex { Ok(text.to_owned()) } else { Err("it must be 64 hexadecimal digits".to_owned()) }
}
