//! Limits on disk space. Ordinary changes leave a reserve, so that revocations still find space on a full disk.

use std::cell::Cell;
use std::path::Path;

use rusqlite::Connection;

use super::{Options, Room, StoreError, connection, reserve};

/// The most pages that one change may need; with fewer left, ordinary changes are refused.
const ONE_CHANGE: u64 = 16;

/// Free bytes needed to open a database.
const NEEDED_TO_OPEN: u64 = 4 << 20;

/// Whether a change may use the reserve of a full disk. Those that may are run last in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// It may not.
    Ordinary,
    /// It may: a revocation, or what the server must record about an upgrade or the clock.
    MayUseReserve,
}

/// The space available to this batch.
pub(super) struct Space {
    /// Whether the disk and the file have more than the reserve left.
    beyond_reserve: bool,
    /// The maximum number of pages of the file for ordinary changes.
    ordinary: u64,
    /// The maximum number of pages for changes that may use the reserve.
    with_reserve: u64,
    /// The limit that is currently set in SQLite.
    set: Cell<u64>,
}

impl Space {
    /// The maximum number of pages of an SQLite file.
    const ALL: u64 = 0xffff_fffe;

    pub(super) fn look(conn: &Connection, options: &Options, page_size: u32) -> Result<Self, StoreError> {
        let room: &Room = &options.room;
        let on_disk = on_disk(&options.path).is_none_or(|bytes| bytes > room.reserve);
        let (ordinary, with_reserve, in_file) = match room.limit() {
            0 => (Self::ALL, Self::ALL, true),
            limit => {
                let ordinary = limit.saturating_sub(room.reserve) / u64::from(page_size);
                (ordinary, limit / u64::from(page_size), used(conn)? + ONE_CHANGE <= ordinary)
            }
        };
        Ok(Self { beyond_reserve: on_disk && in_file, ordinary, with_reserve, set: Cell::new(0) })
    }

    /// Returns whether more than the reserve is left.
    pub(super) const fn beyond_reserve(&self) -> bool {
        self.beyond_reserve
    }

    pub(super) fn admits(&self, conn: &Connection, urgency: Urgency) -> Result<bool, StoreError> {
        let pages = if urgency == Urgency::MayUseReserve { self.with_reserve } else { self.ordinary };
        if self.set.replace(pages) != pages {
            conn.query_row(&format!("PRAGMA max_page_count = {}", pages.max(1)), [], |_| Ok(()))?;
        }
        Ok(urgency == Urgency::MayUseReserve || self.beyond_reserve)
    }
}

/// Returns whether so little is left beyond the reserve that the disk may be full before a transaction that starts now
/// is committed.
pub(super) fn is_near_reserve(options: &Options) -> bool {
    on_disk(&options.path).is_some_and(|bytes| bytes <= options.room.reserve.saturating_mul(2))
}

/// Returns the bytes that the disk has for this database: the free ones, and those that its reserve holds.
pub fn on_disk(database: &Path) -> Option<u64> {
    Some(connection::disk_free(database)?.saturating_add(reserve::held(database)))
}

/// Replaces the error if a full disk is the reason why a database cannot be opened.
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

/// Returns the pages of the file that are in use.
fn used(conn: &Connection) -> Result<u64, StoreError> {
    let count = |pragma| conn.prepare_cached(pragma)?.query_row([], |row| row.get::<_, u32>(0)).map(u64::from);
    Ok(count("PRAGMA page_count")?.saturating_sub(count("PRAGMA freelist_count")?))
}
