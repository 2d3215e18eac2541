//! The limit of pending deliveries per webhook: at the limit everything waits, beyond it the webhook is disabled and says so.

use futures_util::future::join_all;
use hyper::Method;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::harness::{Identity, Server, blocking};
use crate::outbox::{due, owner_and_hook};
use crate::outbox_down::details;
use crate::webhooks::Hook;

const MOST: i64 = 10_000;

/// Changes the database beside the server.
pub async fn change(server: &Server, sql: &str) {
    let (database, sql) = (server.database.clone(), sql.to_owned());
    blocking(move || Connection::open(database).expect("the file").execute_batch(&sql).expect("changed")).await;
}

/// A number from the database.
pub async fn number(server: &Server, sql: &str) -> i64 {
    let (database, sql) = (server.database.clone(), sql.to_owned());
    blocking(move || {
        let conn = Connection::open(database).expect("the file");
        conn.query_row(&sql, [], |row| row.get(0)).expect("a number")
    })
    .await
}

/// Inserts so many deliveries of the last event to a webhook.
pub async fn fill(server: &Server, hook: &Hook, count: i64, state: &str) {
    let (now, id) = (server.now(), hook.id.replace("webhook-", "").replace('-', ""));
    let ended = if state == "pending" { "NULL".to_owned() } else { now.to_string() };
    change(
        server,
        &format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
             INSERT INTO delivery (id, webhook, event, state, due_at, attempts, created_at, ended_at)
             SELECT randomblob(16), x'{id}', (SELECT max(id) FROM audit), '{state}', {now}, 0, {now}, {ended} FROM n"
        ),
    )
    .await;
}

/// Whether the pending counter of every webhook is right.
async fn is_counted(server: &Server) -> bool {
    let wrong = "SELECT count(*) FROM webhook WHERE pending <>
        (SELECT count(*) FROM delivery WHERE webhook = webhook.id AND state = 'pending')";
    number(server, wrong).await == 0
}

async fn refusal(server: &Server, owner: &Identity, hook: &Hook, rest: &str, body: Value) -> (u16, String) {
    hook.call(server, owner, Method::POST, rest, body).await.refusal()
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_10000_pending_deliveries_disable_a_webhook() {
    let server = Server::start().await;
    let (owner, hook) = owner_and_hook(&server).await;
    let witness = Hook::make(&server, &owner, &json!({ "url": "https://b.example", "contexts": [8] })).await;
    change(&server, "DELETE FROM delivery").await;
    fill(&server, &hook, 1, "failed").await;
    let ended = hook.deliveries(&server, &owner, "").await["data"][0]["id"].as_str().expect("an id").to_owned();
    fill(&server, &hook, MOST - 1, "pending").await;
    server.project(&owner, "a").await;
    assert_eq!(hook.deliveries(&server, &owner, "?state=pending&take=1").await["total"], MOST, "exactly at the limit");
    let full = (409, "WEBHOOK_FULL".to_owned());
    let since = json!({ "since": "2024-01-15T10:00:00Z" });
    assert_eq!(refusal(&server, &owner, &hook, "/test", Value::Null).await, full);
    assert_eq!(refusal(&server, &owner, &hook, &format!("/deliveries/{ended}/replay"), Value::Null).await, full);
    assert_eq!(refusal(&server, &owner, &hook, "/replay", since.clone()).await, full);
    assert!(is_counted(&server).await && hook.shown(&server, &owner).await["disabled"] == false);

    server.project(&owner, "b").await;
    let shown = hook.shown(&server, &owner).await;
    assert_eq!((&shown["disabled"], &shown["disabledWhy"]), (&json!(true), &json!("overfull")));
    assert_eq!(details(&server, "webhook.disabled").await, [json!({ "failed": MOST, "why": "overfull" })]);
    let (tries, _) = due(&server, &[], 32).await;
    assert_eq!((tries.len(), tries[0].webhook.to_string()), (1, witness.id), "another webhook is notified");
    assert_eq!(hook.deliveries(&server, &owner, "?state=failed&take=1").await["total"], MOST + 1);
    assert!(String::from_utf8_lossy(&tries[0].body).contains("webhook.disabled"));
    server.project(&owner, "c").await;
    assert!(is_counted(&server).await && due(&server, &[], 32).await.0.len() == 1);

    hook.call(&server, &owner, Method::PUT, "", json!({ "disabled": false })).await;
    let again = hook.call(&server, &owner, Method::POST, "/replay", since).await.json();
    assert_eq!(again["data"], json!({ "count": 1_000, "more": true }));
    assert!(is_counted(&server).await);
    hook.call(&server, &owner, Method::DELETE, "", Value::Null).await;
    assert!(is_counted(&server).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_events_at_the_limit_disable_a_webhook_once() {
    let server = Server::start().await;
    let (owner, hook) = owner_and_hook(&server).await;
    change(&server, "DELETE FROM delivery").await;
    fill(&server, &hook, MOST - 5, "pending").await;
    join_all((0..16).map(|_| server.project(&owner, "a"))).await;
    assert_eq!(details(&server, "webhook.disabled").await, [json!({ "failed": MOST, "why": "overfull" })]);
    assert_eq!(number(&server, "SELECT count(*) FROM delivery").await, MOST);
    assert!(is_counted(&server).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_stops_at_the_limit_of_pending_deliveries() {
    let server = Server::start().await;
    let (owner, hook) = owner_and_hook(&server).await;
    fill(&server, &hook, 10, "failed").await;
    server.pass(1);
    fill(&server, &hook, 10, "failed").await;
    fill(&server, &hook, MOST - 10, "pending").await;
    // The replay itself is an event.
    hook.call(&server, &owner, Method::PUT, "", json!({ "contexts": [0] })).await;
    let since = json!({ "since": "2024-01-15T10:00:00Z" });
    let replayed = hook.call(&server, &owner, Method::POST, "/replay", since.clone()).await.json();
    assert_eq!(replayed["data"], json!({ "count": 10, "more": true }));
    let left = number(&server, "SELECT min(ended_at) FROM delivery WHERE state = 'failed'").await;
    assert_eq!(left, server.now(), "the first to fail are replayed first");
    assert_eq!(refusal(&server, &owner, &hook, "/replay", since).await, (409, "WEBHOOK_FULL".to_owned()));
    assert!(is_counted(&server).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_disables_every_full_webhook_once() {
    let server = Server::start().await;
    let (owner, first) = owner_and_hook(&server).await;
    let mut hooks = vec![first];
    for _ in 0..2 {
        hooks.push(Hook::make(&server, &owner, &json!({ "url": "https://b.example" })).await);
    }
    // This one fills up with the event itself, and is disabled by the next, which reports that another was disabled.
    let last = Hook::make(&server, &owner, &json!({ "url": "https://c.example" })).await;
    change(&server, "DELETE FROM delivery").await;
    for hook in &hooks {
        fill(&server, hook, MOST, "pending").await;
    }
    fill(&server, &last, MOST - 1, "pending").await;
    server.project(&owner, "a").await;
    let recorded = details(&server, "webhook.disabled").await;
    assert_eq!(recorded, vec![json!({ "failed": MOST, "why": "overfull" }); 4]);
    assert_eq!(due(&server, &[], 32).await.0.len(), 0);
    assert_eq!(number(&server, "SELECT count(*) FROM webhook WHERE disabled = 'overfull' AND pending = 0").await, 4);
    assert!(is_counted(&server).await);
}
