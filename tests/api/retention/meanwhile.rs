//! Retention removes entries while the log is read: an export would have a gap, and a verification begins again.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::Arc;

use orgkeys::actions::audit;
use orgkeys::actions::retention::Retention;
use orgkeys::engine::system::System;
use orgkeys::store::progress;

use super::{days, old};
use crate::harness::{Server, blocking};

/// Removes entries, if there are any to remove.
type Removal = Box<dyn FnMut()>;

thread_local! {
    /// What retention does while a verification on this thread reads the log.
    static REMOVAL: RefCell<Option<Removal>> = const { RefCell::new(None) };
}

/// Runs the retention before the first byte is written.
struct Meanwhile(Option<Arc<System>>);

impl Write for Meanwhile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(system) = self.0.take() {
            assert!(Retention::new(7).remove_old(&system).expect("kept") > 0);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_during_which_entries_are_removed_fails_and_says_to_try_again() {
    let (server, ..) = old().await;
    let (system, database) = (Arc::clone(&server.system), server.database.clone());
    let (meanwhile, again) = blocking(move || {
        let meanwhile = audit::export(&database, Meanwhile(Some(system)));
        (meanwhile, audit::export(&database, Meanwhile(None)))
    })
    .await;
    let moved = meanwhile.expect_err("entries were removed");
    assert_eq!((moved.code, moved.message.contains("run this command again")), ("AUDIT_MOVED", true));
    assert!(again.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_during_which_entries_are_removed_is_tried_three_times() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    // Six days whose entries can be removed one after the other.
    for _ in 0..6 {
        server.events(&owner).await;
        days(&server, 1).await;
    }
    days(&server, 7).await;
    server.events(&owner).await;
    let (system, database) = (Arc::clone(&server.system), server.database.clone());
    let verdicts = blocking(move || {
        progress::watch(|_| REMOVAL.with_borrow_mut(|removal| removal.iter_mut().for_each(|remove| remove())));
        let mut kept_days = (7..=12).rev();
        let verdicts = [1, 2, 3].map(|times| {
            let (system, mut removals) =
                (Arc::clone(&system), kept_days.by_ref().take(times).collect::<Vec<_>>().into_iter());
            let remove = move || {
                if let Some(days) = removals.next() {
                    assert!(Retention::new(days).remove_old(&system).expect("kept") > 0, "{days}");
                }
            };
            REMOVAL.set(Some(Box::new(remove)));
            audit::verify(&database, &[]).map(drop).map_err(|error| error.code)
        });
        REMOVAL.set(None);
        verdicts
    })
    .await;
    assert_eq!(verdicts, [Ok(()), Ok(()), Err("AUDIT_MOVED")]);
}
