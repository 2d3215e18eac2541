//! Is a file a database of ours? Its first bytes say so.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::StoreError;

/// `okey` in ASCII: the application id (<https://www.sqlite.org/fileformat.html>, section 1.3) of our files.
pub const APPLICATION_ID: i32 = 0x6f6b_6579;

/// Looks at the first 100 bytes with plain reads: SQLite would already write beside a file that is not ours.
pub fn check_header(path: &Path) -> Result<(), StoreError> {
    let mut header = Vec::with_capacity(100);
    let opened = File::open(path).and_then(|file| file.take(100).read_to_end(&mut header));
    opened.map_err(|error| StoreError::Unusable(format!("cannot read {}: {error}", path.display())))?;
    if header.len() < 100 || !header.starts_with(b"SQLite format 3\0") {
        return Err(StoreError::damaged(path, "it does not begin as an SQLite database does"));
    }
    let application_id = i32::from_be_bytes([header[68], header[69], header[70], header[71]]);
    if application_id != APPLICATION_ID {
        return Err(StoreError::Foreign { path: path.to_owned(), id: application_id });
    }
    Ok(())
}
