//! What was created while the clock was ten years ahead does not last ten years once the clock is right again.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hyper::Method;
use orgkeys::actions::jobs::Jobs;
use orgkeys::actions::periodic_backup::{BackupPlan, PeriodicBackups};
use orgkeys::actions::{backup, clock};
use orgkeys::domain::time::Time;
use orgkeys::store;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::clock::{HOUR, ending_key, key_status, server_entries};
use crate::harness::{Server, blocking, entries};
use crate::outbox::{due, owner_and_hook};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
const TEN_YEARS: i64 = 3_652 * DAY;

/// Moves the clock, and runs the clock check of the housekeeping.
async fn set(server: &Server, millis: i64) {
    server.pass(millis);
    let system = Arc::clone(&server.system);
    blocking(move || clock::keep(&system).expect("kept")).await;
}

/// Runs the housekeeping. Returns the detail of each announcement so far.
pub async fn announced(server: &Server, action: &str) -> Vec<String> {
    let system = Arc::clone(&server.system);
    blocking(move || assert!(Jobs::new(system, 0).run_due(0).is_empty())).await;
    let recorded = entries(&server.database).await.into_iter().filter(|entry| entry.action == action);
    recorded.map(|entry| entry.detail.expect("a detail")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_seen_while_the_clock_was_ahead_can_still_fall_silent() {
    let server = Server::with(|flags| flags.with("node_silent", "10m")).await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    set(&server, TEN_YEARS).await;
    assert_eq!(server.register(&owner.org, &pem, "10.0.0.1").await.status, 200);
    set(&server, -TEN_YEARS).await;
    let right = server.now();
    let silences = async || announced(&server, "node.silent").await;
    server.pass(10 * MINUTE - 1);
    assert!(silences().await.is_empty());
    server.pass(1);
    let expected = json!({ "ip": "10.0.0.1", "lastContact": Time::from_millis(right).to_string() });
    assert_eq!(silences().await, [expected.to_string()], "the last contact counts as the moment of the correction");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_rotated_with_the_clock_ahead_signs_for_at_most_7_days() {
    let server = Server::start().await;
    let (owner, hook) = owner_and_hook(&server).await;
    set(&server, TEN_YEARS).await;
    let rotate = json!({ "overlapSeconds": 604_800 });
    assert_eq!(hook.call(&server, &owner, Method::POST, "/rotate-secret", rotate).await.status, 200);
    let until = async || hook.shown(&server, &owner).await["previousSecretUntil"].clone();
    let stated = |millis| Value::String(Time::from_millis(millis).to_string());
    assert_eq!(until().await, stated(server.now() + 7 * DAY));
    set(&server, -TEN_YEARS).await;
    assert_eq!(until().await, stated(server.now() + 7 * DAY));
    hook.tested(&server, &owner).await;
    let secrets = async || {
        let attempts = due(&server, &[], 100).await.0;
        attempts.last().expect("one is due").secrets.len()
    };
    for _ in 0..6 {
        set(&server, DAY).await;
    }
    set(&server, DAY - 1).await;
    assert_eq!(secrets().await, 2);
    set(&server, 1).await;
    assert_eq!((secrets().await, until().await), (1, Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_jump_removes_no_backup() {
    let server = Server::start().await;
    let folder = TempDir::new().expect("a folder");
    let day = Duration::from_hours(24);
    let plan = BackupPlan { dir: folder.path().to_owned(), interval: day, keep: day };
    let backups = Arc::new(PeriodicBackups::new(plan, &server.system, 0));
    let kept = async || {
        let (backups, dir) = (Arc::clone(&backups), folder.path().to_owned());
        blocking(move || {
            backups.run(&AtomicBool::new(false));
            let names = fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").file_name());
            names.filter(|name| name.to_string_lossy().ends_with(".backup")).count()
        })
        .await
    };
    assert_eq!(kept().await, 1);
    set(&server, TEN_YEARS).await;
    assert_eq!(kept().await, 2, "the first one may be the only right one");
    set(&server, -TEN_YEARS).await;
    set(&server, DAY).await;
    assert_eq!(kept().await, 3);
    set(&server, 1).await;
    assert_eq!(kept().await, 3, "the first one is too old now");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_from_the_future_does_not_put_off_the_next_one() {
    let server = Server::start().await;
    let hours = Duration::from_hours;
    for (made, wait) in [(-30, hours(0)), (-23, hours(1)), (0, hours(24)), (1, hours(24)), (9_000, hours(24))] {
        let folder = TempDir::new().expect("a folder");
        let at = Time::from_millis(server.now() + made * HOUR).to_string().replace(':', "");
        fs::write(folder.path().join(format!("orgkeys-{at}.backup")), "").expect("written");
        let plan = BackupPlan { dir: folder.path().to_owned(), interval: hours(24), keep: hours(24) };
        assert_eq!(PeriodicBackups::new(plan, &server.system, 0).first_wait(), wait, "made {made} hours from now");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_from_the_future_does_not_keep_later_ones_out_of_the_audit_log() {
    let server = Server::start().await;
    let now = server.now();
    for (n, at) in [now, now + TEN_YEARS, now + HOUR, now + TEN_YEARS, now + 2 * HOUR].into_iter().enumerate() {
        let at = Time::from_millis(at);
        let (system, database) = (Arc::clone(&server.system), server.database.clone());
        let file = database.with_file_name(format!("{n}.backup"));
        blocking(move || {
            store::backup::make(&database, &file, at).expect("a backup").1.expect("noted");
            for _ in 0..2 {
                assert_eq!(backup::notice(&system).expect("noticed"), Some(at));
            }
        })
        .await;
        let recorded = server_entries(&server, "server.backup").await;
        assert_eq!(recorded.len(), n + 1, "each one once");
        assert!(recorded[n].detail.as_ref().is_some_and(|detail| detail.contains(&at.to_string())), "{recorded:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_backup_that_failed_the_next_comes_within_a_minute() {
    let server = Server::start().await;
    let folder = TempDir::new().expect("a folder");
    let (minute, hour) = (Duration::from_mins(1), Duration::from_hours(1));
    let wait = async |dir: &str, interval: Duration| {
        let plan = BackupPlan { dir: folder.path().join(dir), interval, keep: hour };
        let backups = PeriodicBackups::new(plan, &server.system, 0);
        blocking(move || (backups.run(&AtomicBool::new(false)), backups.stats().failures)).await
    };
    assert_eq!(wait("missing/backups", hour).await, (minute, 1));
    assert_eq!(wait("missing/backups", minute / 6).await, (minute / 6, 1), "never later than usual");
    // What the backup took counts.
    let (next, failures) = wait("backups", hour).await;
    assert!(next < hour && next + minute > hour && failures == 0, "{next:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_clock_stays_accepted_after_a_restart() {
    for ahead in [12 * HOUR, TEN_YEARS] {
        let server = Server::start().await;
        let owner = server.owner_of("acme").await;
        let key = ending_key(&server, &owner, 6 * HOUR).await;
        set(&server, ahead).await;
        set(&server, -ahead).await;
        let system = Arc::clone(&server.system);
        blocking(move || clock::accept(&system).expect("accepted")).await;
        let server = server.restart().await;
        assert_eq!(key_status(&server, &key).await, 200, "{ahead}");
        assert_eq!(server_entries(&server, "clock.backwards").await.len(), 1, "{ahead}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_jump_neither_announces_nor_hides_a_silent_node() {
    let server = Server::with(|flags| flags.with("node_silent", "10m")).await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    let heard = server.now();
    assert_eq!(server.register(&owner.org, &pem, "10.0.0.1").await.status, 200);
    set(&server, TEN_YEARS).await;
    assert!(announced(&server, "node.silent").await.is_empty());
    set(&server, -TEN_YEARS).await;
    set(&server, 10 * MINUTE).await;
    let expected = json!({ "ip": "10.0.0.1", "lastContact": Time::from_millis(heard).to_string() });
    assert_eq!(announced(&server, "node.silent").await, [expected.to_string()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silence_is_announced_again_after_another_clock_is_accepted() {
    let server = Server::with(|flags| flags.with("node_silent", "10m")).await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    assert_eq!(server.register(&owner.org, &pem, "10.0.0.1").await.status, 200);
    for millis in [TEN_YEARS, DAY / 2, DAY / 2] {
        assert!(announced(&server, "node.silent").await.is_empty());
        set(&server, millis).await;
    }
    assert_eq!(announced(&server, "node.silent").await.len(), 1, "the clock is trusted");
    set(&server, -TEN_YEARS).await;
    let system = Arc::clone(&server.system);
    blocking(move || clock::accept(&system).expect("accepted")).await;
    assert_eq!(announced(&server, "node.silent").await.len(), 2, "there was no contact for a day");
    assert_eq!(announced(&server, "node.silent").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn key_expiry_announced_by_a_clock_jump_is_announced_again_when_due() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    // (days until the key expires, lead times that are announced)
    for (days, leads) in [(40, &[1, 30, 7, 1][..]), (20, &[30, 1, 7, 1])] {
        let end = Time::from_millis(server.now() + days * DAY).to_string();
        ending_key(&server, &owner, days * DAY).await;
        let expected: Vec<_> = leads.iter().map(|lead| json!({ "days": lead, "ends": end }).to_string()).collect();
        let mine = async || {
            let details = announced(&server, "apikey.expiring").await;
            details.into_iter().filter(|detail| detail.contains(&end)).collect::<Vec<_>>()
        };
        mine().await;
        set(&server, (days - 1) * DAY).await;
        mine().await;
        set(&server, (1 - days) * DAY).await;
        for _ in 1..days {
            set(&server, DAY).await;
            mine().await;
        }
        assert_eq!(mine().await, expected, "{days}");
    }
}
