//! Backup and restore. A backup is copied in one step, and gets its name only when it is complete.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, Row, params};
use sha2::{Digest, Sha256};

use super::lock::Lock;
use super::view::{self, View};
use super::{ReadTx, StoreError, audit, connection, files, header, identity, trim_point, whole};
use crate::crypto::chain::{ChainHash, hex};
use crate::domain::event::Head;
use crate::domain::id::OrgId;
use crate::domain::time::Time;

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

/// Copies `database` to `file` and writes `<database>.backup`, a marker that describes the backup. The second
/// result is that of the marker: a completed copy is a backup even if the server is not told of it.
pub fn make(database: &Path, file: &Path, now: Time) -> Result<(Made, Result<(), StoreError>), StoreError> {
    let database = &files::real(database)?;
    let draft = files::beside(file, ".orgkeys-draft");
    refuse_target(database, file, &draft)?;
    let source = View::open(database)?;
    let marker = files::beside(database, ".backup");
    // Two concurrent backups would rename each other's incomplete drafts.
    let _lock = Lock::take_unless_read_only(&files::beside(&marker, ".lock"), || {
        format!("another backup of {} is in progress: wait until it has finished", database.display())
    })?;
    discard(&draft)?;
    private_file(&draft)?;
    let result = copy(&source, &draft, now).and_then(|made| {
        files::rename(&draft, file)?;
        Ok(made)
    });
    if result.is_err() {
        discard(&draft)?;
    }
    let made = result?;
    let marker_draft = files::beside(&marker, ".new");
    let noted = note(&made, database, &marker_draft).and_then(|()| files::rename(&marker_draft, &marker));
    if noted.is_err() {
        // A leftover draft would only take up space on a full disk; failing to remove it is no reason to fail.
        let _ = fs::remove_file(&marker_draft);
    }
    Ok((made, noted))
}

fn note(made: &Made, database: &Path, marker: &Path) -> Result<(), StoreError> {
    private_file(marker)?.write_all(&serde_json::to_vec(made).map_err(std::io::Error::from)?)?;
    files::give_to_owner_of(database, marker)
}

