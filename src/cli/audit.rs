//! `orgkeys audit`: verifies and exports the audit log, while the server is running or stopped.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, IsTerminal, Read, Write, stdout};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use super::output::say;
use super::{CommandContext, CommandError, interrupt, progress};
use crate::actions::audit;
use crate::client::text::one_line;
use crate::domain::event::Head;
use crate::store::files;
use crate::store::progress::report;
use crate::store::unfinished::Unfinished;

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
    #[command(after_help = "Examples:\n  orgkeys audit export > log.jsonl\n  orgkeys audit export --out log.jsonl")]
    Export {
        /// Write to this new file instead, which gets its name only when it is complete
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// The exit code of `audit verify` when the log is broken.
const BROKEN: u8 = 1;

/// The exit code of `audit verify` when it could not look, or could not say what it found.
const BLIND: u8 = 2;

impl AuditCommand {
    pub fn run(self, context: &CommandContext) -> Result<(), CommandError> {
        match self {
            Self::Verify { file, head } => verify(context, file.as_deref(), head.as_deref()),
            Self::Head => {
                for head in audit::heads(&context.settings()?.database)? {
                    context.output.print(&json!(head), || head.to_string())?;
                }
                Ok(())
            }
            Self::Export { out } => {
                interrupt::clean_up()?;
                let database = context.settings()?.database;
                match out {
                    Some(file) => export_to(&database, &file),
                    // A line about the progress would stand between the entries.
                    None if stdout().is_terminal() => print_export(&database, stdout().lock()),
                    None => {
                        let _line = progress::show();
                        print_export(&database, BufWriter::new(stdout().lock()))
                    }
                }
            }
        }
    }
}

fn print_export(database: &Path, out: impl Write) -> Result<(), CommandError> {
    audit::export(database, out)?;
    Ok(())
}

/// Exports the log to a file that does not exist yet.
fn export_to(database: &Path, file: &Path) -> Result<(), CommandError> {
    files::refuse_reserved(file)?;
    if files::exists(file)? {
        return Err(CommandError::new(format!("{} exists already: name another file", file.display())));
    }
    let (draft, target) = Unfinished::create_for(file)?;
    let count = {
        let _line = progress::show();
        audit::export(database, BufWriter::new(&target))?
    };
    files::fit_in(&target, file)?;
    draft.finish(|draft| files::rename(draft, file))?;
    let done = format!("The export is complete all the same: {}", file.display());
    say(&format!("{} has {count} entries", file.display())).map_err(|error| error.and(&done))
}

/// Verifies an export or the database, and prints the result.
fn verify(context: &CommandContext, file: Option<&Path>, head: Option<&Path>) -> Result<(), CommandError> {
    let blind = |error| CommandError { code: BLIND, ..error };
    interrupt::clean_up().map_err(blind)?;
    let line = progress::show();
    let heads = head.map(read_heads).transpose().map_err(blind)?.unwrap_or_default();
    let verified = match file {
        Some(file) => {
            let opened = File::open(file).map_err(|error| blind(format!("{}: {error}", file.display()).into()))?;
            audit::verify_file(BufReader::new(Watched::new(opened)), &heads)
        }
        None => audit::verify(&context.settings().map_err(|error| blind(error.into()))?.database, &heads),
    };
    drop(line);
    let verified = verified.map_err(|error| {
        let code = if error.code == audit::BROKEN { BROKEN } else { BLIND };
        CommandError { code, ..error.into() }
    })?;
    let mut json = json!({ "success": true, "entries": verified.entries, "chains": verified.chains });
    if !verified.removed.is_empty() {
        json["removedByRetention"] = json!(verified.removed);
    }
    let text = || {
        let removed = verified.removed.iter();
        let removed = removed
            .map(|head| format!("Not compared: {head}, because retention removed it, as the chain itself records"))
            .map(|line| one_line(&line));
        std::iter::once(verified.to_string()).chain(removed).collect::<Vec<_>>().join("\n")
    };
    context.output.print(&json, text).map_err(blind)
}

/// A file that reports how far it was read.
struct Watched {
    file: File,
    read: u64,
    length: u64,
}

impl Watched {
    fn new(file: File) -> Self {
        let length = file.metadata().map_or(0, |meta| meta.len());
        Self { file, read: 0, length }
    }
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        self.read += length as u64;
        report("Verifying the export", self.read, self.length);
        Ok(length)
    }
}

/// Reads the output of `audit head`, with or without `--json`. A file without a head would compare nothing.
fn read_heads(path: &Path) -> Result<Vec<Head>, CommandError> {
    let text = files::read_text(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let heads: Option<Vec<Head>> = text.lines().filter(|line| !line.trim().is_empty()).map(Head::parse).collect();
    match heads {
        Some(heads) if heads.is_empty() => Err(format!(
            "{} contains no head, so there is nothing to compare the log with: name a file with output of `orgkeys audit head`",
            path.display()
        )
        .into()),
        Some(heads) => Ok(heads),
        None => Err(format!("{} is not output of `orgkeys audit head`", path.display()).into()),
    }
}
