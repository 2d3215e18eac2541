//! Tests that revocations survive a disk that fills up during a batch, on a small disk of their own.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::space::Urgency;
use super::writer_tests::subject::{RESERVE, Subject, add_large, id};
use super::{StoreError, connection, reserve, space};

/// An in-memory disk that is unmounted when the test ends.
struct Disk(PathBuf);

impl Disk {
    /// Mounts it; `None` if this process may not mount.
    fn on(folder: &TempDir) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(folder.path());
        mount.output().is_ok_and(|output| output.status.success()).then(|| Self(folder.path().to_owned()))
    }

    fn free(&self) -> u64 {
        connection::disk_free(&self.0.join("orgkeys.db")).expect("the disk's figures")
    }

    /// Creates a file that leaves only `left` bytes free, and can take the rest of the disk later.
    fn fill(&self, left: u64) -> fs::File {
        let mut filler = fs::File::create(self.0.join("filler")).expect("a file");
        let bytes = usize::try_from(self.free() - left).expect("a small disk");
        filler.write_all(&vec![b'x'; bytes]).expect("there is room");
        filler
    }
}

impl Disk {
    /// Fills the free space, of which another file may have taken a part before.
    fn fill_up(&self) -> fs::File {
        let mut more = fs::File::create(self.0.join("more")).expect("a file");
        while more.write_all(&[b'x'; 4_096]).is_ok() {}
        more
    }

