//! The outbox on a full disk: an event and its deliveries are written together or not at all.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use hyper::{Method, StatusCode};
use rusqlite::Connection;
use serde_json::json;

use crate::harness::{Server, blocking};
use crate::webhooks::Hook;

/// A number from the database, read beside the server.
async fn number(server: &Server, sql: &'static str) -> u64 {
    let database = server.database.clone();
    blocking(move || {
        let conn = Connection::open(database).expect("opened beside the server");
        conn.query_row(sql, [], |row| row.get::<_, u32>(0)).expect("a number").into()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_no_event_is_recorded_without_its_deliveries() {
    let server = Arc::new(Server::with(|flags| flags.with("disk_reserve", "256KiB")).await);
    let owner = server.owner_of("acme").await;
    for _ in 0..3 {
        Hook::make(&server, &owner, &json!({ "url": "https://a.example", "contexts": [0] })).await;
    }
    let pages = number(&server, "PRAGMA page_count").await;
    server.room.store((pages + 50) * 4_096 + 256 * 1_024, Ordering::Relaxed);
    let (path, body) = (format!("/api/organizations/{}/projects", owner.org), json!({ "name": "a" }));
    let (mut made, mut refused) = (0, 0);
    while refused < 64 {
        let answers = join_all((0..64).map(|_| server.call_as(&owner, Method::POST, &path, Some(&body)))).await;
        for answer in answers {
            if answer.status == StatusCode::CREATED {
                made += 1;
            } else {
                assert_eq!(answer.refusal(), (503, "STORAGE_FULL".to_owned()));
                refused += 1;
            }
        }
    }
    let events = number(&server, "SELECT count(*) FROM audit WHERE action = 'project.create'").await;
    let deliveries = number(&server, "SELECT count(*) FROM delivery").await;
    let pairs = number(&server, "SELECT count(*) FROM (SELECT DISTINCT webhook, event FROM delivery)").await;
    assert!(made > 10, "only {made} were made");
    assert_eq!((events, deliveries, pairs), (made, made * 3, made * 3));
}
