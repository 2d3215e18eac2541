//! Backups. A backup is a copy of one snapshot, and gets its name only when it is complete.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rusqlite::backup::{Backup, Progress, StepResult};
use rusqlite::{Connection, OpenFlags, Row};
use sha2::{Digest, Sha256};

use super::lock::Lock;
use super::unfinished::{self, Unfinished};
use super::view::View;
use super::{ReadTx, StoreError, audit, connection, files, header, identity, progress, whole};
use crate::crypto::chain::hex;
use crate::domain::event::Head;
use crate::domain::time::Time;

/// The pages that are copied at once: 8 MiB.
const PAGES: i32 = 2_048;

/// A database opened for reading, beside a running server or without one.
pub struct Snapshot {
    view: View,
}

/// What a backup contains, for safekeeping elsewhere.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Made {
    /// When it was made, as RFC 3339.
    pub at: String,
    /// The schema version.
    pub schema_version: i32,
    /// The last entry of each chain.
    pub heads: Vec<Head>,
    /// The SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

impl Snapshot {
    /// Opens the database at `path` for reading; a server may be running.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { view: View::open(&files::real(path)?)? })
    }

    /// Opens the database for the holder of its lock.
    pub fn locked(path: &Path, lock: &Lock) -> Result<Self, StoreError> {
        Ok(Self { view: View::locked(&files::real(path)?, lock)? })
    }

    /// Returns the schema version.
    pub fn version(&self) -> Result<i32, StoreError> {
        self.view.version()
    }

    /// Runs `work` on one snapshot.
    pub fn read<T, E: From<StoreError>>(&self, work: impl FnOnce(&ReadTx<'_>) -> Result<T, E>) -> Result<T, E> {
        let tx = self.view.unchecked_transaction().map_err(StoreError::from)?;
        work(&ReadTx { conn: &tx })
    }

    /// Runs SQLite's full integrity check; the inner error is the first problem it finds.
    pub fn integrity(&self) -> Result<Result<Checked, String>, StoreError> {
        self.ask("integrity_check(1)")
    }

    /// Runs the integrity check without comparing indexes with their tables, which takes most of the time.
    pub fn quick_integrity(&self) -> Result<Result<Checked, String>, StoreError> {
        self.ask("quick_check(1)")
    }

    fn ask(&self, check: &str) -> Result<Result<Checked, String>, StoreError> {
        progress::report("Checking every page", 0, 0);
        let (verdict, constraints) = self.view.check(check)?;
        if verdict != "ok" {
            return Ok(Err(verdict));
        }
        Ok(self.read(whole::misfit)?.map_or(Ok(Checked { constraints }), Err))
    }
}

/// A database in which no problem was found.
#[derive(Clone, Copy, Debug)]
pub struct Checked {
    /// Whether CHECK constraints were checked too; SQLite cannot check them in a read-only file.
    pub constraints: bool,
}

/// Copies `database` to `file` and writes `<database>.last-backup`, a marker that describes the backup. The second
/// result is that of the marker: a completed copy is a backup even if the server is not told of it.
pub fn make(database: &Path, file: &Path, now: Time) -> Result<(Made, Result<(), StoreError>), StoreError> {
    let database = &files::real(database)?;
    let draft = files::beside(file, files::DRAFT);
    refuse_target(database, file, &draft)?;
    let source = View::open(database)?;
    // Two concurrent backups would rename each other's incomplete drafts.
    let lock = Lock::take_unless_read_only(&files::beside(database, ".backup.lock"), || {
        format!("another backup of {} is in progress: wait until it has finished", database.display())
    })?;
    let made = write(&source, file, lock.as_ref(), now, &|_| Ok(()), |_| Ok(()))?;
    let marker = files::beside(database, files::MARKER);
    let marker_draft = files::beside(&marker, ".new");
    let noted = note(&made, &marker, &marker_draft).and_then(|()| files::rename(&marker_draft, &marker));
    if noted.is_err() {
        // A leftover draft would only take up space on a full disk; failing to remove it is no reason to fail.
        let _ = fs::remove_file(&marker_draft);
    }
    Ok((made, noted))
}

