//! Tests of the writer's guarantees: an acknowledged change is stored with its audit entry, and any other leaves no
//! trace.

pub(super) mod subject;

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::Connection;

use self::subject::{Subject, add, add_large, id, pragma};
use super::{Rejection, Reply, StoreError, Urgency, audit, files, writer};
use crate::domain::id::OrgId;

#[test]
fn only_the_change_that_fails_or_panics_is_undone() {
    let subject = Subject::new();
    subject.store.write(|tx| add(tx, 1, None, 10)).wait().expect("written");
    let before = subject.store.writer_metrics();
    let (release, held) = subject.hold();
    let chain = id(1);
    let answers = [
        subject.enqueue(Urgency::Ordinary, move |tx| add(tx, 2, Some(chain), 10)),
        subject.enqueue(Urgency::Ordinary, move |tx| {
            add(tx, 3, Some(chain), 10)?;
            add(tx, 4, None, 10)?;
            Err(StoreError::Busy)
        }),
        subject.enqueue(Urgency::Ordinary, move |tx| {
            add(tx, 5, Some(id(2)), 10)?;
            panic!("on purpose")
        }),
        // The table refuses the second one, after the first has moved the chain.
        subject.enqueue(Urgency::Ordinary, move |tx| add(tx, 6, None, 10).and(add(tx, 6, None, 10))),
        subject.enqueue(Urgency::Ordinary, move |tx| add(tx, 7, Some(chain), 10)),
        subject.enqueue(Urgency::MayUseReserve, move |tx| add(tx, 8, None, 10)),
    ];
    drop(release);
    held.wait().expect("released");
    let answers = answers.map(Reply::wait);
    assert!(
        matches!(
            &answers,
            [Ok(_), Err(StoreError::Busy), Err(StoreError::Internal(panic)), Err(StoreError::Internal(_)), Ok(_), Ok(_)]
                if panic == "a change panicked: on purpose"
        ),
        "{answers:?}"
    );
    let after = subject.store.writer_metrics();
    assert_eq!((after.batches - before.batches, after.writes - before.writes, after.waiting), (2, 7, 0));
    subject
        .store
        .write(move |tx| add(tx, 9, Some(chain), 10).and(add(tx, 10, None, 10)))
        .wait()
        .expect("the chains go on");
    assert_eq!(subject.orgs(), [1, 2, 7, 8, 9, 10].map(id).into());
}

#[test]
fn a_recorded_refusal_is_committed_and_a_failed_one_undone() {
    let subject = Subject::new();
    let recorded = subject.store.decide(Urgency::Ordinary, |tx| {
        add(tx, 1, None, 10)?;
        Err::<OrgId, _>(Rejection::Recorded(StoreError::Busy))
    });
    let undone = subject.store.decide(Urgency::Ordinary, |tx| {
        add(tx, 2, None, 10)?;
        Err::<OrgId, _>(Rejection::Undone(StoreError::Busy))
    });
    assert!(matches!([recorded, undone].map(Reply::wait), [Err(StoreError::Busy), Err(StoreError::Busy)]));
    assert_eq!(subject.orgs(), [1].map(id).into());
}

#[test]
fn ids_that_were_passed_over_are_not_issued_and_those_in_use_stay() {
    let subject = Subject::new();
    for (number, passed_over, last) in [(1, 0, 1), (2, 10, 11), (3, 5, 12), (4, 12, 13)] {
        let added = subject.store.write(move |tx| {
            audit::pass_over(tx, passed_over)?;
            add(tx, number, None, 10)
        });
        added.wait().expect("written");
        assert_eq!(subject.store.read(audit::last_id).expect("read"), last, "{passed_over}");
    }
    assert_eq!(subject.orgs().len(), 4);
}

#[test]
fn a_file_that_fills_up_mid_batch_drops_it_and_recovers() {
    let subject = Subject::new();
    subject.store.write(|tx| add_large(tx, 200)).wait().expect("written");
    subject.leave_room_for(24);
    let (release, held) = subject.hold();
    let ran = Arc::new(AtomicUsize::new(0));
    let answers: Vec<_> = (0..64)
        .map(|number| {
            let ran = Arc::clone(&ran);
            subject.enqueue(Urgency::Ordinary, move |tx| {
                ran.fetch_add(1, Ordering::SeqCst);
                add_large(tx, number)
            })
        })
        .collect();
    drop(release);
    held.wait().expect("released");
    for waiting in answers {
        assert!(matches!(waiting.wait(), Err(StoreError::Full)));
    }
    let ran = ran.load(Ordering::SeqCst);
    assert!((2..64).contains(&ran), "the file filled up in the middle, at change {ran}");
    assert_eq!(subject.orgs(), [id(200)].into());

    // With less space left than a change needs, no ordinary change is started, and revocations use the reserve.
    subject.leave_room_for(15);
    assert!(matches!(subject.store.write(|tx| add_large(tx, 201)).wait(), Err(StoreError::Full)));
    subject.store.write_reserved(|tx| add_large(tx, 202)).wait().expect("from the reserve");
    subject.leave_room_for(16);
    subject.store.write(|tx| add_large(tx, 203)).wait().expect("there is room for one change");
    subject.options.room.limit.store(0, Ordering::Relaxed);
    for number in 0..64 {
        subject.store.write(move |tx| add_large(tx, number)).wait().expect("there is room");
    }
    assert_eq!(subject.orgs(), (0..64).chain([200, 202, 203]).map(id).collect());
}

