//! Recognizes a database of orgkeys by the header of its file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::{StoreError, files};

/// The application id of our files (<https://www.sqlite.org/fileformat.html>, section 1.3): `okey` in ASCII.
pub const APPLICATION_ID: i32 = 0x6f6b_6579;

/// Checks the first 100 bytes with plain reads: SQLite would already write beside a file that is not ours.
pub fn check_header(path: &Path) -> Result<(), StoreError> {
    let mut header = Vec::with_capacity(100);
    let opened = File::open(path).and_then(|file| file.take(100).read_to_end(&mut header));
    opened.map_err(|error| files::unreadable(path, &error))?;
    if header.len() < 100 || !header.starts_with(b"SQLite format 3\0") {
        return Err(StoreError::damaged(path, "it has no SQLite header"));
    }
    let application_id = i32::from_be_bytes([header[68], header[69], header[70], header[71]]);
    if application_id != APPLICATION_ID {
        return Err(StoreError::Foreign { path: path.to_owned(), id: application_id });
    }
    Ok(())
}
