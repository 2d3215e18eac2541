//! Does a write-ahead log belong to a database file? Both hold the same row, and the log's must follow the file's.
//!
//! SQLite replays any log that lies beside a file, if its checksums are right: one of another database, or of another state
//! of this one. So one row tells which file this is (another one at every start and in every backup), and counts how far the
//! log has come. It is written at the beginning of each log and before each checkpoint.

use rusqlite::Connection;

use super::StoreError;

/// What the row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    file: [u8; 16],
    previous: [u8; 16],
    mark: i64,
    base: i64,
}

impl Identity {
    /// Reads the row as `conn` sees it.
    pub(super) fn read(conn: &Connection) -> Result<Self, StoreError> {
        Ok(conn.query_row("SELECT file, previous, mark, base FROM file_identity", [], |row| {
            Ok(Self { file: row.get(0)?, previous: row.get(1)?, mark: row.get(2)?, base: row.get(3)? })
        })?)
    }

    /// Whether a log that ends with this row can be replayed into a file that has the row `file`: nothing that came before
    /// the log is missing in the file, and nothing in the file came after the log.
    pub(super) fn follows(&self, file: &Self) -> bool {
        let same = self.file == file.file && (self.base..=self.mark).contains(&file.mark);
        let renewed = self.previous == file.file && self.base == file.mark && self.mark == file.mark + 1;
        same || renewed
    }
}

/// Makes the database another file than any copy of it. The log must be empty.
pub(super) fn renew(conn: &Connection) -> rusqlite::Result<()> {
    let sql = "UPDATE file_identity SET previous = file, file = randomblob(16), base = mark, mark = mark + 1";
    conn.execute(sql, []).map(drop)
}

/// Counts on. `is_first` in a new log: the file then has all that came before.
pub(super) fn advance(conn: &Connection, is_first: bool) -> rusqlite::Result<()> {
    let sql = "UPDATE file_identity SET base = CASE WHEN ?1 THEN mark ELSE base END, mark = mark + 1";
    conn.prepare_cached(sql)?.execute([is_first]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn identity(file: u8, previous: u8, base: i64, mark: i64) -> Identity {
        Identity { file: [file; 16], previous: [previous; 16], mark, base }
    }

    #[test]
    fn a_log_follows_the_file_that_has_all_that_came_before_and_nothing_that_came_after() {
        let log = identity(2, 1, 5, 8);
        for (mark, follows) in [(4, false), (5, true), (8, true), (9, false)] {
            assert_eq!(log.follows(&identity(2, 1, 0, mark)), follows, "{mark}");
        }
        assert!(!log.follows(&identity(3, 1, 5, 8)), "another file");
        assert!(!log.follows(&identity(1, 0, 4, 5)), "the file before it was renewed");
    }

    #[test]
    fn a_log_that_holds_nothing_but_the_new_identity_follows_the_file_as_it_was() {
        let log = identity(2, 1, 5, 6);
        assert!(log.follows(&identity(1, 0, 3, 5)));
        assert!(!log.follows(&identity(1, 0, 3, 4)), "something is missing");
        assert!(!log.follows(&identity(3, 0, 3, 5)), "another file");
    }
}