#[test]
fn revocations_survive_the_failure_of_ordinary_changes_in_their_batch() {
    let subject = Subject::new();
    subject.store.write(|tx| add_large(tx, 200)).wait().expect("written");
    subject.leave_room_for(24);
    let (release, held) = subject.hold();
    let answers: Vec<_> = (0..64)
        .map(|number| {
            let urgency = if number % 8 == 0 { Urgency::MayUseReserve } else { Urgency::Ordinary };
            subject.enqueue(urgency, move |tx| add_large(tx, number))
        })
        .collect();
    drop(release);
    held.wait().expect("released");
    for (number, waiting) in (0_u8..).zip(answers) {
        match waiting.wait() {
            Ok(added) => assert_eq!((number % 8, added), (0, id(number))),
            Err(error) => assert!(number % 8 != 0 && matches!(error, StoreError::Full), "{number}: {error}"),
        }
    }
    assert_eq!(subject.orgs(), (0..64).step_by(8).chain([200]).map(id).collect());
}

#[test]
fn revocations_beyond_the_reserve_leave_no_trace() {
    let subject = Subject::new();
    subject.leave_room_for(1);
    let fits = (0..=255).take_while(|number| {
        let number = *number;
        match subject.store.write_reserved(move |tx| add_large(tx, number)).wait() {
            Ok(_) => true,
            Err(StoreError::Full) => false,
            Err(error) => panic!("{error}"),
        }
    });
    let fits = u8::try_from(fits.count()).expect("the reserve is smaller");
    assert!(fits > 10, "{fits}");
    assert_eq!(subject.orgs(), (0..fits).map(id).collect());
    subject.leave_room_for(100);
    subject.store.write(move |tx| add_large(tx, fits)).wait().expect("there is room again");
    assert_eq!(subject.orgs(), (0..=fits).map(id).collect());
}

#[test]
fn a_change_that_continues_after_losing_its_transaction_commits_nothing() {
    let subject = Subject::new();
    subject.leave_room_for(16);
    let outcome = subject.store.write(|tx| {
        let fits = (0..=255).take_while(|number| add_large(tx, *number).is_ok()).count();
        assert!(fits > 2 && tx.conn.is_autocommit(), "SQLite ended the transaction after {fits} rows");
        add(tx, 255, None, 10).or(Ok(id(255)))
    });
    let outcome = outcome.wait();
    assert!(matches!(outcome, Err(StoreError::Full)), "{outcome:?}");
    assert_eq!(subject.orgs(), HashSet::new());
}

#[test]
fn a_full_queue_is_reported_as_busy_and_drains() {
    let subject = Subject::new();
    let (release, held) = subject.hold();
    let answers: Vec<_> = (0..writer::QUEUE).map(|_| subject.enqueue(Urgency::Ordinary, |_| Ok(id(0)))).collect();
    assert!(matches!(subject.store.write(|_| Ok::<_, StoreError>(())).wait(), Err(StoreError::Busy)));
    assert!(matches!(subject.store.write_reserved(|_| Ok::<_, StoreError>(())).wait(), Err(StoreError::Busy)));
    drop(release);
    held.wait().expect("released");
    for waiting in answers {
        waiting.wait().expect("answered");
    }
    subject.store.write(|_| Ok::<_, StoreError>(())).wait().expect("there is a place again");
    assert_eq!(subject.store.writer_metrics().waiting, 0);
}

#[test]
fn every_connection_has_its_pragmas_and_readers_cannot_write() {
    let check = |conn: &Connection, query_only: i64| {
        assert_eq!(pragma::<String>(conn, "journal_mode").expect("a mode"), "wal");
        for (name, value) in [
            ("synchronous", 2),
            ("foreign_keys", 1),
            ("recursive_triggers", 1),
            ("trusted_schema", 0),
            ("cell_size_check", 1),
            ("temp_store", 2),
            ("busy_timeout", 5_000),
            ("query_only", query_only),
        ] {
            assert_eq!(pragma::<i64>(conn, name).expect("a number"), value, "{name}");
        }
    };
    let subject = Subject::new();
    subject
        .store
        .write(move |tx| {
            check(tx.conn, 0);
            Ok::<_, StoreError>(())
        })
        .wait()
        .expect("the writer's pragmas");
    let readers: Vec<_> = (0..4).map(|_| subject.store.readers.get().expect("a reader")).collect();
    for reader in &readers {
        check(reader, 1);
        let error = reader.execute("DELETE FROM org", []).expect_err("a reader");
        assert!(error.to_string().contains("readonly"), "{error}");
    }
}

#[test]
fn every_file_is_readable_by_its_owner_only() {
    let subject = Subject::new();
    subject.store.write(|tx| add(tx, 1, None, 10)).wait().expect("written");
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let path = files::beside(&subject.options.path, suffix);
        let mode = fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}
