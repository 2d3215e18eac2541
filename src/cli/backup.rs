//! `orgkeys backup` and `orgkeys restore`: consistent copies of the database, and how to restore one.

use std::path::PathBuf;

use serde_json::json;

use super::{CommandContext, CommandError, Database, in_use};
use crate::actions::backup;
use crate::engine::error::IN_USE;
use crate::server::{clock, store_options};

#[derive(clap::Args)]
pub struct Backup {
    #[command(flatten)]
    database: Database,
    /// The backup file to write; an existing backup is replaced
    file: PathBuf,
}

#[derive(clap::Args)]
pub struct Restore {
    #[command(flatten)]
    database: Database,
    /// The backup file
    file: PathBuf,
    /// Keep the access tokens in the backup valid; by default all are revoked
    #[arg(long)]
    keep_tokens: bool,
}

impl Backup {
    pub fn run(self, context: &CommandContext) -> Result<(), CommandError> {
        let settings = context.settings(&self.database)?;
        let (made, unnoted) = backup::make(&settings.database, &self.file, &clock::system())?;
        if let Some(error) = unnoted {
            let database = settings.database.display();
            eprintln!(
                "orgkeys: warning: the backup is complete, but its time could not be written next to {database} ({error}): \
                the server's metric and audit log will not show it"
            );
        }
        context.print(&json!(made), || {
            let (file, heads) = (self.file.display(), made.heads.iter().map(ToString::to_string).collect::<Vec<_>>());
            let (at, version, sha256) = (&made.at, made.schema_version, &made.sha256);
            format!("{file} holds the database as of {at} (schema {version})\nsha256 {sha256}\n{}", heads.join("\n"))
        });
        Ok(())
    }
}

impl Restore {
    pub fn run(self, context: &CommandContext) -> Result<(), CommandError> {
        let settings = context.settings(&self.database)?;
        let restored = backup::restore(&self.file, &store_options(&settings), &clock::system(), self.keep_tokens);
        let restored = restored.map_err(|error| match error.code {
            IN_USE => in_use(&settings.database, "stop it first, because it would go on working on the replaced file"),
            _ => error.into(),
        })?;
        let aside = restored.aside.as_ref().map(|path| path.display().to_string());
        let json = json!({
            "success": true, "aside": aside, "oldHeads": restored.old_heads, "newHeads": restored.new_heads,
            "tokensEnded": restored.tokens_ended, "signedAfter": restored.signed_after.to_string(),
        });
        context.print(&json, || {
            let database = settings.database.display();
            let aside = aside.map_or_else(String::new, |aside| {
                format!("\nThe replaced database is at {aside}. Compare the two databases: everything that was created, deleted or revoked since the backup is undone.")
            });
            let tokens = if self.keep_tokens {
                "The access tokens in the backup are valid again, including any revoked since: review them with `orgkeys token list`.".to_owned()
            } else {
                format!("{} access token(s) were revoked: create a new one with `orgkeys token create --user EMAIL`.", restored.tokens_ended)
            };
            let after = restored.signed_after;
            let signed = if restored.used_known {
                format!("Signed calls with a timestamp before {after} are refused: nodes must sign new ones.")
            } else {
                format!("No database that continues this backup was replaced, so used signatures are unknown: all signed calls are refused until {after}, and nodes must sign again after that.")
            };
            format!(
                "Restored {database} from {}.{aside}\n{tokens}\nReview the organization keys, API keys, users and nodes: those that were deleted since the backup exist again. {signed}",
                self.file.display()
            )
        });
        Ok(())
    }
}
