//! How much may be written? Ordinary changes leave a reserve, so that what revokes still finds room on a full disk.

use std::cell::Cell;
use std::path::Path;

use rusqlite::Connection;

use super::{Options, Room, StoreError, connection, reserve};

/// Pages that one change may need at most; with fewer left there is no room for an ordinary one.
const ONE_CHANGE: u64 = 16;

/// Free bytes with which a database can be opened.
const NEEDED_TO_OPEN: u64 = 4 << 20;

/// Whether a change may use the reserve of a full disk. Those that may come last in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// It may not.
    Ordinary,
    /// It revokes, and may.
    Revoking,
}

/// How much may be written in this batch.
pub(super) struct Space {
    /// Whether disk and file have more than the reserve.
    beyond_reserve: bool,
    /// Pages that the file may have for ordinary changes.
    ordinary: u64,
    /// Pages that it may have for those that revoke.
    revoking: u64,
    /// The limit that SQLite keeps now.
    set: Cell<u64>,
}

impl Space {
    /// The most pages that an SQLite file can have.
    const ALL: u64 = 0xffff_fffe;

    pub(super) fn look(conn: &Connection, options: &Options, page_size: u32) -> Result<Self, StoreError> {
        let room: &Room = &options.room;
        let on_disk = on_disk(&options.path).is_none_or(|bytes| bytes > room.reserve);
        let (ordinary, revoking, in_file) = match room.limit() {
            0 => (Self::ALL, Self::ALL, true),
            limit => {
                let ordinary = limit.saturating_sub(room.reserve) / u64::from(page_size);
                (ordinary, limit / u64::from(page_size), used(conn)? + ONE_CHANGE <= ordinary)
            }
        };
        Ok(Self { beyond_reserve: on_disk && in_file, ordinary, revoking, set: Cell::new(0) })
    }

    /// Whether there is more than the reserve.
    pub(super) const fn beyond_reserve(&self) -> bool {
        self.beyond_reserve
    }

    pub(super) fn admits(&self, conn: &Connection, urgency: Urgency) -> Result<bool, StoreError> {
        let pages = if urgency == Urgency::Revoking { self.revoking } else { self.ordinary };
        if self.set.replace(pages) != pages {
            conn.query_row(&format!("PRAGMA max_page_count = {}", pages.max(1)), [], |_| Ok(()))?;
        }
        Ok(urgency == Urgency::Revoking || self.beyond_reserve)
    }
}

/// Whether the disk has so little beyond the reserve that it may be full before a transaction that begins now is on it.
pub(super) fn is_near_reserve(options: &Options) -> bool {
    on_disk(&options.path).is_some_and(|bytes| bytes <= options.room.reserve.saturating_mul(2))
}

/// Bytes that the disk has for this database: those that are free, and those that its reserve holds.
pub fn on_disk(database: &Path) -> Option<u64> {
    Some(connection::disk_free(database)?.saturating_add(reserve::held(database)))
}

/// Says so where a full disk is the reason why a database cannot be opened.
pub(super) fn explain(error: StoreError, database: &Path) -> StoreError {
    let free = connection::disk_free(database);
    let is_full = matches!(error, StoreError::Full)
        || matches!(error, StoreError::Internal(_)) && free.is_some_and(|free| free < NEEDED_TO_OPEN);
    if !is_full {
        return error;
    }
    StoreError::Unusable(format!(
        "the disk of {} is full ({} bytes are free): free at least {} MiB on it, then run this again",
        database.display(),
        free.unwrap_or(0),
        NEEDED_TO_OPEN >> 20
    ))
}

/// Pages of the file that hold something.
fn used(conn: &Connection) -> Result<u64, StoreError> {
    let count = |pragma| conn.prepare_cached(pragma)?.query_row([], |row| row.get::<_, u32>(0)).map(u64::from);
    Ok(count("PRAGMA page_count")?.saturating_sub(count("PRAGMA freelist_count")?))
}
