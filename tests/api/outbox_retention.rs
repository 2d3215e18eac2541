//! Retention of deliveries: ended ones, pending ones of deleted or dead receivers, and those whose event is removed.

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use orgkeys::actions::delivery::forget::{self, DELIVERIES_PER_CHANGE, STEPS};
use orgkeys::actions::retention::Retention;
use orgkeys::domain::delivery::{MOST_PENDING, Outcome};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::harness::{Identity, Server, blocking, entries};
use crate::outbox::{due, owner_and_hook, settle};
use crate::outbox_limit::change;
use crate::webhooks::Hook;

const DAY: i64 = 86_400_000;

/// Runs the minutely housekeeping of deliveries. Returns how many writes it took.
async fn keep_house(server: &Server) -> u64 {
    let (system, writes) = (Arc::clone(&server.system), server.app.writer_metrics().writes);
    blocking(move || forget::remove_ended(&system).expect("kept")).await;
    server.app.writer_metrics().writes - writes
}

/// Lets days pass, with the clock check of a running server.
async fn days(server: &Server, count: i64) {
    for _ in 0..count {
        server.pass(DAY);
        let system = Arc::clone(&server.system);
        blocking(move || orgkeys::actions::clock::keep(&system).expect("kept")).await;
    }
}

async fn number(server: &Server, sql: &'static str) -> i64 {
    let database = server.database.clone();
    blocking(move || {
        let conn = Connection::open(database).expect("the file");
        conn.query_row(sql, [], |row| row.get(0)).expect("a number")
    })
    .await
}

/// Inserts so many deliveries of the newest event to every webhook, beside the server.
pub async fn fill(server: &Server, count: u32, state: &'static str) {
    let (database, now) = (server.database.clone(), server.now());
    blocking(move || {
        let conn = Connection::open(database).expect("the file");
        conn.busy_timeout(Duration::from_secs(30)).expect("a timeout");
        let ended = if state == "pending" { "NULL".to_owned() } else { now.to_string() };
        let sql = format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
             INSERT INTO delivery (id, webhook, event, state, due_at, attempts, created_at, ended_at)
             SELECT unhex(printf('01%014x', i) || hex(randomblob(8))), webhook.id, (SELECT max(id) FROM audit), '{state}', {now}, 1, {now}, {ended}
             FROM webhook, n"
        );
        conn.execute_batch(&sql).expect("filled");
    })
    .await;
}

