//! Is a database well? Looked at beside a running server too: its file, its disk, its clock, its log and its backups.

mod clock;
mod files;
mod nodes;
mod webhooks;

pub use files::readable;

use std::path::Path;
use std::time::Duration;

use super::audit;
use crate::domain::time::Time;
use crate::engine::error::Error;
use crate::store::backup::{self, Checked, Snapshot};
use crate::store::{self, StoreError, migrate};

/// Without a backup for so long somebody must act.
const BACKUP_EVERY: Duration = Duration::from_hours(7 * 24);

/// The writer keeps its log far shorter than this, unless somebody reads for long.
const WAL_TOO_LARGE: u64 = 64 << 20;

/// What was found of one thing.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// What was looked at, in a word.
    pub check: &'static str,
    /// Whether it is well.
    pub ok: bool,
    /// What was found, in a sentence.
    pub message: String,
    /// What to do about it, if something must be done.
    pub remedy: Option<String>,
}

impl Finding {
    /// It is well.
    pub fn well(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, ok: true, message: message.into(), remedy: None }
    }

    /// Something must be done.
    pub fn act(check: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, ok: false, message: message.into(), remedy: Some(remedy.into()) }
    }
}

/// What is looked at, and how closely.
#[derive(Clone, Debug)]
pub struct Patient<'a> {
    /// The database file.
    pub database: &'a Path,
    /// Bytes of the disk that are kept for what revokes.
    pub reserve: u64,
    /// Bytes that the file may have; 0 = as many as the disk holds.
    pub most: u64,
    /// Nodes that an organization may have.
    pub nodes: u32,
    /// The key file; beside the database unless set.
    pub key_file: Option<&'a Path>,
    /// Whether indexes are not compared with their tables.
    pub quick: bool,
}

/// Looks at a database; an error means that nobody could look.
pub fn examine(patient: &Patient<'_>, now: Time) -> Result<Vec<Finding>, Error> {
    let database = &store::files::real(patient.database)?;
    if let Err(error) = std::fs::File::open(database) {
        let path = database.display();
        return Err(StoreError::Unusable(format!(
            "{path} cannot be read ({error}): name the database with --database, and run this as the user whose it is"
        ))
        .into());
    }
    // Whoever reads the database last tidies its log up, so its size is looked at first.
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
    found.push(webhooks::key_file(&snapshot, key_file));
    found.extend(webhooks::unhealthy(&snapshot, now));
    Ok(found)
}

/// The file, if it is one of ours that this program reads.
fn file(database: &Path) -> Result<(Snapshot, Finding), Finding> {
    let opened = Snapshot::open(database).and_then(|snapshot| Ok((snapshot.version()?, snapshot)));
    match opened {
        Ok((migrate::VERSION, snapshot)) => {
            Ok((snapshot, Finding::well("file", format!("The schema is current: version {}", migrate::VERSION))))
        }
        Ok((older, _)) => Err(Finding::act(
            "file",
            format!("The schema is version {older}, this program's is {}", migrate::VERSION),
            "Make a backup, then start this version of the server: it upgrades the file and keeps the old one aside",
        )),
        Err(error @ StoreError::Foreign { .. }) => Err(Finding::act(
            "file",
            error.to_string(),
            "Name the right file with --database or in the setting database; this one was not touched",
        )),
        Err(error @ StoreError::Busy) => Err(Finding::act("file", error.to_string(), "Run this again in a moment")),
        Err(error) => {
            Err(Finding::act("file", error.to_string(), "Keep the file aside, then do what the sentence says"))
        }
    }
}

fn integrity(snapshot: &Snapshot, quick: bool) -> Finding {
    let checked = if quick { snapshot.quick_integrity() } else { snapshot.integrity() };
    match checked {
        Ok(Ok(Checked { constraints: false })) => Finding::well(
            "integrity",
            "SQLite finds every page in order; constraints were not checked, since the file is read-only",
        ),
        Ok(Ok(_)) if quick => Finding::well("integrity", "SQLite finds every page in order; indexes were not compared"),
        Ok(Ok(_)) => Finding::well("integrity", "SQLite finds every page, index and constraint in order"),
        Ok(Err(what)) => Finding::act(
            "integrity",
            format!("The database is damaged: {what}"),
            "Stop the server, keep the file aside, restore the last backup with `orgkeys restore FILE`, and test the disk",
        ),
        Err(error) => unreadable("integrity", &error.into()),
    }
}

fn chains(database: &Path) -> Finding {
    match audit::verify(database, &[]) {
        Ok(whole) => {
            let (entries, chains) = (whole.entries, whole.chains);
            Finding::well("audit", format!("The audit log is whole: {entries} entries in {chains} chains"))
        }
        Err(error) => Finding::act(
            "audit",
            error.message,
            "Somebody or something changed the file past the server: keep it aside, find out who could write it, and \
             restore the last backup that verifies",
        ),
    }
}

fn backups(database: &Path, now: Time) -> Finding {
    let remedy = "Run `orgkeys backup FILE` now, and every day by a timer; keep the files on another machine";
    let made = match backup::last(database) {
        Ok(made) => made.and_then(|made| Time::parse_rfc3339(&made.at)),
        Err(error) => return unreadable("backup", &error.into()),
    };
    match made {
        None => Finding::act("backup", "No backup was made of this database", remedy),
        Some(at) if at.plus(BACKUP_EVERY) <= now => {
            Finding::act("backup", format!("The last backup is older than 7 days: it was made at {at}"), remedy)
        }
        Some(at) => Finding::well("backup", format!("The last backup was made at {at}")),
    }
}

fn unreadable(check: &'static str, error: &Error) -> Finding {
    let why = error.cause.as_ref().unwrap_or(&error.message);
    let remedy = "Run this as the user whose database it is; if that does not help, look at the disk (dmesg)";
    Finding::act(check, format!("It could not be read: {why}"), remedy)
}
