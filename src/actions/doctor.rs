//! Checks a database, while the server is running or stopped: its file, disk, clock, audit log, backups, nodes, keys,
//! access tokens and webhooks.

mod clock;
mod files;
mod keys;
mod nodes;
mod tokens;
mod webhooks;

pub use files::readable;

use std::path::Path;
use std::time::Duration;

use super::audit;
use crate::domain::time::Time;
use crate::engine::error::Error;
use crate::store::backup::{self, Checked, Snapshot};
use crate::store::{self, StoreError, migrate};

/// A last backup older than this needs attention.
const BACKUP_EVERY: Duration = Duration::from_hours(7 * 24);

/// A larger write-ahead log needs attention: the writer keeps it far smaller, unless a long-running reader prevents it.
const WAL_TOO_LARGE: u64 = 64 << 20;

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// The name of the check, one word.
    pub check: &'static str,
    /// Whether the check passed.
    pub ok: bool,
    /// What was found, in a sentence.
    pub message: String,
    /// What to do about it; `None` if the check passed.
    pub remedy: Option<String>,
}

impl Finding {
    /// A check that passed.
    pub fn well(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, ok: true, message: message.into(), remedy: None }
    }

    /// A check that needs attention, and what to do about it.
    pub fn act(check: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, ok: false, message: message.into(), remedy: Some(remedy.into()) }
    }
}

/// What to check, and how thoroughly.
#[derive(Clone, Debug)]
pub struct Patient<'a> {
    /// The database file.
    pub database: &'a Path,
    /// Bytes of disk space reserved for revocations.
    pub reserve: u64,
    /// The maximum size of the database, in bytes; 0 = limited only by the disk.
    pub most: u64,
    /// The maximum number of nodes per organization.
    pub nodes: u32,
    /// The key file; `None` means the default path next to the database.
    pub key_file: Option<&'a Path>,
    /// Whether to skip comparing indexes with their tables.
    pub quick: bool,
}

/// Runs every check. An error means that the checks could not run.
pub fn examine(patient: &Patient<'_>, now: Time) -> Result<Vec<Finding>, Error> {
    let database = &store::files::real(patient.database)?;
    if let Err(error) = std::fs::File::open(database) {
        let path = database.display();
        return Err(StoreError::Unusable(format!(
            "{path} cannot be read ({error}): name the database with --database, and run this command as its owner"
        ))
        .into());
    }
    // Whoever closes the database last truncates its write-ahead log, so its size is measured before anything is
    // opened.
    let mut found = vec![files::disk(patient, database), files::wal(database)];
    let key_file = patient.key_file.map_or_else(|| store::key_file::beside(database), Path::to_owned);
    found.extend(files::modes(database, &key_file));
    found.push(backups(database, now));
    let snapshot = match file(database) {
        Ok((snapshot, well)) => {
            found.push(well);
            snapshot
        }
        Err(finding) => {
            found.push(finding);
            return Ok(found);
        }
    };
    found.push(clock::clock(&snapshot, now));
    found.push(integrity(&snapshot, patient.quick));
    found.push(chains(database));
    found.push(nodes::limit(&snapshot, patient.nodes));
    found.push(keys::retiring(&snapshot, now));
    found.push(tokens::expiring(&snapshot, now));
    found.push(webhooks::key_file(&snapshot, key_file));
    found.extend(webhooks::unhealthy(&snapshot, now));
    Ok(found)
}

/// Opens the file if it is an orgkeys database with the schema version of this program.
fn file(database: &Path) -> Result<(Snapshot, Finding), Finding> {
    let opened = Snapshot::open(database).and_then(|snapshot| Ok((snapshot.version()?, snapshot)));
    match opened {
        Ok((migrate::VERSION, snapshot)) => {
            Ok((snapshot, Finding::well("file", format!("The schema is up to date: version {}", migrate::VERSION))))
        }
        Ok((older, _)) => Err(Finding::act(
            "file",
            format!("The schema has version {older}; this program uses version {}", migrate::VERSION),
            "Make a backup, then start this version of the server: it upgrades the database and saves the old file next to it",
        )),
        Err(error @ StoreError::Foreign { .. }) => Err(Finding::act(
            "file",
            error.to_string(),
            "Name the right file with --database or the setting `database`; this file was not changed",
        )),
        Err(error @ StoreError::Busy) => {
            Err(Finding::act("file", error.to_string(), "Run this command again in a moment"))
        }
        Err(error) => {
            Err(Finding::act("file", error.to_string(), "Copy the file to a safe place, then follow the message above"))
        }
    }
}

fn integrity(snapshot: &Snapshot, quick: bool) -> Finding {
    let checked = if quick { snapshot.quick_integrity() } else { snapshot.integrity() };
    match checked {
        Ok(Ok(Checked { constraints: false })) => Finding::well(
            "integrity",
            "SQLite finds no damaged page; constraints were not checked, because the file is read-only",
        ),
        Ok(Ok(_)) if quick => Finding::well("integrity", "SQLite finds no damaged page; indexes were not compared"),
        Ok(Ok(_)) => Finding::well("integrity", "SQLite finds no damaged page, index or constraint"),
        Ok(Err(what)) => Finding::act(
            "integrity",
            format!("The database is damaged: {what}"),
            "Stop the server, copy the file to a safe place, restore the last backup with `orgkeys restore FILE`, and test the disk",
        ),
        Err(error) => unreadable("integrity", &error.into()),
    }
}

fn chains(database: &Path) -> Finding {
    match audit::verify(database, &[]) {
        Ok(verified) => Finding::well("audit", verified.to_string()),
        Err(error) => Finding::act(
            "audit",
            error.message,
            "The file was changed by something other than the server: copy it to a safe place, find out who could write to \
            it, and restore the last backup whose audit log is intact",
        ),
    }
}

fn backups(database: &Path, now: Time) -> Finding {
    let remedy = "Run `orgkeys backup FILE` now, and daily from a timer; store the files on another machine";
    let made = match backup::last(database) {
        Ok(made) => made.and_then(|made| Time::parse_rfc3339(&made.at)),
        Err(error) => return unreadable("backup", &error.into()),
    };
    match made {
        None => Finding::act("backup", "This database has never been backed up", remedy),
        Some(at) if at.plus(BACKUP_EVERY) <= now => {
            Finding::act("backup", format!("The last backup is more than 7 days old: it was made at {at}"), remedy)
        }
        Some(at) => Finding::well("backup", format!("The last backup was made at {at}")),
    }
}

fn unreadable(check: &'static str, error: &Error) -> Finding {
    let why = error.cause.as_ref().unwrap_or(&error.message);
    let remedy = "Run this command as the owner of the database; if that does not help, check the disk (dmesg)";
    Finding::act(check, format!("The database could not be read: {why}"), remedy)
}
