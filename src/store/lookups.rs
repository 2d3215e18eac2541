//! The connections for lookups: short reads on any thread, async ones too.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use rusqlite::Connection;

use super::{ReadGuard, ReadTx, StoreError, connection};

/// How many connections there are beyond one for each core: one for each thread that may block (`cli/serve.rs`), so that
/// an async thread always finds one.
const SPARE: usize = 6;

/// The connections, each opened when one is first needed: opening reads the whole schema, which takes a millisecond.
pub(super) struct LookupConnections {
    database: PathBuf,
    /// The maximum number of connections.
    limit: usize,
    opened: Mutex<Opened>,
}

struct Opened {
    /// How many there are, in use or free.
    count: usize,
    /// The one used last is used again first, because its cache is warm.
    free: Vec<Connection>,
}

impl LookupConnections {
    /// Opens the first connection to `database`. There can be more of them than threads for async tasks.
    pub(super) fn open(database: &Path) -> Result<Self, StoreError> {
        let limit = available_parallelism()?.get() + SPARE;
        let opened = Opened { count: 1, free: vec![connection::reading(database)?] };
        Ok(Self { database: database.to_owned(), limit, opened: Mutex::new(opened) })
    }

    /// Takes a free connection, or opens another one. `None` if too many are in use, or no more can be opened.
    pub(super) fn take(&self) -> Option<LookupConnection<'_>> {
        let mut opened = self.opened();
        let conn = match opened.free.pop() {
            Some(conn) => conn,
            None if opened.count == self.limit => return None,
            None => {
                opened.count += 1;
                drop(opened);
                self.another()?
            }
        };
        Some(LookupConnection { conn: Some(conn), home: self })
    }

    /// Opens a connection that is counted already.
    fn another(&self) -> Option<Connection> {
        let conn = connection::reading(&self.database).ok();
        if conn.is_none() {
            self.opened().count -= 1;
        }
        conn
    }

    fn opened(&self) -> MutexGuard<'_, Opened> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.home.opened().free.extend(self.conn.take());
    }
}
