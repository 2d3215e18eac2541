//! The connections for lookups: short reads on any thread, async ones too.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use rusqlite::Connection;

use super::{ReadGuard, ReadTx, StoreError, connection};

/// How many connections there are beyond one for each core: one for each thread that may block (`cli/serve.rs`), so that
/// an async thread always finds one.
const SPARE: usize = 6;

/// The connections that are free. The one used last is used again first, because its cache is warm.
pub(super) struct LookupConnections(Mutex<Vec<Connection>>);

impl LookupConnections {
    /// Opens connections to `database`, more than there are threads for async tasks.
    pub(super) fn open(database: &Path) -> Result<Self, StoreError> {
        let count = available_parallelism()?.get() + SPARE;
        let free: Result<_, _> = (0..count).map(|_| connection::reading(database)).collect();
        Ok(Self(Mutex::new(free?)))
    }

    /// Takes a connection, if one is free.
    pub(super) fn take(&self) -> Option<LookupConnection<'_>> {
        let conn = self.free().pop()?;
        Some(LookupConnection { conn: Some(conn), home: self })
    }

    fn free(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is in use until it is dropped.
pub(super) struct LookupConnection<'l> {
    conn: Option<Connection>,
    home: &'l LookupConnections,
}

impl LookupConnection<'_> {
    /// Runs `work` on one snapshot.
    pub(super) fn read<T, E: From<StoreError>>(&self, work: impl FnOnce(&ReadTx<'_>) -> Result<T, E>) -> Result<T, E> {
        let conn = self.conn.as_ref().ok_or(StoreError::Busy)?;
        work(&ReadGuard::begin(conn)?.0)
    }
}

impl Drop for LookupConnection<'_> {
    fn drop(&mut self) {
        self.home.free().extend(self.conn.take());
    }
}
