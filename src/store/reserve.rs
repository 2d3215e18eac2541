//! What is left for revocations when the disk is full? A file beside the database holds room, and is cut when they need it.

use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::{StoreError, connection, open};

/// How often a file that is too short is looked at, whether there is room to fill it again.
const REFILL: Duration = Duration::from_secs(5);

/// The reserve of a database: the bytes of `<database>.reserve`.
pub(super) struct Reserve {
    database: PathBuf,
    file: PathBuf,
    /// Bytes that it should have.
    wanted: u64,
    looked: Cell<Option<Instant>>,
}

impl Reserve {
    pub(super) fn of(database: &Path, wanted: u64) -> Self {
        let (database, file) = (database.to_owned(), path(database));
        Self { database, file, wanted, looked: Cell::new(None) }
    }

    /// Whether the disk has less free room than a revocation should find.
    pub(super) fn is_needed(&self) -> bool {
        self.free() < self.step()
    }

    /// Gives a revocation free room on the disk, by cutting the file if need be.
    pub(super) fn give(&self) -> Result<(), StoreError> {
        let missing = self.step().saturating_sub(self.free());
        let length = length(&self.file);
        if missing > 0 && length > 0 {
            let file = OpenOptions::new().write(true).open(&self.file)?;
            file.set_len(length.saturating_sub(missing))?;
            tracing::warn!(file = %self.file.display(), bytes = missing.min(length), "the disk is full: a revocation takes room from the reserve");
        }
        Ok(())
    }

    /// Fills the file as far as the disk has room for it, and cuts or removes one that is larger than it should be.
    pub(super) fn fill(&self) -> Result<(), StoreError> {
        let length = length(&self.file);
        if length == self.wanted || self.looked.get().is_some_and(|looked| looked.elapsed() < REFILL) {
            return Ok(());
        }
        self.looked.set(Some(Instant::now()));
        if self.wanted == 0 {
            return open::remove(&self.file);
        }
        // What is left free is what a revocation is given before the file is cut, twice: else both would take turns.
        let growth = self.free().saturating_sub(2 * self.step());
        let filled = self.wanted.min(length.saturating_add(growth));
        if filled > length || length > self.wanted {
            let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&self.file)?;
            open::give_to_owner_of(open::folder(&self.file), &self.file)?;
            take(file, length, filled)?;
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
    open::beside(database, ".reserve")
}

/// Bytes of the disk that the reserve of a database holds.
pub(super) fn held(database: &Path) -> u64 {
    fs::metadata(path(database)).map_or(0, |meta| meta.len().min(meta.blocks().saturating_mul(512)))
}

fn length(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |meta| meta.len())
}

/// Makes a file of `from` bytes one of `to` bytes that the disk has surely put aside.
fn take(mut file: File, from: u64, to: u64) -> Result<(), StoreError> {
    if to <= from {
        return Ok(file.set_len(to)?);
    }
    match rustix::fs::fallocate(&file, FallocateFlags::empty(), from, to - from) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
            file.seek(SeekFrom::Start(from))?;
            std::io::copy(&mut std::io::Read::take(std::io::repeat(0), to - from), &mut file)?;
            Ok(file.flush()?)
        }
        taken => Ok(taken.map_err(std::io::Error::from)?),
    }
}
