//! Checks and creation of the database file. The header is read before SQLite opens the file, so that a refused file is
//! left unchanged.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::files::{self, beside, fit_in, refuse_second_name, remove, rename};
use super::header::APPLICATION_ID;
use super::{StoreError, migrate, view, whole};

/// Creates the database if it does not exist.
pub fn create_if_missing(path: &Path) -> Result<(), StoreError> {
    if files::exists(path)? {
        return Ok(());
    }
    refuse_orphaned_log(path)?;
    create(path)
}

/// Checks that the database is ours, complete and not newer, and upgrades an older one. Returns the version it was
/// upgraded from.
pub fn prepare(path: &Path) -> Result<Option<i32>, StoreError> {
    create_if_missing(path)?;
    refuse_second_name(path)?;
    let found = view::check(path)?;
    if found != migrate::VERSION {
        migrate::upgrade(path, found)?;
        view::check(path)?;
    }
    whole::check(path)?;
    Ok((found != migrate::VERSION).then_some(found))
}

/// SQLite would replay the log of a removed database into the new one.
fn refuse_orphaned_log(path: &Path) -> Result<(), StoreError> {
    let wal = beside(path, "-wal");
    if fs::metadata(&wal).is_ok_and(|meta| meta.len() > 0) {
        return Err(StoreError::Unusable(format!(
            "{} does not exist, but its latest changes do, in {}: put the database back, or remove that file to start with a new database",
            path.display(),
            wal.display()
        )));
    }
    Ok(())
}

/// Creates a complete database under another name and renames it into place, so that an incomplete one never has the
/// name.
fn create(path: &Path) -> Result<(), StoreError> {
    let draft = beside(path, ".new");
    remove(&draft)?;
    remove(&beside(path, ".new-journal"))?;
    fit_in(&OpenOptions::new().create_new(true).write(true).mode(0o600).open(&draft)?, path)?;
    let conn = Connection::open_with_flags(&draft, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    conn.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA synchronous = EXTRA; PRAGMA foreign_keys = ON; BEGIN")?;
    conn.execute_batch(migrate::SCHEMA)?;
    conn.pragma_update(None, "application_id", APPLICATION_ID)?;
    conn.pragma_update(None, "user_version", migrate::VERSION)?;
    conn.execute_batch("COMMIT")?;
    conn.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    conn.close().map_err(|(_, error)| error)?;
    rename(&draft, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::connection;

    #[test]
    fn the_log_of_a_removed_database_is_not_applied_to_a_new_one() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let (path, moved) = (folder.path().join("orgkeys.db"), folder.path().join("moved.db"));
        prepare(&path).expect("made");
        let conn = connection::writing(&path).expect("a connection");
        conn.execute("INSERT INTO org (id, name, created_at) VALUES (zeroblob(16), 'acme', 0)", []).expect("written");
        let log = fs::read(beside(&path, "-wal")).expect("a log");
        conn.close().expect("closed");
        fs::rename(&path, &moved).expect("taken away");
        fs::write(beside(&path, "-wal"), &log).expect("as a killed server leaves it");

        let refusal = prepare(&path).expect_err("refused").to_string();
        assert!(refusal.contains("put the database back, or remove that file"), "{refusal}");
        assert!(!path.exists(), "nothing was made");
        assert_eq!(fs::read(beside(&path, "-wal")).expect("the log"), log);

        fs::remove_file(beside(&path, "-wal")).expect("removed");
        prepare(&path).expect("begun anew");
        let conn = connection::writing(&path).expect("a connection");
        let orgs: i64 = conn.query_row("SELECT count(*) FROM org", [], |row| row.get(0)).expect("a number");
        assert_eq!(orgs, 0);
    }
}
