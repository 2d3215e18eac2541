//! Decides whether a write-ahead log belongs to a database file: both contain the same row, and the log's must follow
//! the file's.
//!
//! SQLite replays any log beside a file whose checksums are correct, even the log of another database or of another
//! state of this one. So one row identifies the file, with a new identity at every start and in every backup, and
//! counts how far the log has come. It is written at the start of each log and before each checkpoint.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rusqlite::Connection;

use super::StoreError;

/// The contents of the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileIdentity {
    file: [u8; 16],
    previous: [u8; 16],
    mark: i64,
    base: i64,
}

impl FileIdentity {
    /// Reads the row as `conn` sees it.
    pub(super) fn read(conn: &Connection) -> Result<Self, StoreError> {
        Ok(conn.prepare_cached("SELECT file, previous, mark, base FROM file_identity")?.query_row([], |row| {
            Ok(Self { file: row.get(0)?, previous: row.get(1)?, mark: row.get(2)?, base: row.get(3)? })
        })?)
    }

    /// Reads the row from the file without its log. SQLite cannot do this after an interrupted checkpoint that made the
    /// file longer, because the first page may be ahead of the file's length. The row is alone on the second page
    /// (<https://www.sqlite.org/fileformat.html>, sections 1.3, 1.6 and 2.1).
    pub(super) fn of_file(path: &Path) -> std::io::Result<Option<Self>> {
        Self::of_open(&File::open(path)?)
    }

    /// Reads the row from an open file. A process with a connection must not open and close the file, because that
    /// releases SQLite's locks.
    pub(super) fn of_open(file: &File) -> std::io::Result<Option<Self>> {
        let mut header = [0; 18];
        file.read_exact_at(&mut header, 0)?;
        let size = match u16::from_be_bytes([header[16], header[17]]) {
            1 => 65_536,
            size => usize::from(size),
        };
        let mut page = vec![0; size];
        file.read_exact_at(&mut page, size as u64)?;
        Ok(Self::of_page(&page))
    }

    /// Parses the row from a leaf page that contains nothing else.
    fn of_page(page: &[u8]) -> Option<Self> {
        const LEAF: u8 = 13;
        const BLOB_OF_16: u8 = 44;
        let &[LEAF, _, _, 0, 1, _, _, _, high, low, ..] = page else { return None };
        // The record's length and the row id, then the column types: the id column is null, because it is the row id.
        let record = page.get(usize::from(u16::from_be_bytes([high, low])) + 2..)?;
        let &[6, 0, BLOB_OF_16, BLOB_OF_16, mark_type, base_type, ..] = record else { return None };
        let (file, rest) = record[6..].split_first_chunk()?;
        let (previous, rest) = rest.split_first_chunk()?;
        let (mark, rest) = integer(mark_type, rest)?;
        let (base, _) = integer(base_type, rest)?;
        Some(Self { file: *file, previous: *previous, mark, base })
    }

    /// Returns whether a log that ends with this row can be replayed into a file with the row `file`: the file lacks
    /// nothing from before the log, and contains nothing from after it.
    pub(super) fn follows(&self, file: &Self) -> bool {
        let same = self.file == file.file && (self.base..=self.mark).contains(&file.mark);
        // Renewed at the start of this log, of which nothing has reached the file yet.
        let renewed = self.previous == file.file && self.base == file.mark && self.mark > self.base;
        same || renewed
    }
}

/// Parses a non-negative integer of this type, and returns the rest.
fn integer(kind: u8, bytes: &[u8]) -> Option<(i64, &[u8])> {
    let length = match kind {
        8 | 9 => return Some((i64::from(kind - 8), bytes)),
        1..=4 => usize::from(kind),
        5 => 6,
        6 => 8,
        _ => return None,
    };
    let (number, rest) = bytes.split_at_checked(length)?;
    Some((number.iter().fold(0, |number, byte| (number << 8) | i64::from(*byte)), rest))
}

/// Gives the database a new identity, different from any copy. The log must be empty.
pub(super) fn renew(conn: &Connection) -> rusqlite::Result<()> {
    let sql = "UPDATE file_identity SET previous = file, file = randomblob(16), base = mark, mark = mark + 1";
    conn.execute(sql, []).map(drop)
}

/// Advances the counter. `is_first` in a new log: the file then contains everything before it.
pub(super) fn advance(conn: &Connection, is_first: bool) -> rusqlite::Result<()> {
    let base = if is_first { "base = mark, " } else { "" };
    conn.prepare_cached(&format!("UPDATE file_identity SET {base}mark = mark + 1"))?.execute([]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_row_is_read_from_the_file_as_sqlite_reads_it() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("orgkeys.db");
        crate::store::open::prepare(&path).expect("made");
        let conn = Connection::open(&path).expect("opened");
        conn.pragma_update(None, "journal_mode", "DELETE").expect("one file");
        for mark in [0_i64, 1, 2, 127, 128, 255, 256, 32_768, 8_388_608, 1 << 33, 1 << 50] {
            conn.execute("UPDATE file_identity SET mark = ?1, base = ?1 / 3", [mark]).expect("written");
            renew(&conn).expect("renewed");
            let read = FileIdentity::of_file(&path).expect("a file");
            assert_eq!(read, Some(FileIdentity::read(&conn).expect("a row")), "{mark}");
        }
        let root: i64 = conn
            .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'file_identity'", [], |row| row.get(0))
            .expect("a page");
        assert_eq!(root, 2);
        conn.execute_batch("VACUUM").expect("packed");
        assert_eq!(FileIdentity::of_file(&path).expect("a file"), Some(FileIdentity::read(&conn).expect("a row")));
    }

    #[test]
    fn a_page_with_other_content_has_no_identity() {
        for page in [&[][..], &[13, 0, 0, 0, 2, 0, 0, 0, 0, 20], &[13, 0, 0, 0, 1, 0, 0, 0, 255, 255, 0], &[0; 4_096]] {
            assert_eq!(FileIdentity::of_page(page), None);
        }
    }

    const fn identity(file: u8, previous: u8, base: i64, mark: i64) -> FileIdentity {
        FileIdentity { file: [file; 16], previous: [previous; 16], mark, base }
    }

    #[test]
    fn a_log_belongs_to_a_file_between_its_base_and_its_mark() {
        let log = identity(2, 1, 5, 8);
        for (mark, follows) in [(4, false), (5, true), (8, true), (9, false)] {
            assert_eq!(log.follows(&identity(2, 1, 0, mark)), follows, "{mark}");
        }
        assert!(!log.follows(&identity(3, 1, 5, 8)), "another file");
        assert!(!log.follows(&identity(1, 0, 3, 4)), "the file before it was renewed");
    }

    #[test]
    fn a_log_with_a_new_identity_belongs_to_the_file_before_it() {
        let log = identity(2, 1, 5, 6);
        assert!(log.follows(&identity(1, 0, 3, 5)));
        assert!(identity(2, 1, 5, 9).follows(&identity(1, 0, 3, 5)), "a reader kept it from reaching the file");
        assert!(!log.follows(&identity(1, 0, 3, 4)), "something is missing");
        assert!(!log.follows(&identity(3, 0, 3, 5)), "another file");
    }
}
