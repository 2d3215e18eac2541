//! `orgkeys backup` and `orgkeys restore`: copies that are whole, and the way back.

use std::path::PathBuf;

use serde_json::json;

use super::{Context, Database, Failure};
use crate::actions::backup;
use crate::server::{clock, store_options};

#[derive(clap::Args)]
pub struct Backup {
    #[command(flatten)]
    database: Database,
    /// The file to make; an older backup is replaced
    file: PathBuf,
}

#[derive(clap::Args)]
pub struct Restore {
    #[command(flatten)]
    database: Database,
    /// The backup
    file: PathBuf,
    /// Let the access tokens of the backup go on; without it all are ended
    #[arg(long)]
    keep_tokens: bool,
}

impl Backup {
    pub fn run(self, context: &Context) -> Result<(), Failure> {
        let settings = context.settings(&self.database)?;
        let (made, unnoted) = backup::make(&settings.database, &self.file, &clock::system())?;
        if let Some(error) = unnoted {
            let database = settings.database.display();
            eprintln!(
                "orgkeys: warning: the backup is whole, but it could not be noted beside {database} ({error}): \
                 neither the server's metric nor its audit log will know of it"
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
    pub fn run(self, context: &Context) -> Result<(), Failure> {
        let settings = context.settings(&self.database)?;
        let restored = backup::restore(&self.file, &store_options(&settings), &clock::system(), self.keep_tokens)?;
        let aside = restored.aside.as_ref().map(|path| path.display().to_string());
        let json = json!({
            "success": true, "aside": aside, "oldHeads": restored.old_heads, "newHeads": restored.new_heads,
            "tokensEnded": restored.tokens_ended, "signedAfter": restored.signed_after.to_string(),
        });
        context.print(&json, || {
            let database = settings.database.display();
            let aside = aside.map_or_else(String::new, |aside| {
                format!("\nThe database that it replaced lies at {aside}. Compare the two: what was made, deleted or revoked since the backup is undone.")
            });
            let tokens = if self.keep_tokens {
                "The access tokens of the backup go on, those revoked since it was made too: `orgkeys token list` shows them.".to_owned()
            } else {
                format!("{} access token(s) were ended: make one with `orgkeys token create --user EMAIL`.", restored.tokens_ended)
            };
            let after = restored.signed_after;
            let signed = if restored.used_known {
                format!("Messages that state a time before {after} are refused: nodes must sign new ones.")
            } else {
                format!("Without the old database nobody knows which signatures were used, so until {after} none is taken: nodes must sign anew then.")
            };
            format!(
                "{database} is what {} holds.{aside}\n{tokens}\nReview keys, API keys, people and nodes: what was deleted since the backup is back. {signed}",
                self.file.display()
            )
        });
        Ok(())
    }
}
