//! Schema upgrades. Each step leads to the next version; the last one ends at exactly the schema in `schema.sql`.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::{StoreError, connection, files};

/// The complete current schema.
pub const SCHEMA: &str = include_str!("../../schema.sql");

/// The version of `schema.sql`.
pub const VERSION: i32 = 2;

/// `STEPS[n]` upgrades version n + 1 to version n + 2.
const STEPS: [&str; (VERSION - 1) as usize] = [include_str!("migrate/to_2.sql")];

/// Copies the file to `<database>.v<version>` and upgrades it to the current version in one transaction.
pub fn upgrade(path: &Path, from: i32) -> Result<(), StoreError> {
    let aside = files::beside(path, &format!(".v{from}"));
    let conn = connection::writing(path)?;
    let busy: i64 = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy != 0 {
        return Err(StoreError::Busy);
    }
    let draft = files::beside(&aside, ".new");
    fs::copy(path, &draft)?;
    files::fit_in(&files::open(&draft)?, path)?;
    files::rename(&draft, &aside)?;
    run(&conn, &STEPS, from)
}

fn run(conn: &Connection, steps: &[&str], from: i32) -> Result<(), StoreError> {
    let first =
        usize::try_from(from - 1).map_err(|_| StoreError::Unusable(format!("schema {from} was never released")))?;
    // Rebuilding a table drops the old one, which must not affect the tables that refer to it.
    conn.pragma_update(None, "foreign_keys", false)?;
    let tx = conn.unchecked_transaction()?;
    for step in steps.iter().skip(first) {
        tx.execute_batch(step)?;
    }
    let to = i32::try_from(steps.len()).map_or(from, |count| count + 1);
    tx.pragma_update(None, "user_version", to)?;
    if tx.prepare("PRAGMA foreign_key_check")?.exists([])? {
        return Err(StoreError::Internal("the upgrade left references to rows that do not exist".to_owned()));
    }
    Ok(tx.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema_of(conn: &Connection) -> Vec<String> {
        let mut statement =
            conn.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").expect("sql");
        let rows = statement.query_map([], |row| row.get(0)).expect("rows");
        rows.collect::<Result<_, _>>().expect("text")
    }

    #[test]
    fn every_released_version_ends_at_the_current_schema() {
        let current = Connection::open_in_memory().expect("memory");
        current.execute_batch(SCHEMA).expect("schema");
        let upgraded = Connection::open_in_memory().expect("memory");
        upgraded.execute_batch(include_str!("migrate/schema_1.sql")).expect("schema");
        run(&upgraded, &STEPS, 1).expect("steps");
        assert_eq!(schema_of(&upgraded), schema_of(&current));
    }

    #[test]
    fn the_copy_of_the_old_file_belongs_to_the_owner_of_the_database() {
        use std::os::unix::fs::{MetadataExt, chown};
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("orgkeys.db");
        crate::store::open::prepare(&path).expect("made");
        if chown(&path, Some(65_534), Some(65_534)).is_err() {
            println!("skipped: only root can make files for another user");
            return;
        }
        upgrade(&path, VERSION).expect("copied, with no step to take");
        let copy = fs::metadata(files::beside(&path, &format!(".v{VERSION}"))).expect("a copy");
        assert_eq!((copy.uid(), copy.gid(), copy.mode() & 0o777), (65_534, 65_534, 0o600));
    }

    #[test]
    fn upgrade_steps_start_at_the_files_version_and_are_atomic() {
        let conn = Connection::open_in_memory().expect("memory");
        let steps = ["CREATE TABLE two (a)", "CREATE TABLE three (a)"];
        conn.execute_batch("CREATE TABLE two (a); PRAGMA user_version = 2").expect("version 2");
        run(&conn, &steps, 2).expect("from 2 to 3");
        let version: i32 = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).expect("version");
        assert_eq!((version, schema_of(&conn).len()), (3, 2));
        assert!(run(&conn, &["", "", "CREATE TABLE four (a)", "nonsense"], 3).is_err());
        assert_eq!(schema_of(&conn).len(), 2, "a failed upgrade leaves nothing");
    }

    #[test]
    fn the_copy_of_before_contains_what_was_only_in_the_log() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("a.db");
        let before = Connection::open(&path).expect("a database");
        before.pragma_update(None, "journal_mode", "wal").expect("a log");
        before.execute_batch(include_str!("migrate/schema_1.sql")).expect("schema");
        before.pragma_update(None, "user_version", 1).expect("version 1");
        let expected = schema_of(&before);
        upgrade(&path, 1).expect("upgraded");
        let copy = Connection::open(folder.path().join("a.db.v1")).expect("the copy");
        assert_eq!(schema_of(&copy), expected);
    }

    #[test]
    fn an_upgrade_that_removes_rows_to_which_others_refer_is_undone() {
        let conn = Connection::open_in_memory().expect("memory");
        let before = "CREATE TABLE one (id INTEGER PRIMARY KEY); CREATE TABLE two (one REFERENCES one (id));
            INSERT INTO one VALUES (7); INSERT INTO two VALUES (7)";
        conn.execute_batch(before).expect("rows");
        let refused = run(&conn, &["DELETE FROM one"], 1).expect_err("a reference to no row").to_string();
        assert!(refused.contains("references to rows that do not exist"), "{refused}");
        let left: i64 = conn.query_row("SELECT count(*) FROM one", [], |row| row.get(0)).expect("a number");
        assert_eq!(left, 1);
    }
}
