//! Standard output. Everything that a command prints goes through here, so that a result that could not be written is a
//! failure with a sentence, and never a panic or a success.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write, stdout};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde_json::Value;

use super::CommandError;
use crate::client::output::not_written;
use crate::store::files;
use crate::store::header::check_header;

/// The forms in which a command prints its results.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Whether to print JSON instead of text.
    pub json: bool,
}

impl Output {
    /// Prints one result.
    pub fn print(self, json: &Value, line: impl FnOnce() -> String) -> Result<(), CommandError> {
        say(&if self.json { json.to_string() } else { line() })
    }

    /// Prints the result of a change that was made already. `undo` says what was done, and how to undo or repeat it, for
    /// somebody who cannot see the result.
    pub fn print_done(self, json: &Value, line: impl FnOnce() -> String, undo: &str) -> Result<(), CommandError> {
        self.print(json, line).map_err(|error| error.and(undo))
    }
}

/// Prints a line.
pub fn say(line: &str) -> Result<(), CommandError> {
    let mut out = stdout().lock();
    written(writeln!(out, "{line}").and_then(|()| out.flush()))
}

/// Says why standard output could not be written.
pub fn written(result: io::Result<()>) -> Result<(), CommandError> {
    result.map_err(|error| CommandError::new(not_written(&error)))
}

/// Refuses to print into a database, or into a file that orgkeys or SQLite keeps beside one. A shell that was told to
/// replace the file has emptied it already; one that was told to append has not.
pub fn refuse_own_files() -> Result<(), CommandError> {
    let Ok(path) = fs::read_link("/proc/self/fd/1") else { return Ok(()) };
    if !path.is_absolute() || !path.is_file() {
        return Ok(());
    }
    let is_beside = files::reserved_suffix(&path).is_some_and(|suffix| {
        let path = path.as_os_str().as_bytes();
        Path::new(OsStr::from_bytes(&path[..path.len() - suffix.len()])).is_file()
    });
    if is_beside || check_header(&path).is_ok() {
        let problem = format!("standard output is {}, a file of a database: print to another file", path.display());
        return Err(CommandError { problem, code: CommandError::USAGE });
    }
    Ok(())
}