/// Copies `database`, which this process serves, to `file`. `go_on` is called before each piece of the copy with the
/// number of bytes that are left to write, and `check` with the completed copy. If either fails, nothing is left behind.
///
/// Only SQLite opens the database here: closing any other descriptor of it would release SQLite's locks.
pub fn make_beside_writer(
    database: &Path,
    file: &Path,
    now: Time,
    go_on: &dyn Fn(u64) -> Result<(), StoreError>,
    check: impl FnOnce(&Path) -> Result<(), StoreError>,
) -> Result<Made, StoreError> {
    refuse_target(database, file, &files::beside(file, files::DRAFT))?;
    let folder = files::folder(file);
    let lock = Lock::take_unless_read_only(&folder.join("orgkeys.lock"), || {
        format!("another server is writing a backup to {}: give each server a directory of its own", folder.display())
    })?;
    write(&connection::reading(database)?, file, lock.as_ref(), now, go_on, check)
}

/// Writes a backup under a temporary name, and gives it its own name when it is complete and checked.
fn write(
    source: &Connection,
    file: &Path,
    lock: Option<&Lock>,
    now: Time,
    go_on: &dyn Fn(u64) -> Result<(), StoreError>,
    check: impl FnOnce(&Path) -> Result<(), StoreError>,
) -> Result<Made, StoreError> {
    if let Some(lock) = lock {
        remove_leftover(lock, &files::beside(file, files::DRAFT))?;
    }
    let (draft, target) = Unfinished::create_for(file)?;
    let made = copy(source, draft.path(), now, go_on)?;
    check(draft.path())?;
    files::fit_in(&target, file)?;
    draft.finish(|draft| files::rename(draft, file))?;
    if let Some(lock) = lock {
        // A note that stays does no harm: the file that it names is not there any more.
        let _ = lock.note(b"");
    }
    Ok(made)
}

/// Removes the draft of a backup that was killed, wherever it was to be made: the lock's file names it. Then writes the
/// name of this backup's draft there.
fn remove_leftover(lock: &Lock, draft: &Path) -> Result<(), StoreError> {
    let noted = lock.noted()?;
    let leftover = Path::new(OsStr::from_bytes(&noted));
    let is_draft = leftover.as_os_str().as_bytes().ends_with(files::DRAFT.as_bytes());
    if is_draft && fs::symlink_metadata(leftover).is_ok_and(|meta| meta.is_file()) {
        unfinished::discard(leftover)?;
    }
    // On a full disk, a backup elsewhere is needed most: the note may be missing.
    let _ = lock.note(files::real(draft)?.as_os_str().as_bytes());
    Ok(())
}

fn note(made: &Made, marker: &Path, draft: &Path) -> Result<(), StoreError> {
    let mut file = files::create_private(draft)?;
    file.write_all(&serde_json::to_vec(made).map_err(std::io::Error::from)?)?;
    files::fit_in(&file, marker)
}