    /// Frees the space of a file. Removing it would not be enough: a process that another test is starting has it open
    /// until it runs its own program.
    fn empty(&self, name: &str) {
        fs::File::create(self.0.join(name)).expect("emptied");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A lazy unmount, because a failed test may still have files open there.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn revocations_survive_a_disk_that_fills_up_during_their_batch() {
    let folder = TempDir::new().expect("a folder");
    let Some(disk) = Disk::on(&folder) else {
        println!("skipped: a small disk cannot be mounted here (it needs root and mount)");
        return;
    };
    let subject = Subject::within(folder);
    subject.store.write(|tx| add_large(tx, 200)).wait().expect("written");
    let mut filler = disk.fill(RESERVE / 2);
    let (release, held) = subject.hold();
    // Another program takes the remaining space while the change is made, after free space was checked.
    let ordinary = subject.enqueue(Urgency::Ordinary, move |tx| {
        while filler.write_all(&[b'x'; 4_096]).is_ok() {}
        add_large(tx, 1)
    });
    let revoking = subject.enqueue(Urgency::MayUseReserve, |tx| add_large(tx, 2));
    drop(release);
    held.wait().expect("released");
    assert_eq!(revoking.wait().expect("it has the disk first"), id(2));
    assert!(matches!(ordinary.wait(), Err(StoreError::Full)));
    assert_eq!(disk.free(), 0);
    assert_eq!(subject.orgs(), [2, 200].map(id).into());

    disk.empty("filler");
    subject.store.write(|tx| add_large(tx, 3)).wait().expect("there is room again");
    assert_eq!(subject.orgs(), [2, 3, 200].map(id).into());
}

#[test]
fn the_reserve_occupies_disk_is_used_by_revocations_and_refilled() {
    let folder = TempDir::new().expect("a folder");
    let Some(disk) = Disk::on(&folder) else {
        println!("skipped: a small disk cannot be mounted here (it needs root and mount)");
        return;
    };
    let database = disk.0.join("orgkeys.db");
    let subject = Subject::within(folder);
    subject.store.write(|tx| add_large(tx, 200)).wait().expect("written");
    assert_eq!(reserve::held(&database), RESERVE);

    drop(disk.fill(0));
    assert_eq!((disk.free(), space::on_disk(&database)), (0, Some(RESERVE)));
    assert!(matches!(subject.store.write(|tx| add_large(tx, 1)).wait(), Err(StoreError::Full)));
    for number in 2..5 {
        subject.store.write_reserved(move |tx| add_large(tx, number)).wait().expect("there is a reserve");
    }
    assert!(reserve::held(&database) < RESERVE);
    assert!(matches!(subject.store.write(|tx| add_large(tx, 1)).wait(), Err(StoreError::Full)));

    // With nothing left on the disk but the reserve, a store opens and can still revoke.
    let subject = subject.reopened();
    let _ = subject.store.write(|_| Ok::<_, StoreError>(())).wait();
    drop(disk.fill_up());
    assert!(matches!(subject.store.write(|tx| add_large(tx, 1)).wait(), Err(StoreError::Full)));
    subject.store.write_reserved(|tx| add_large(tx, 10)).wait().expect("there is a reserve");
    let subject = subject.reopened();

    disk.empty("filler");
    disk.empty("more");
    subject.store.write(|tx| add_large(tx, 1)).wait().expect("there is room again");
    let subject = subject.reopened();
    // The writer fills the reserve before its first change.
    subject.store.write(|_| Ok::<_, StoreError>(())).wait().expect("written");
    assert_eq!(reserve::held(&database), RESERVE);
    assert_eq!(subject.orgs(), [1, 2, 3, 4, 10, 200].map(id).into());
    drop((subject, disk));
}

#[test]
fn a_full_file_has_room_again_when_deletions_have_freed_pages() {
    let subject = Subject::new();
    subject.store.write(|tx| tx.execute("CREATE TABLE much (bytes BLOB)", [])).wait().expect("created");
    subject.store.write(|tx| tx.execute("INSERT INTO much VALUES (zeroblob(262144))", [])).wait().expect("written");
    subject.leave_room_for(0);
    assert!(matches!(subject.store.write(|tx| add_large(tx, 1)).wait(), Err(StoreError::Full)));
    subject.store.write_reserved(|tx| tx.execute("DELETE FROM much", [])).wait().expect("there is a reserve");
    subject.store.write(|tx| add_large(tx, 2)).wait().expect("there is room again");
    assert_eq!(subject.orgs(), [id(2)].into());
}

#[test]
fn a_sparse_reserve_file_is_filled_again() {
    let subject = Subject::new();
    let database = subject.store.path().to_owned();
    subject.store.write(|tx| add_large(tx, 1)).wait().expect("written");
    let closed = subject.closed();
    let sparse = fs::File::create(database.with_file_name("orgkeys.db.reserve")).expect("a file");
    sparse.set_len(RESERVE).expect("a length");
    drop(sparse);
    assert_eq!(reserve::held(&database), 0);
    let store = closed.open().expect("a store");
    store.write(|tx| add_large(tx, 2)).wait().expect("written");
    assert_eq!(reserve::held(&database), RESERVE);
}

#[test]
fn an_unwanted_reserve_is_released_to_open_a_store_on_a_full_disk() {
    let folder = TempDir::new().expect("a folder");
    let Some(disk) = Disk::on(&folder) else {
        println!("skipped: a small disk cannot be mounted here (it needs root and mount)");
        return;
    };
    let mut closed = Subject::within(folder).closed();
    assert_eq!(reserve::held(&closed.options.path), RESERVE);
    drop(disk.fill(0));
    closed.options.room.reserve = 0;
    let store = closed.open().expect("a store");
    store.write(|tx| add_large(tx, 1)).wait().expect("there is room");
    assert_eq!(reserve::held(store.path()), 0);
    drop((store, closed, disk));
}

#[test]
fn opening_a_store_without_a_reserve_reports_the_full_disk() {
    let folder = TempDir::new().expect("a folder");
    let Some(disk) = Disk::on(&folder) else {
        println!("skipped: a small disk cannot be mounted here (it needs root and mount)");
        return;
    };
    let subject = Subject::within(folder);
    subject.store.write(|tx| add_large(tx, 200)).wait().expect("written");
    let closed = subject.closed();
    fs::remove_file(disk.0.join("orgkeys.db.reserve")).expect("removed");
    drop(disk.fill(0));
    let refusal = closed.open().err().expect("refused").to_string();
    assert!(refusal.starts_with("the disk of "), "{refusal}");
    // A thread of the pool may have closed a connection only now, which frees the space of the log's index.
    let full = format!("orgkeys.db is full ({} bytes are free): free at least", disk.free());
    assert!(refusal.contains(&full), "{refusal}");
    disk.empty("filler");
    drop(closed.open().expect("there is room again"));
    drop(disk);
}