async fn total(server: &Server, owner: &Identity, hook: &Hook, query: &str) -> i64 {
    hook.deliveries(server, owner, query).await["total"].as_i64().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_1000_delivered_are_kept_for_30_days() {
    let server = Server::start().await;
    let (owner, hook) = owner_and_hook(&server).await;
    let first = total(&server, &owner, &hook, "").await;
    assert_eq!(first, 1, "the event of its creation");
    fill(&server, 999, "delivered").await;
    assert_eq!(keep_house(&server).await, 0, "exactly a thousand");
    server.pass(1);
    let id = hook.tested(&server, &owner).await;
    settle(&server, vec![(id.clone(), Outcome::Taken { status: 200 })]).await;
    assert_eq!(total(&server, &owner, &hook, "").await, 1_001, "recording a result deletes nothing");
    hook.tested(&server, &owner).await;
    assert_eq!(keep_house(&server).await, 1);
    assert_eq!(total(&server, &owner, &hook, "?state=delivered").await, 1_000);
    let listed = hook.deliveries(&server, &owner, "?state=delivered&take=1000").await["data"].clone();
    assert!(
        listed.as_array().expect("a list").iter().any(|delivery| delivery["id"] == id),
        "one of the oldest is deleted"
    );

    days(&server, 30).await;
    assert_eq!(keep_house(&server).await, 2, "999 in two steps");
    assert_eq!(total(&server, &owner, &hook, "?state=delivered").await, 1, "exactly thirty days old");
    server.pass(1);
    keep_house(&server).await;
    assert_eq!(total(&server, &owner, &hook, "").await, 1, "pending deliveries stay, however old");
    assert_eq!(total(&server, &owner, &hook, "?state=pending").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_deliveries_can_be_replayed_after_many_successes() {
    let server = Server::start().await;
    let (owner, hook) = owner_and_hook(&server).await;
    let id = hook.tested(&server, &owner).await;
    fill(&server, 2_999, "pending").await;
    settle(&server, vec![(id, Outcome::Gone)]).await;
    due(&server, &[], 32).await;
    assert_eq!(total(&server, &owner, &hook, "?state=failed").await, 3_000);
    keep_house(&server).await;
    server.pass(1);
    fill(&server, 1_500, "delivered").await;
    keep_house(&server).await;
    assert_eq!(total(&server, &owner, &hook, "?state=delivered").await, 1_000);
    hook.call(&server, &owner, Method::PUT, "", json!({ "disabled": false, "contexts": [0] })).await;
    let mut replayed = Vec::new();
    for _ in 0..4 {
        let since = json!({ "since": "2024-01-15T00:00:00Z" });
        replayed.push(hook.call(&server, &owner, Method::POST, "/replay", since).await.json()["data"].clone());
    }
    let (page, last, none) = ((1_000, true), (1_000, false), (0, false));
    let pages = [page, page, last, none].map(|(count, more)| json!({ "count": count, "more": more }));
    assert_eq!(replayed, pages);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_deliveries_are_kept_up_to_the_pending_limit_for_30_days() {
    let server = Server::start().await;
    let (owner, hook) = owner_and_hook(&server).await;
    fill(&server, MOST_PENDING + 1, "failed").await;
    keep_house(&server).await;
    assert_eq!(total(&server, &owner, &hook, "?state=failed").await, i64::from(MOST_PENDING));
    days(&server, 30).await;
    keep_house(&server).await;
    assert_eq!(total(&server, &owner, &hook, "?state=failed").await, i64::from(MOST_PENDING));
    server.pass(1);
    keep_house(&server).await;
    assert_eq!(total(&server, &owner, &hook, "?state=failed").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_jump_deletes_no_deliveries() {
    let server = Server::start().await;
    let (owner, hook) = owner_and_hook(&server).await;
    server.pass(3_652 * DAY);
    keep_house(&server).await;
    assert_eq!(total(&server, &owner, &hook, "").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cleanup_run_is_bounded_and_the_next_one_continues() {
    let server = Server::start().await;
    let (_, _) = owner_and_hook(&server).await;
    let most = DELIVERIES_PER_CHANGE * STEPS;
    fill(&server, most + 1_499, "delivered").await;
    assert_eq!(keep_house(&server).await, u64::from(STEPS));
    assert_eq!(number(&server, "SELECT count(*) FROM delivery").await, 1_500);
    assert_eq!(keep_house(&server).await, 2, "500, and a check for more");
    assert_eq!(number(&server, "SELECT count(*) FROM delivery").await, 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_webhook_is_gone_at_once_and_its_deliveries_in_steps() {
    let server = Server::start().await;
    let (owner, hook) = owner_and_hook(&server).await;
    let other = Hook::make(&server, &owner, &json!({ "url": "https://b.example", "contexts": [1] })).await;
    fill(&server, 1_200, "pending").await;
    let (before, _) = due(&server, &[], 100).await;
    assert!(before.iter().any(|attempt| attempt.webhook.to_string() == hook.id));
    let total_before = total(&server, &owner, &other, "").await;
    let deleted = hook.call(&server, &owner, Method::DELETE, "", Value::Null).await;
    assert_eq!(deleted.status, 200);
    assert!(number(&server, "SELECT count(*) FROM delivery").await > 2_400, "the deletion does not wait for them");
    assert_eq!(hook.call(&server, &owner, Method::GET, "/deliveries", Value::Null).await.status, 404);
    let (after, _) = due(&server, &[], 100).await;
    assert!(!after.is_empty() && after.iter().all(|attempt| attempt.webhook.to_string() == other.id));
    let id = before.iter().find(|attempt| attempt.webhook.to_string() == hook.id).expect("one").id.to_string();
    settle(&server, vec![(id, Outcome::Gone)]).await;
    assert_eq!(keep_house(&server).await, 3, "500, 500 and the rest");
    assert_eq!(total(&server, &owner, &other, "").await, total_before);
    assert_eq!(number(&server, "SELECT count(*) FROM delivery").await, total_before);
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_to_a_gone_receiver_are_failed_in_steps_even_after_a_crash() {
    let server = Server::start().await;
    let (owner, hook) = owner_and_hook(&server).await;
    let id = hook.tested(&server, &owner).await;
    fill(&server, 1_200, "pending").await;
    let writes = server.app.writer_metrics().writes;
    settle(&server, vec![(id, Outcome::Gone)]).await;
    assert_eq!(due(&server, &[], 32).await.0.len(), 0);
    assert_eq!(server.app.writer_metrics().writes - writes, 4, "the result, 500, 500 and the rest");
    assert_eq!(total(&server, &owner, &hook, "?state=failed").await, 1_201);
    assert_eq!(server.events(&owner).await.remove(0)["jsonData"], r#"{"failed":1201,"why":"gone"}"#);
    // As left by a server that was killed in between.
    fill(&server, 2, "pending").await;
    keep_house(&server).await;
    assert_eq!(total(&server, &owner, &hook, "?state=pending").await, 0);
    // Deliveries of a webhook that an administrator has disabled wait.
    hook.call(&server, &owner, Method::PUT, "", json!({ "disabled": false })).await;
    hook.call(&server, &owner, Method::PUT, "", json!({ "disabled": true })).await;
    let waits = total(&server, &owner, &hook, "?state=pending").await;
    keep_house(&server).await;
    assert_eq!((waits, total(&server, &owner, &hook, "?state=pending").await), (1, 1));
}

/// Creates two webhooks, disables the first with deliveries pending, and lets eight days pass.
async fn old() -> (Server, Identity, Hook, Hook) {
    let server = Server::start().await;
    let (owner, off) = owner_and_hook(&server).await;
    let witness = Hook::make(&server, &owner, &json!({ "url": "https://b.example", "contexts": [8] })).await;
    for name in ["a", "b"] {
        server.project(&owner, name).await;
    }
    off.call(&server, &owner, Method::PUT, "", json!({ "disabled": true })).await;
    let taken = due(&server, &[], 100).await.0.into_iter().map(|attempt| attempt.id.to_string());
    settle(&server, taken.map(|id| (id, Outcome::Taken { status: 200 })).collect()).await;
    days(&server, 8).await;
    (server, owner, off, witness)
}

/// Runs the retention of seven days of audit log. Returns how many writes it took.
async fn retain(server: &Server) -> u64 {
    let (system, writes) = (Arc::clone(&server.system), server.app.writer_metrics().writes);
    blocking(move || Retention::new(7).remove_old(&system).expect("kept")).await;
    server.app.writer_metrics().writes - writes
}

/// The details of all events about abandoned deliveries, and the actions in the chain.
async fn given_up(server: &Server, owner: &Identity) -> (Vec<Value>, Vec<String>) {
    let chain = entries(&server.database).await.into_iter().filter(|entry| entry.org == owner.org);
    let chain: Vec<_> = chain.collect();
    let failed = chain.iter().filter(|entry| entry.action == "webhook.failed");
    let details = failed.map(|entry| serde_json::from_str(entry.detail.as_deref().expect("a detail")).expect("JSON"));
    (details.collect(), chain.iter().map(|entry| entry.action.clone()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn pending_deliveries_are_reported_as_failed_before_retention_removes_their_event() {
    let (server, owner, off, witness) = old().await;
    let waits = total(&server, &owner, &off, "?state=pending").await;
    assert_eq!(waits, 3, "the creation of the other webhook, and two projects");
    retain(&server).await;
    let (details, actions) = given_up(&server, &owner).await;
    assert_eq!(details, [json!({ "count": 3 })], "one event for the webhook");
    assert_eq!(actions[actions.len() - 2..], ["webhook.failed", "audit.trim"]);
    assert_eq!(total(&server, &owner, &off, "").await, 0);
    let told = due(&server, &[], 100).await.0;
    assert_eq!((told.len(), told[0].webhook.to_string()), (1, witness.id.clone()), "the other webhook is notified");
    // If that does not arrive either, no event follows, or two failing webhooks would notify each other for ever.
    off.call(&server, &owner, Method::PUT, "", json!({ "disabled": false })).await;
    let others = due(&server, &[told[0].in_flight()], 100).await.0.into_iter().map(|attempt| attempt.id.to_string());
    settle(&server, others.map(|id| (id, Outcome::Taken { status: 200 })).collect()).await;
    days(&server, 9).await;
    retain(&server).await;
    assert_eq!(given_up(&server, &owner).await.0, [json!({ "count": 1 })]);
    assert_eq!(due(&server, &[], 100).await.0.len(), 0);
    retain(&server).await;
    assert_eq!(given_up(&server, &owner).await.0.len(), 1, "once");
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_of_trimmed_events_cannot_be_replayed() {
    let server = Server::start().await;
    let (owner, hook) = owner_and_hook(&server).await;
    let old = hook.tested(&server, &owner).await;
    settle(&server, vec![(old.clone(), Outcome::Gone)]).await;
    days(&server, 8).await;
    hook.call(&server, &owner, Method::PUT, "", json!({ "disabled": false, "contexts": [1] })).await;
    let young = hook.tested(&server, &owner).await;
    settle(&server, vec![(young.clone(), Outcome::Gone)]).await;
    hook.call(&server, &owner, Method::PUT, "", json!({ "disabled": false })).await;
    // As left by a server that was killed between trimming and removing.
    let killed = "CREATE TRIGGER killed BEFORE DELETE ON audit WHEN OLD.action = 'webhook.test'
        BEGIN SELECT RAISE(ABORT, 'killed'); END";
    change(&server, killed).await;

    let system = Arc::clone(&server.system);
    blocking(move || Retention::new(7).remove_old(&system).expect_err("killed")).await;
    let one = hook.call(&server, &owner, Method::POST, &format!("/deliveries/{old}/replay"), Value::Null).await;
    assert_eq!(one.refusal(), (404, "DELIVERY_NOT_FOUND".to_owned()));
    let since = json!({ "since": "2024-01-15T00:00:00Z" });
    let all = hook.call(&server, &owner, Method::POST, "/replay", since).await.json();
    let message = "Replayed 1 failed delivery";
    assert_eq!(all, json!({ "success": true, "message": message, "data": { "count": 1, "more": false } }));
    let again = due(&server, &[], 32).await.0;
    assert_eq!(again.iter().map(|attempt| attempt.id.to_string()).collect::<Vec<_>>(), [young]);
    change(&server, "DROP TRIGGER killed").await;
    retain(&server).await;
    assert_eq!(given_up(&server, &owner).await.0, Vec::<Value>::new(), "no pending delivery was lost");
    assert_eq!(total(&server, &owner, &hook, "").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_of_removed_events_are_deleted_in_separate_steps() {
    let (server, owner, off, _) = old().await;
    let plain = {
        let (server, ..) = old().await;
        retain(&server).await
    };
    fill_old(&server, 1_200).await;
    assert_eq!(retain(&server).await - plain, 2, "500 and 500 more than the few that are removed with their events");
    assert_eq!(total(&server, &owner, &off, "").await, 0);
    assert_eq!(number(&server, "SELECT count(*) FROM delivery WHERE event NOT IN (SELECT id FROM audit)").await, 0);
}

/// Inserts so many deliveries of the oldest event that is sent to the first webhook.
async fn fill_old(server: &Server, count: u32) {
    let database = server.database.clone();
    blocking(move || {
        let conn = Connection::open(database).expect("the file");
        conn.busy_timeout(Duration::from_secs(30)).expect("a timeout");
        let sql = format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
             INSERT INTO delivery (id, webhook, event, state, due_at, attempts, created_at, ended_at)
             SELECT randomblob(16), webhook, event, 'delivered', due_at, 1, created_at, created_at
             FROM (SELECT * FROM delivery ORDER BY event LIMIT 1), n"
        );
        conn.execute_batch(&sql).expect("filled");
    })
    .await;
}
