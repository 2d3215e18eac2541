//! `orgkeys audit`: verifies and exports the audit log, while the server is running or stopped.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, stdout};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use super::{CommandContext, CommandError};
use crate::actions::audit;
use crate::domain::event::Head;

#[derive(Subcommand)]
pub enum AuditCommand {
    /// Verify every hash chain and report the first broken entry
    #[command(after_help = "Example:\n  orgkeys audit verify --head heads")]
    Verify {
        /// Verify this export instead of a database
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// Earlier output of `audit head`, to detect a truncated or rewritten log
        #[arg(long, value_name = "FILE")]
        head: Option<PathBuf>,
    },
    /// Print the last entry of each chain (organization, number, hash), to store on another machine
    #[command(after_help = "Example:\n  orgkeys audit head > heads")]
    Head,
    /// Print every entry, one JSON object per line
    #[command(after_help = "Example:\n  orgkeys audit export > log.jsonl")]
    Export,
}

impl AuditCommand {
    pub fn run(self, context: &CommandContext) -> Result<(), CommandError> {
        match self {
            Self::Verify { file, head } => {
                let heads = head.as_deref().map(read_heads).transpose()?.unwrap_or_default();
                let verified = match file {
                    Some(file) => {
                        let opened = File::open(&file).map_err(|error| format!("{}: {error}", file.display()))?;
                        audit::verify_file(BufReader::new(opened), &heads)?
                    }
                    None => audit::verify(&context.settings()?.database, &heads)?,
                };
                let mut json = json!({ "success": true, "entries": verified.entries, "chains": verified.chains });
                if !verified.removed.is_empty() {
                    json["removedByRetention"] = json!(verified.removed);
                }
                context.print(&json, || {
                    let removed = verified.removed.iter().map(|head| {
                        format!("Not compared: {head}, because retention removed it, as the chain itself records")
                    });
                    std::iter::once(verified.to_string()).chain(removed).collect::<Vec<_>>().join("\n")
                });
            }
            Self::Head => {
                for head in audit::heads(&context.settings()?.database)? {
                    context.print(&json!(head), || head.to_string());
                }
            }
            Self::Export => {
                audit::export(&context.settings()?.database, BufWriter::new(stdout().lock()))?;
            }
        }
        Ok(())
    }
}

/// Reads the output of `audit head`, with or without `--json`.
fn read_heads(path: &Path) -> Result<Vec<Head>, CommandError> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let heads: Option<Vec<Head>> = text.lines().filter(|line| !line.trim().is_empty()).map(read_head).collect();
    Ok(heads.ok_or_else(|| format!("{} is not output of `orgkeys audit head`", path.display()))?)
}

fn read_head(line: &str) -> Option<Head> {
    if line.starts_with('{') {
        return serde_json::from_str(line).ok();
    }
    let mut words = line.split_whitespace();
    let head = Head { org: words.next()?.to_owned(), seq: words.next()?.parse().ok()?, hash: words.next()?.to_owned() };
    words.next().is_none().then_some(head)
}
