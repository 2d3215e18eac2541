//! After a day of downtime a server cannot tell whether its clock is right: it trusts it, and still nothing expired becomes valid.

use std::time::Duration;

use orgkeys::actions::admin::Ttl;
use orgkeys::actions::clock;
use orgkeys::domain::role::Role;
use orgkeys::domain::time::Time;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::access::token;
use crate::clock::{DAY, HOUR, MINUTE, TEN_YEARS, ending_key, key_status, look, server_entries, set, status};
use crate::harness::{Server, blocking};
use crate::sessions;

/// Stops the server, and starts it again three days later.
async fn down(server: Server) -> Server {
    let stopped = server.stop().await;
    stopped.pass(3 * DAY);
    stopped.start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_expired_after_downtime_stay_expired_when_the_clock_is_set_back() {
    for restart in [false, true] {
        let server = Server::start().await;
        let owner = server.owner_of("acme").await;
        let person = sessions::person(&server, &owner.org, Role::User).await;
        let key = ending_key(&server, &owner, 3 * DAY + 30 * MINUTE).await;
        let brief = token(&server, &owner, Ttl::For(Duration::from_mins(3 * 24 * 60 + 30))).await;
        let server = down(server).await;
        let session = person.session(&server).await.identity.token;
        let all = async |server: &Server| {
            let (brief, session) = (status(server, &brief).await, status(server, &session).await);
            [key_status(server, &key).await, brief, session]
        };
        assert_eq!(all(&server).await, [200; 3]);
        server.pass(HOUR);
        assert_eq!(all(&server).await, [401; 3]);
        let server = set(server, -HOUR, restart).await;
        assert_eq!(all(&server).await, [401; 3], "{restart}");
        let server = set(server, -MINUTE, restart).await;
        assert_eq!(all(&server).await, [401; 3], "{restart}");
        let server = server.restart().await;
        assert_eq!(all(&server).await, [401; 3], "{restart}");
        assert_eq!(status(&server, &owner.token).await, 200, "a token without an expiry stays valid");
        let again = person.session(&server).await.identity.token;
        assert_eq!(status(&server, &again).await, 200, "users can sign in");
        assert_eq!(server_entries(&server, "clock.backwards").await.len(), 2, "{restart}");
        assert_eq!(server_entries(&server, "clock.forwards").await.len(), 1, "{restart}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_jump_on_the_day_after_downtime_expires_no_key_permanently() {
    for restart in [false, true] {
        let server = Server::start().await;
        let owner = server.owner_of("acme").await;
        let key = ending_key(&server, &owner, 4 * DAY).await;
        let server = set(down(server).await, TEN_YEARS, restart).await;
        assert_eq!(key_status(&server, &key).await, 401, "while the clock is ahead, it decides what has expired");
        let server = set(server, MINUTE - TEN_YEARS, restart).await;
        assert_eq!(key_status(&server, &key).await, 200, "{restart}");
        let server = server.restart().await;
        assert_eq!(key_status(&server, &key).await, 200, "{restart}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_downtime_a_corrected_clock_can_be_accepted_at_once() {
    let server = down(Server::start().await).await;
    let owner = server.owner_of("acme").await;
    let key = ending_key(&server, &owner, 6 * HOUR).await;
    let server = set(server, 12 * HOUR, false).await;
    let ahead = token(&server, &owner, Ttl::For(Duration::from_hours(1))).await;
    let server = set(server, -12 * HOUR, false).await;
    assert_eq!(key_status(&server, &key).await, 401, "half a day may have passed");
    stuck(&server, true).await;
    assert!(!accepts(&server).await);
    assert_eq!(key_status(&server, &key).await, 401, "it was not accepted");
    stuck(&server, false).await;
    assert!(accepts(&server).await);
    assert_eq!((key_status(&server, &key).await, status(&server, &ahead).await), (200, 200));
    server.pass(HOUR);
    assert_eq!(status(&server, &ahead).await, 401, "it lasts one hour");
    let server = server.restart().await;
    assert_eq!(key_status(&server, &key).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_distinguishes_a_start_after_downtime_from_a_jump() {
    let server = Server::start().await;
    let begin = Time::from_millis(server.now());
    let server = down(server).await;
    let started = server.now();
    server.pass(MINUTE);
    look(&server).await;
    server.pass(2 * DAY);
    look(&server).await;
    let time = |millis| Time::from_millis(millis).to_string();
    let details =
        server_entries(&server, "clock.forwards").await.into_iter().map(|entry| entry.detail.expect("a detail"));
    let details: Vec<Value> = details.map(|detail| serde_json::from_str(&detail).expect("JSON")).collect();
    let (leapt, to) = (started + MINUTE, started + MINUTE + 2 * DAY);
    let expected = [
        json!({ "from": begin.to_string(), "to": time(started), "atStart": true }),
        json!({ "from": time(leapt), "to": time(to), "atStart": false }),
    ];
    assert_eq!(details, expected);
}

/// Lets the server store nothing about its clock, or again.
async fn stuck(server: &Server, is_stuck: bool) {
    let trigger = "CREATE TRIGGER stuck BEFORE UPDATE OF high_water ON server BEGIN SELECT RAISE(ABORT, 'stuck'); END";
    let (database, sql) = (server.database.clone(), if is_stuck { trigger } else { "DROP TRIGGER stuck" });
    let done = blocking(move || Connection::open(database).expect("opened beside the server").execute_batch(sql));
    done.await.expect("done");
}

/// Whether the check of the clock succeeds.
async fn looks(server: &Server) -> bool {
    let system = server.system.clone();
    blocking(move || clock::keep(&system).is_ok()).await
}

/// Whether an administrator can accept the clock.
async fn accepts(server: &Server) -> bool {
    let system = server.system.clone();
    blocking(move || clock::accept(&system).is_ok()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_clock_that_cannot_be_recorded_is_recorded_later() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    for (step, action) in [(-HOUR, "clock.backwards"), (2 * DAY, "clock.forwards")] {
        server.pass(HOUR);
        look(&server).await;
        stuck(&server, true).await;
        let from = server.now();
        server.pass(step);
        for _ in 0..2 {
            assert!(!looks(&server).await, "{action}");
        }
        stuck(&server, false).await;
        look(&server).await;
        look(&server).await;
        let recorded = server_entries(&server, action).await;
        let detail: Vec<_> = recorded.iter().map(|entry| entry.detail.as_deref().expect("a detail")).collect();
        let times = [from, from + step].map(|millis| Time::from_millis(millis).to_string());
        assert!(detail.len() == 1 && times.iter().all(|time| detail[0].contains(time)), "{action}: {detail:?}");
    }
    assert_eq!(status(&server, &owner.token).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_whose_acceptance_cannot_be_stored_is_not_accepted() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let key = ending_key(&server, &owner, 6 * HOUR).await;
    let server = set(set(server, 12 * HOUR, false).await, -12 * HOUR, false).await;
    assert_eq!(key_status(&server, &key).await, 401, "half a day has passed");
    stuck(&server, true).await;
    assert!(!accepts(&server).await);
    assert_eq!(key_status(&server, &key).await, 401, "it would have expired again after the next start");
    stuck(&server, false).await;
    assert!(accepts(&server).await);
    assert_eq!(key_status(&server, &key).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_stopped_remembers_the_time_of_its_stop() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let brief = token(&server, &owner, Ttl::For(Duration::from_mins(30))).await;
    // Nothing is recorded meanwhile.
    server.pass(HOUR);
    assert_eq!(status(&server, &brief).await, 401);
    let stopped = server.stop().await;
    stopped.pass(-HOUR);
    let server = stopped.start().await;
    assert_eq!(status(&server, &brief).await, 401, "it has expired");
}
