//! Tests that the write-ahead log stays short: with readers that always overlap, and after a command that held it up.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::writer_tests::subject::{Subject, add};
use super::{StoreError, files};

const MIB: u64 = 1 << 20;

impl Subject {
    fn wal(&self) -> u64 {
        std::fs::metadata(files::beside(self.store.path(), "-wal")).map_or(0, |meta| meta.len())
    }

    /// Writes this many MiB, in changes of a quarter MiB, and returns the maximum size of the log meanwhile.
    fn write_much(&self, mib: u64) -> u64 {
        let mut highest = 0;
        for _ in 0..mib {
            let four: Vec<_> = (0..4)
                .map(|_| {
                    self.store.write(|tx| {
                        add(tx, 1, None, 256 << 10)?;
                        tx.execute("DELETE FROM org", [])
                    })
                })
                .collect();
            for change in four {
                change.wait().expect("written");
            }
            highest = highest.max(self.wal());
        }
        highest
    }

    /// Waits until the log is smaller than `bytes`, as long as that may take.
    fn shrinks_below(&self, bytes: u64) {
        let began = Instant::now();
        while self.wal() >= bytes {
            assert!(began.elapsed() < Duration::from_mins(1), "the log still has {} bytes", self.wal());
            sleep(Duration::from_millis(10));
        }
    }
}

/// Overlapping snapshots: each ends only after the next one has started on another thread.
fn overlap(subject: &Subject, ended: &AtomicBool, turns: &AtomicU64, (send, receive): (Sender<()>, Receiver<()>)) {
    while !ended.load(Ordering::Relaxed) {
        let _ = subject.store.read(|tx| {
            tx.row("SELECT count(*) FROM org", [], |_| Ok(()))?;
            turns.fetch_add(1, Ordering::Relaxed);
            let _ = send.send(());
            let _ = receive.recv();
            Ok::<_, StoreError>(())
        });
    }
}

#[test]
fn overlapping_readers_do_not_prevent_the_log_from_restarting() {
    let subject = Subject::new();
    let (ended, turns) = (AtomicBool::new(false), AtomicU64::new(0));
    let ((to_one, one), (to_other, other)) = (channel(), channel());
    std::thread::scope(|scope| {
        scope.spawn(|| overlap(&subject, &ended, &turns, (to_other, one)));
        scope.spawn(|| {
            let _ = other.recv();
            overlap(&subject, &ended, &turns, (to_one, other));
        });
        let highest = subject.write_much(48);
        ended.store(true, Ordering::Relaxed);
        assert!(highest < 32 * MIB, "the log had {highest} bytes");
    });
    assert!(turns.load(Ordering::Relaxed) > 10);
    subject.shrinks_below(8 * MIB);
}

#[test]
fn a_log_blocked_by_another_process_shrinks_afterwards() {
    let subject = Subject::new();
    subject.store.write(|tx| add(tx, 2, None, 10)).wait().expect("written");
    let conn = super::connection::reading(subject.store.path()).expect("a reader");
    conn.execute_batch("BEGIN").expect("begun");
    conn.query_row("SELECT count(*) FROM org", [], |_| Ok(())).expect("a snapshot");
    assert!(subject.write_much(40) > 32 * MIB, "the snapshot needs all of it");
    let count: i64 = conn.query_row("SELECT count(*) FROM org", [], |row| row.get(0)).expect("a number");
    assert_eq!(count, 1, "the snapshot stands");
    drop(conn);
    subject.shrinks_below(8 * MIB);
}