/// Returns what the marker of the last backup of `database`, given by its real name, says, if there is one.
pub fn last(database: &Path) -> Result<Option<Made>, StoreError> {
    match fs::read(files::beside(database, ".backup")) {
        Ok(marker) => Ok(serde_json::from_slice(&marker).ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Copies everything from one snapshot in one step: a copy in several steps would restart with each write in between.
fn copy(source: &Connection, draft: &Path, now: Time) -> Result<Made, StoreError> {
    let mut target = Connection::open_with_flags(draft, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    if Backup::new(source, &mut target)?.step(-1)? != StepResult::Done {
        return Err(StoreError::Busy);
    }
    // Without a write-ahead log of its own, the copy is a single file.
    target.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
    // The write-ahead log of the database must not be replayed into its copy.
    identity::renew(&target)?;
    let schema_version = target.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let heads = audit::heads(&ReadTx { conn: &target })?;
    target.close().map_err(|(_, error)| error)?;
    Ok(Made { at: now.to_string(), schema_version, heads, sha256: sha256(draft)? })
}

/// Copies a backup beside the database that it will replace, readable by its owner only.
pub fn stage(file: &Path, database: &Path) -> Result<PathBuf, StoreError> {
    // The path may be a link to a live database, whose log lies beside the target.
    let file = &files::real(file)?;
    if !files::exists(file)? {
        return Err(StoreError::Unusable(format!("{} does not exist: name a backup", file.display())));
    }
    View::open(file).map_err(no_backup)?;
    for log in ["-wal", "-journal"].map(|suffix| files::beside(file, suffix)) {
        if fs::metadata(&log).is_ok_and(|meta| meta.len() > 0) {
            return Err(StoreError::Unusable(format!(
                "{} is a database, not a backup: its latest changes are in {}. Create a backup of it with `orgkeys backup`",
                file.display(),
                log.display()
            )));
        }
    }
    let draft = files::beside(database, ".restoring");
    discard(&draft)?;
    let mut from = files::open(file)?;
    let mut to = private_file(&draft)?;
    let copied = std::io::copy(&mut from, &mut to).and_then(|_| to.sync_all());
    if let Err(error) = copied {
        discard(&draft)?;
        return Err(error.into());
    }
    Ok(draft)
}

/// Whether the audit log continues a backup with these heads: each is an entry of its chain, or was removed by retention since.
pub fn continues(tx: &ReadTx<'_>, heads: &[Head]) -> Result<bool, StoreError> {
    let trim_points = trim_point::all(tx)?;
    for head in heads {
        let hash = |row: &Row<'_>| row.get::<_, ChainHash>(0);
        let hash = match OrgId::parse(&head.org) {
            Some(org) => {
                tx.row("SELECT hash FROM audit WHERE org = ?1 AND seq = ?2", params![org.as_bytes(), head.seq], hash)?
            }
            None => tx.row("SELECT hash FROM audit WHERE org IS NULL AND seq = ?1", [head.seq], hash)?,
        };
        let is_trimmed = trim_points.iter().any(|trimmed| trimmed.org == head.org && trimmed.seq >= head.seq);
        if !is_trimmed && hash.is_none_or(|hash| hex(&hash) != head.hash) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Rewrites an error for a file that is meant to be a backup: the remedy is another backup, not a repair.
fn no_backup(error: StoreError) -> StoreError {
    match error {
        StoreError::Damaged { path, how } => {
            StoreError::Unusable(format!("{} is damaged ({how}): use another backup", path.display()))
        }
        StoreError::Foreign { path, id } => StoreError::Unusable(format!(
            "{} is a database of another program (application id {id:#010x}), not a backup: use another file",
            path.display()
        )),
        other => other,
    }
}

/// Removes a staged copy and the files that SQLite created beside it.
pub fn discard(draft: &Path) -> Result<(), StoreError> {
    ["", "-wal", "-shm", "-journal", ".lock"].iter().try_for_each(|suffix| files::remove(&files::beside(draft, suffix)))
}

/// Puts a completed draft in the place of `database`, which is preserved as `<database>.before-<millis>`. The name
/// refers to a whole database at every moment.
pub fn replace(database: &Path, draft: &Path, now: Time) -> Result<Option<PathBuf>, StoreError> {
    let unfinished = files::beside(draft, "-wal");
    if fs::metadata(&unfinished).is_ok_and(|meta| meta.len() > 0) {
        return Err(StoreError::Internal(format!("{} could not be completed; nothing was changed", draft.display())));
    }
    let (wal, shm) = (files::beside(database, "-wal"), files::beside(database, "-shm"));
    let aside = files::beside(database, &format!(".before-{}", now.millis()));
    let replaced = files::exists(database)?.then_some(aside);
    files::give_to_owner_of(if replaced.is_some() { database } else { files::folder(database) }, draft)?;
    if let Some(aside) = &replaced {
        // A damaged database cannot be checkpointed, so its log is preserved with it.
        let checkpointed = view::check(database)
            .and_then(|_| connection::writing(database))
            .and_then(|conn| Ok(conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))?));
        fs::hard_link(database, aside)?;
        if !matches!(checkpointed, Ok(0)) && files::exists(&wal)? {
            fs::hard_link(&wal, files::beside(aside, "-wal"))?;
        }
    }
    files::remove(&wal)?;
    files::remove(&shm)?;
    files::rename(draft, database)?;
    discard(draft)?;
    Ok(replaced)
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
    let target = files::real(file)?;
    if files::BESIDE.iter().any(|suffix| target == files::beside(database, suffix)) {
        return Err(StoreError::Unusable(format!(
            "{} is a name that orgkeys reserves for its own files beside the database: name another file",
            file.display()
        )));
    }
    if !files::exists(file)? {
        return Ok(());
    }
    if files::exists(&files::beside(file, ".lock"))? || files::exists(&files::beside(file, "-wal"))? {
        return Err(StoreError::Unusable(format!("{} is a database in use: name another file", file.display())));
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

fn private_file(path: &Path) -> Result<File, StoreError> {
    files::remove(path)?;
    OpenOptions::new().create_new(true).write(true).mode(0o600).open(path).map_err(|error| match error.into() {
        StoreError::Internal(why) => StoreError::Unusable(format!("cannot create {}: {why}", path.display())),
        full => full,
    })
}

fn sha256(path: &Path) -> Result<String, StoreError> {
    let (mut file, mut hasher) = (files::open(path)?, Sha256::new());
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let length = file.read(&mut chunk)?;
        if length == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&chunk[..length]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::open;

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
