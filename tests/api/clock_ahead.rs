//! What was made while the clock ran ten years ahead does not last for ten years once it is right again.

use std::sync::Arc;

use hyper::Method;
use orgkeys::actions::clock;
use orgkeys::domain::time::Time;
use orgkeys::server::every_minute;
use serde_json::{Value, json};

use crate::clock::{HOUR, ending_key, key_status, said};
use crate::harness::{Server, blocking, entries};
use crate::outbox::{due, owner_and_hook};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
const TEN_YEARS: i64 = 3_652 * DAY;

/// Sets the clock, and has housekeeping look at it.
async fn set(server: &Server, millis: i64) {
    server.pass(millis);
    let app = Arc::clone(&server.app);
    blocking(move || clock::keep(&app).expect("kept")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_heard_of_while_the_clock_ran_ahead_can_fall_silent() {
    let server = Server::with(|flags| flags.with("node_silent", "10m")).await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.mint(&owner).await;
    set(&server, TEN_YEARS).await;
    assert_eq!(server.register(&owner.org, &pem, "10.0.0.1").await.status, 200);
    set(&server, -TEN_YEARS).await;
    let right = server.now();
    let silences = async || {
        let app = Arc::clone(&server.app);
        blocking(move || every_minute(&app).expect("kept")).await;
        let all = entries(&server.database).await;
        let said = all.into_iter().filter(|entry| entry.action == "node.silent");
        said.map(|entry| entry.detail.expect("a detail")).collect::<Vec<_>>()
    };
    server.pass(10 * MINUTE - 1);
    assert!(silences().await.is_empty());
    server.pass(1);
    let expected = json!({ "ip": "10.0.0.1", "lastContact": Time::from_millis(right).to_string() });
    assert_eq!(silences().await, [expected.to_string()], "as if it had been heard of when the clock was set");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_was_rotated_while_the_clock_ran_ahead_signs_for_seven_days_at_most() {
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
async fn a_clock_that_is_accepted_stays_so_across_a_restart() {
    for ahead in [12 * HOUR, TEN_YEARS] {
        let server = Server::start().await;
        let owner = server.owner_of("acme").await;
        let key = ending_key(&server, &owner, 6 * HOUR).await;
        set(&server, ahead).await;
        set(&server, -ahead).await;
        let app = Arc::clone(&server.app);
        blocking(move || clock::accept(&app).expect("accepted")).await;
        let server = server.restart().await;
        assert_eq!(key_status(&server, &key).await, 200, "{ahead}");
        assert_eq!(said(&server, "clock.backwards").await.len(), 1, "{ahead}");
    }
}
