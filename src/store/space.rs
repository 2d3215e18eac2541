//! How much may be written? Ordinary changes leave a reserve, so that what revokes still finds room on a full disk.

use std::cell::Cell;

use rusqlite::Connection;

use super::{Options, Room, StoreError, connection};

/// Whether a change may use the reserve of a full disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    Ordinary,
    Revoking,
}

/// How much may be written in this batch.
pub(super) struct Space {
    /// Whether the disk has more than the reserve.
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

    pub(super) fn look(options: &Options, page_size: u32) -> Self {
        let room: &Room = &options.room;
        let free = connection::disk_free(&options.path);
        let (ordinary, revoking) = match room.limit() {
            0 => (Self::ALL, Self::ALL),
            limit => (limit.saturating_sub(room.reserve) / u64::from(page_size), limit / u64::from(page_size)),
        };
        Self { beyond_reserve: free.is_none_or(|free| free > room.reserve), ordinary, revoking, set: Cell::new(0) }
    }

    pub(super) fn admits(&self, conn: &Connection, urgency: Urgency) -> Result<bool, StoreError> {
        let pages = if urgency == Urgency::Revoking { self.revoking } else { self.ordinary };
        if self.set.replace(pages) != pages {
            conn.query_row(&format!("PRAGMA max_page_count = {}", pages.max(1)), [], |_| Ok(()))?;
        }
        Ok(urgency == Urgency::Revoking || self.beyond_reserve)
    }
}
