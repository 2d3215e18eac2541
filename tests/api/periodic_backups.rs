//! The backups that the server makes by itself: what it does about many old ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use orgkeys::actions::periodic_backup::{BackupPlan, PeriodicBackups};
use orgkeys::domain::time::Time;
use orgkeys::store::backup;
use tempfile::TempDir;

use crate::harness::{BEGIN, Server, blocking};

/// The name of a backup of 2023, the earlier the smaller the number.
fn old(folder: &Path, number: i64) -> PathBuf {
    let at = Time::from_millis(BEGIN - 86_400_000 * 30 + number).to_string().replace(':', "");
    folder.join(format!("orgkeys-{at}.backup"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_old_files_are_looked_at_after_each_backup_and_foreign_ones_only_once() {
    let server = Server::start().await;
    let folder = TempDir::new().expect("a folder");
    for number in 0..100 {
        fs::write(old(folder.path(), number), "notes").expect("written");
    }
    let (own, database) = (old(folder.path(), 100), server.database.clone());
    let made = own.clone();
    blocking(move || drop(backup::make(&database, &made, Time::from_millis(BEGIN)).expect("a backup"))).await;
    let plan =
        BackupPlan { dir: folder.path().to_owned(), interval: Duration::from_mins(1), keep: Duration::from_hours(1) };
    let backups = Arc::new(PeriodicBackups::new(plan, &server.system, 0));
    for is_kept in [true, false] {
        server.pass(1_000);
        let running = Arc::clone(&backups);
        blocking(move || running.run(&AtomicBool::new(false))).await;
        assert_eq!((own.exists(), backups.stats().failures), (is_kept, 0));
    }
    assert!((0..100).all(|number| old(folder.path(), number).exists()));
}
