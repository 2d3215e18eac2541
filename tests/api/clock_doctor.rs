//! What `orgkeys doctor` reports about a clock that is behind the database, or far ahead of it.

use std::path::Path;

use orgkeys::actions::doctor::{self, Finding, Patient};
use orgkeys::domain::time::Time;

use crate::clock::{HOUR, MINUTE, TEN_YEARS, look};
use crate::harness::{Server, blocking};

/// The finding about the clock of a stopped server, at this time.
async fn found(database: &Path, millis: i64) -> Finding {
    let database = database.to_owned();
    blocking(move || {
        let patient =
            Patient { database: &database, reserve: 0, most: 0, nodes: 1, key_file: None, backups: None, quick: true };
        let found = doctor::examine(&patient, Time::from_millis(millis)).expect("it can be looked at");
        found.into_iter().find(|finding| finding.check == "clock").expect("the clock was looked at")
    })
    .await
}

/// Expects a problem with this message, and a remedy that names both ways out.
fn acts(finding: &Finding, message: &str) {
    assert!(!finding.ok && finding.message.contains(message), "{finding:?}");
    let remedy = finding.remedy.as_deref().expect("a remedy");
    for way in ["timedatectl set-ntp true", "stop the server, run `orgkeys clock accept`"] {
        assert!(remedy.contains(way), "{finding:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_one_second_behind_is_fine_and_more_is_not() {
    let server = Server::start().await;
    let (database, now) = (server.database.clone(), server.now());
    let _folder = server.stop().await;
    for behind in [0, 1_000] {
        let found = found(&database, now - behind).await;
        assert!(found.ok, "{found:?}");
    }
    acts(&found(&database, now - 1_001).await, "but the database has recorded the later time 2024-01-15T10:30:00.000Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ten_year_jump_is_reported_until_the_clock_is_corrected() {
    let server = Server::start().await;
    let database = server.database.clone();
    server.pass(TEN_YEARS);
    look(&server).await;
    let ahead = server.now();
    let stopped = server.stop().await;
    acts(&found(&database, ahead + MINUTE).await, "more than a day after 2024-01-15T10:30:00.000Z");
    stopped.pass(-TEN_YEARS);
    acts(&found(&database, ahead - TEN_YEARS).await, "but the database has recorded the later time 2034-01-");
    let _folder = stopped.start().await.stop().await;
    let found = found(&database, ahead - TEN_YEARS).await;
    assert!(found.ok, "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_day_jump_is_reported_before_and_after_the_next_start() {
    let server = Server::start().await;
    let (database, right) = (server.database.clone(), server.now());
    server.pass(12 * HOUR);
    look(&server).await;
    let stopped = server.stop().await;
    stopped.pass(-12 * HOUR);
    acts(&found(&database, right).await, "but the database has recorded the later time 2024-01-15T22:30:00.000Z");
    let server = stopped.start().await;
    server.pass(MINUTE);
    let _folder = server.stop().await;
    acts(
        &found(&database, right + MINUTE).await,
        "but the database has recorded the later time 2024-01-15T22:30:00.000Z",
    );
}
