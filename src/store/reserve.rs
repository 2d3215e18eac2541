//! Disk space reserved for revocations: a file beside the database holds it, and is truncated when a revocation needs
//! space. `space.rs` decides what may use it, and `writer/thread.rs` when.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::{StoreError, connection, files};

/// How often to check whether there is space to refill a file that is too short.
const REFILL: Duration = Duration::from_secs(5);

/// The reserve of a database: the file `<database>.reserve`.
pub(super) struct Reserve {
    database: PathBuf,
    file: PathBuf,
    /// The intended size in bytes.
    wanted: u64,
    looked_at: Cell<Option<Instant>>,
}

impl Reserve {
    pub(super) fn of(database: &Path, wanted: u64) -> Self {
        let (database, file) = (database.to_owned(), path(database));
        Self { database, file, wanted, looked_at: Cell::new(None) }
    }

    /// Returns whether the disk has less free space than a revocation should find.
    pub(super) fn is_needed(&self) -> bool {
        self.free() < self.step()
    }

    /// Frees disk space for a revocation, by truncating the file if necessary. A reserve that is no longer wanted is
    /// removed.
    pub(super) fn give(&self) -> Result<(), StoreError> {
        if self.wanted == 0 {
            return files::remove(&self.file);
        }
        let missing = self.step().saturating_sub(self.free());
        let length = length(&self.file);
        if missing > 0 && length > 0 {
            files::own_file(&self.file)?.set_len(length.saturating_sub(missing))?;
            tracing::warn!(file = %self.file.display(), bytes = missing.min(length), "the disk is full: a revocation uses space from the reserve. Free disk space");
        }
        Ok(())
    }

    /// Fills the file as far as the disk has space, and truncates or removes one that is too large. What counts is the
    /// allocated space: a copy of the file may have the same length without any.
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
        // Twice what a revocation should find stays free, otherwise filling and truncating would alternate.
        let growth = self.free().saturating_sub(2 * self.step());
        let filled = self.wanted.min(held.saturating_add(growth));
        if filled > held || length > self.wanted {
            hold(files::own_file(&self.file)?, filled)?;
        }
        Ok(())
    }

    /// Free bytes that a revocation should find: it may affect every node of an organization.
    const fn step(&self) -> u64 {
        self.wanted / 4
    }

    fn free(&self) -> u64 {
        connection::disk_free(&self.database).unwrap_or(u64::MAX)
    }
}

/// Returns the path of a database's reserve.
fn path(database: &Path) -> PathBuf {
    files::beside(database, ".reserve")
}

/// Returns the bytes of the disk that a database's reserve holds.
pub(super) fn held(database: &Path) -> u64 {
    fs::metadata(path(database)).map_or(0, |meta| meta.len().min(meta.blocks().saturating_mul(512)))
}

fn length(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |meta| meta.len())
}

/// Sets the size of a file and makes sure that the disk has allocated it.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_the_size_of_the_setting_whatever_it_was_before() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let database = folder.path().join("orgkeys.db");
        let file = folder.path().join("orgkeys.db.reserve");
        for wanted in [64 << 10, 16 << 10, 128 << 10] {
            Reserve::of(&database, wanted).fill().expect("filled");
            assert_eq!((length(&file), held(&database)), (wanted, wanted));
            assert_eq!(fs::metadata(&file).expect("a file").mode() & 0o777, 0o600);
        }
        // There is room on the disk, so nothing of it is given up.
        Reserve::of(&database, 128 << 10).give().expect("room");
        assert_eq!(length(&file), 128 << 10);
        Reserve::of(&database, 0).fill().expect("removed");
        assert!(!file.exists());
        Reserve::of(&database, 0).fill().expect("nothing to remove");
    }

    #[test]
    fn a_file_that_is_too_short_is_looked_at_every_few_seconds() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let database = folder.path().join("orgkeys.db");
        let reserve = Reserve::of(&database, 16 << 10);
        reserve.fill().expect("filled");
        fs::remove_file(folder.path().join("orgkeys.db.reserve")).expect("removed");
        reserve.fill().expect("not looked at again yet");
        assert_eq!(held(&database), 0);
        reserve.looked_at.set(Instant::now().checked_sub(REFILL));
        reserve.fill().expect("filled");
        assert_eq!(held(&database), 16 << 10);
    }
}
