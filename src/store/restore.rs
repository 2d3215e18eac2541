//! Restoring a backup: a copy of it is staged beside the database, and replaces it in one step.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use rusqlite::{Row, params};

use super::backup::{hash, sha256};
use super::unfinished::Unfinished;
use super::view::{self, View};
use super::{ReadTx, StoreError, connection, files, trim_point};
use crate::crypto::chain::{ChainHash, hex};
use crate::domain::event::Head;
use crate::domain::id::OrgId;
use crate::domain::time::Time;

/// Looks at a file that is to replace `database`, without changing anything: whether it is a backup that this program can
/// read. Returns its real name, and its SHA-256.
pub fn look(file: &Path, database: &Path) -> Result<(PathBuf, String), StoreError> {
    // The path may be a link to a live database, whose log lies beside the target.
    let real = files::real(file)?;
    let shown = file.display();
    if real == database {
        return Err(StoreError::Unusable(format!("{shown} is the database itself: name a backup of it")));
    }
    if files::reserved_suffix(&real).is_some() {
        return Err(StoreError::Unusable(format!(
            "{shown} is a name that orgkeys reserves for its own files, such as the unfinished ones of an interrupted command: name a backup"
        )));
    }
    if !files::exists(&real)? {
        return Err(StoreError::Unusable(format!("{shown} does not exist: name a backup")));
    }
    View::open(&real).map_err(no_backup)?;
    for log in ["-wal", "-journal"].map(|suffix| files::beside(&real, suffix)) {
        if fs::metadata(&log).is_ok_and(|meta| meta.len() > 0) {
            return Err(StoreError::Unusable(format!(
                "{shown} is a database, not a backup: its latest changes are in {}. Create a backup of it with `orgkeys backup`",
                log.display()
            )));
        }
    }
    let sha256 = sha256(&real)?;
    Ok((real, sha256))
}

/// Copies a backup, which was looked at and has this SHA-256, beside the database that it will replace.
pub fn stage(file: &Path, sha256: &str, database: &Path) -> Result<Unfinished, StoreError> {
    let draft = Unfinished::begin(files::beside(database, files::RESTORING))?;
    let mut from = files::open(file)?;
    let mut to = files::create_private(draft.path())?;
    let copied = hash(&mut from, "Copying the backup", |chunk| to.write_all(chunk))?;
    to.sync_all()?;
    if copied != sha256 {
        return Err(StoreError::Unusable(format!(
            "{} was changed while it was being restored: find out by whom, and restore it again",
            file.display()
        )));
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

/// What a restore put aside.
#[derive(Debug, Default)]
pub struct Aside {
    /// The replaced database, if there was one.
    pub database: Option<PathBuf>,
    /// A log that was left without its database.
    pub log: Option<PathBuf>,
}

/// Puts a completed draft in the place of `database`, which is preserved as `<database>.before-<millis>`, together with a
/// log that is not part of it yet. The name refers to a whole database at every moment.
pub fn replace(database: &Path, draft: Unfinished, now: Time) -> Result<Aside, StoreError> {
    draft.finish(|draft| {
        let unfinished = files::beside(draft, "-wal");
        if fs::metadata(&unfinished).is_ok_and(|meta| meta.len() > 0) {
            return Err(StoreError::Internal(format!(
                "{} could not be completed; nothing was changed",
                draft.display()
            )));
        }
        let aside = files::beside(database, &format!(".before-{}", now.millis()));
        let kept = files::exists(database)?;
        files::fit_in(&files::open(draft)?, database)?;
        if kept {
            // A damaged database cannot be checkpointed, so its log is preserved with it.
            let checkpointed = view::check(database).and_then(|_| connection::writing(database)).and_then(|conn| {
                Ok(conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))?)
            });
            if matches!(checkpointed, Ok(0)) {
                files::remove(&files::beside(database, "-wal"))?;
            }
            fs::hard_link(database, &aside)?;
        }
        let mut log = None;
        for suffix in ["-wal", "-journal"] {
            let (left, place) = (files::beside(database, suffix), files::beside(&aside, suffix));
            if fs::metadata(&left).is_ok_and(|meta| meta.len() > 0) {
                fs::rename(&left, &place)?;
                log = Some(place);
            } else {
                files::remove(&left)?;
            }
        }
        files::remove(&files::beside(database, "-shm"))?;
        files::rename(draft, database)?;
        Ok(Aside { database: kept.then_some(aside), log: log.filter(|_| !kept) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changes_after_it_was_looked_at_is_not_restored() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let (copy, database) = (folder.path().join("copy.db"), folder.path().join("orgkeys.db"));
        fs::write(&copy, "one").expect("written");
        let looked_at = sha256(&copy).expect("a checksum");
        drop(stage(&copy, &looked_at, &database).expect("unchanged"));
        fs::write(&copy, "two").expect("written");
        let refused = stage(&copy, &looked_at, &database).expect_err("changed").to_string();
        assert!(refused.contains("was changed while it was being restored"), "{refused}");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing is left beside it");
    }
}
