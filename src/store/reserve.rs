//! What is left for revocations when the disk is full? A file beside the database holds room, and is cut when they need it.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::{StoreError, connection, files};

/// How often a file that is too short is looked at, whether there is room to fill it again.
const REFILL: Duration = Duration::from_secs(5);

/// The reserve of a database: the bytes of `<database>.reserve`.
pub(super) struct Reserve {
    database: PathBuf,
    file: PathBuf,
    /// Bytes that it should have.
    wanted: u64,
    looked_at: Cell<Option<Instant>>,
}

impl Reserve {
    pub(super) fn of(database: &Path, wanted: u64) -> Self {
        let (database, file) = (database.to_owned(), path(database));
        Self { database, file, wanted, looked_at: Cell::new(None) }
    }

    /// Whether the disk has less free room than a revocation should find.
    pub(super) fn is_needed(&self) -> bool {
        self.free() < self.step()
    }

    /// Gives a revocation free room on the disk, by cutting the file if need be. One that is not wanted any more goes as a whole.
    pub(super) fn give(&self) -> Result<(), StoreError> {
        if self.wanted == 0 {
            return files::remove(&self.file);
        }
        let missing = self.step().saturating_sub(self.free());
        let length = length(&self.file);
        if missing > 0 && length > 0 {
            files::own_file(&self.file)?.set_len(length.saturating_sub(missing))?;
            tracing::warn!(file = %self.file.display(), bytes = missing.min(length), "the disk is full: a revocation takes room from the reserve");
        }
        Ok(())
    }

    /// Fills the file as far as the disk has room for it, and cuts or removes one that is larger than it should be. What counts is
    /// what the disk has put aside: a copy of the file may be as long and hold nothing.
    pub(super) fn fill(&self) -> Result<(), StoreError> {
        let (length, held) = (length(&self.file), held(&self.database));
        if length == self.wanted && held == length
            || self.looked_at.get().is_some_and(|looked_at| looked_at.elapsed() < REFILL)
        {
            return Ok(());
        }
        self.looked_at.set(Some(Instant::now()));
        if self.wanted == 0 {
            return files::remove(&self.file);
        }
        // What is left free is what a revocation is given before the file is cut, twice: else both would take turns.
        let growth = self.free().saturating_sub(2 * self.step());
        let filled = self.wanted.min(held.saturating_add(growth));
        if filled > held || length > self.wanted {
            hold(files::own_file(&self.file)?, filled)?;
        }
        Ok(())
    }

    /// Free bytes that a revocation should find: it may touch every node of an organization.
    const fn step(&self) -> u64 {
        self.wanted / 4
    }

    fn free(&self) -> u64 {
        connection::disk_free(&self.database).unwrap_or(u64::MAX)
    }
}

/// The file that holds the reserve of a database.
fn path(database: &Path) -> PathBuf {
    files::beside(database, ".reserve")
}

/// Bytes of the disk that the reserve of a database holds.
pub(super) fn held(database: &Path) -> u64 {
    fs::metadata(path(database)).map_or(0, |meta| meta.len().min(meta.blocks().saturating_mul(512)))
}

fn length(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |meta| meta.len())
}

/// Gives a file so many bytes, which the disk has surely put aside.
fn hold(mut file: File, bytes: u64) -> Result<(), StoreError> {
    file.set_len(bytes)?;
    match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
            std::io::copy(&mut std::io::Read::take(std::io::repeat(0), bytes), &mut file)?;
            Ok(file.flush()?)
        }
        held => Ok(held.map_err(std::io::Error::from)?),
    }
}
