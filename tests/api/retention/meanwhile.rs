//! An export during which retention removes entries: what was written would have a gap.

use std::io::{self, Write};
use std::sync::Arc;

use orgkeys::actions::audit;
use orgkeys::actions::retention::Retention;
use orgkeys::engine::system::System;

use super::old;
use crate::harness::blocking;

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