/// Returns what the marker of the last backup of `database`, given by its real name, says, if there is one.
pub fn last(database: &Path) -> Result<Option<Made>, StoreError> {
    match fs::read(files::beside(database, files::MARKER)) {
        Ok(marker) => Ok(serde_json::from_slice(&marker).ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Copies everything from one snapshot. The transaction holds it: without one, a copy in several steps would begin again
/// with each write in between.
fn copy(
    source: &Connection,
    draft: &Path,
    now: Time,
    go_on: &dyn Fn(u64) -> Result<(), StoreError>,
) -> Result<Made, StoreError> {
    let snapshot = source.unchecked_transaction()?;
    snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let number = |row: &Row<'_>| row.get::<_, u32>(0).map(u64::from);
    let all_pages = snapshot.query_row("PRAGMA page_count", [], number)?;
    let page_size = snapshot.query_row("PRAGMA page_size", [], number)?;
    go_on(all_pages * page_size)?;
    let mut target = Connection::open_with_flags(draft, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let backup = Backup::new(source, &mut target)?;
    loop {
        match backup.step(PAGES)? {
            StepResult::Done => break,
            StepResult::More => {
                let Progress { remaining, pagecount } = backup.progress();
                let pages = |count: i32| u64::try_from(count).unwrap_or_default();
                progress::report("Copying the database", pages(pagecount - remaining), pages(pagecount));
                go_on(pages(remaining) * page_size)?;
            }
            _ => return Err(StoreError::Busy),
        }
    }
    drop(backup);
    drop(snapshot);
    // Without a write-ahead log of its own, the copy is a single file.
    target.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
    // The write-ahead log of the database must not be replayed into its copy.
    identity::renew(&target)?;
    let schema_version = target.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let heads = audit::heads(&ReadTx { conn: &target })?;
    target.close().map_err(|(_, error)| error)?;
    Ok(Made { at: now.to_string(), schema_version, heads, sha256: sha256(draft)? })
}

/// Refuses a target unless it is absent or an older backup.
fn refuse_target(database: &Path, file: &Path, draft: &Path) -> Result<(), StoreError> {
    for target in [file, draft] {
        if files::exists(target)? && fs::canonicalize(target)? == fs::canonicalize(database)? {
            return Err(StoreError::Unusable(format!(
                "{} is the database itself: name another file than {}",
                target.display(),
                file.display()
            )));
        }
    }
    files::refuse_reserved(file)?;
    if !files::exists(file)? {
        return Ok(());
    }
    for suffix in [".lock", "-wal", "-journal"] {
        if files::exists(&files::beside(file, suffix))? {
            return Err(StoreError::Unusable(format!("{} is a database in use: name another file", file.display())));
        }
    }
    let is_file = fs::metadata(file).is_ok_and(|meta| meta.is_file());
    let checked = if is_file { header::check_header(file) } else { Err(StoreError::Busy) };
    checked.map_err(|_| {
        StoreError::Unusable(format!(
            "{} already exists and is not an orgkeys backup: name another file",
            file.display()
        ))
    })
}

pub(super) fn sha256(path: &Path) -> Result<String, StoreError> {
    hash(&mut files::open(path)?, "Computing the checksum", |_| Ok(()))
}

/// Reads a file to its end, passes it on in pieces, and returns its SHA-256.
pub(super) fn hash(
    file: &mut File,
    what: &'static str,
    mut pass: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> Result<String, StoreError> {
    let (mut hasher, mut done, total) = (Sha256::new(), 0, file.metadata()?.len());
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let length = file.read(&mut chunk)?;
        if length == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&chunk[..length]);
        pass(&chunk[..length])?;
        done += length as u64;
        progress::report(what, done, total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{open, view};

    #[test]
    fn a_second_concurrent_backup_is_refused() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let (database, file) = (folder.path().join("orgkeys.db"), folder.path().join("copy.db"));
        open::prepare(&database).expect("made");
        let other = Lock::take_unless_read_only(&files::beside(&database, ".backup.lock"), String::new).expect("free");
        let refusal = make(&database, &file, Time::from_millis(0)).expect_err("refused").to_string();
        assert!(refusal.starts_with("another backup of "), "{refusal}");
        assert!(!file.exists() && !files::beside(&file, ".orgkeys-draft").exists());
        drop(other);
        let (made, noted) = make(&database, &file, Time::from_millis(0)).expect("made");
        noted.expect("noted");
        assert_eq!(last(&database).expect("readable").expect("noted").sha256, made.sha256);
        assert_eq!(sha256(&file).expect("readable"), made.sha256);
    }

    #[test]
    fn a_backup_beside_its_writer_asks_for_all_its_bytes_first_and_is_checked_before_it_has_its_name() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let (database, file) = (folder.path().join("orgkeys.db"), folder.path().join("copy.db"));
        open::prepare(&database).expect("made");
        let _writer = connection::writing(&database).expect("a connection");
        let make = |go_on: &dyn Fn(u64) -> Result<(), StoreError>, is_good: bool| {
            let made = make_beside_writer(&database, &file, Time::from_millis(7), go_on, |draft| {
                assert!(draft.exists() && !file.exists());
                if is_good { Ok(()) } else { Err(StoreError::Busy) }
            });
            (made.map(|made| made.at).ok(), file.exists(), files::beside(&file, files::DRAFT).exists())
        };
        let asked = std::cell::RefCell::new(Vec::new());
        let refuse = |bytes| {
            asked.borrow_mut().push(bytes);
            Err(StoreError::Busy)
        };
        assert_eq!(make(&refuse, true), (None, false, false));
        assert_eq!(asked.take(), [fs::metadata(&database).expect("a file").len()]);
        assert_eq!(make(&|_| Ok(()), false), (None, false, false));
        assert_eq!(make(&|_| Ok(()), true), (Some("1970-01-01T00:00:00.007Z".to_owned()), true, false));
    }

    #[test]
    fn a_backup_never_uses_the_database_as_its_draft() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let database = folder.path().join("orgkeys.orgkeys-draft");
        open::prepare(&database).expect("made");
        for file in ["orgkeys", "orgkeys.orgkeys-draft"] {
            let refusal = make(&database, &folder.path().join(file), Time::from_millis(0)).expect_err("refused");
            assert!(refusal.to_string().contains("is the database itself"), "{refusal}");
        }
        view::check(&database).expect("untouched");
    }
}
