//! The outbox without its key file: deliveries wait in the database, and none is lost or sent unsigned.

use std::fs;
use std::path::PathBuf;

use base64::prelude::{BASE64_STANDARD, Engine};
use hyper::Method;
use orgkeys::domain::delivery::Outcome;
use rusqlite::Connection;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::harness::{Server, blocking};
use crate::outbox::{due, settle};
use crate::webhooks::Hook;

fn key_file(server: &Server) -> PathBuf {
    server.database.with_extension("db.key")
}

fn another_key() -> String {
    format!("{}\n", BASE64_STANDARD.encode([7; 32]))
}

/// The secrets of each due delivery, in the form that receivers get.
async fn secrets(server: &Server) -> Vec<Vec<String>> {
    let shown = |secret: &[u8]| format!("whsec_{}", BASE64_STANDARD.encode(secret));
    let (attempts, _) = due(server, &[], 100).await;
    attempts.iter().map(|tried| tried.secrets.iter().map(|secret| shown(secret.expose_secret())).collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_wait_while_the_key_file_is_missing_or_wrong() {
    let mut server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let hook = Hook::make(&server, &owner, &json!({ "url": "https://a.example", "contexts": [0] })).await;
    server.project(&owner, "a").await;
    let right = fs::read(key_file(&server)).expect("a key file");
    for (waiting, file) in (2..).zip([None, Some("nonsense".to_owned()), Some(another_key())]) {
        match &file {
            None => fs::remove_file(key_file(&server)).expect("taken away"),
            Some(text) => fs::write(key_file(&server), text).expect("written"),
        }
        server = server.restart().await;
        server.project(&owner, "b").await;
        assert_eq!(due(&server, &[], 100).await.0.len(), 0, "{file:?}");
        assert_eq!(hook.deliveries(&server, &owner, "?state=pending").await["total"], waiting, "{file:?}");
    }
    fs::write(key_file(&server), &right).expect("put back");
    let server = server.restart().await;
    assert_eq!(secrets(&server).await, vec![vec![hook.secret.clone()]; 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_lost_key_file_rotation_resumes_delivery_with_the_new_secret_only() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let hook = Hook::make(&server, &owner, &json!({ "url": "https://a.example", "contexts": [0] })).await;
    let other = Hook::make(&server, &owner, &json!({ "url": "https://a.example", "contexts": [0] })).await;
    server.project(&owner, "a").await;
    fs::write(key_file(&server), another_key()).expect("written");
    let server = server.restart().await;
    let rotated = hook.call(&server, &owner, Method::POST, "/rotate-secret", Value::Null).await.json();
    let new = rotated["data"]["secret"].as_str().expect("a secret").to_owned();
    assert_eq!(secrets(&server).await, [[new]]);
    assert_eq!(other.deliveries(&server, &owner, "?state=pending").await["total"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tampered_sealed_secret_stops_only_its_own_webhook() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let hook = async || Hook::make(&server, &owner, &json!({ "url": "https://a.example", "contexts": [0] })).await;
    let (good, _changed, _moved) = (hook().await, hook().await, hook().await);
    let database = server.database.clone();
    blocking(move || {
        let conn = Connection::open(database).expect("opened beside the server");
        let ids = "SELECT id FROM webhook ORDER BY id LIMIT 1 OFFSET";
        // SQLite takes the concatenation of blobs for text unless it is cast.
        let changed = "CAST(substr(secret, 1, 20) || zeroblob(48) AS BLOB)";
        let moved = "(SELECT secret FROM webhook ORDER BY id LIMIT 1)";
        for (secret, place) in [(changed, 1), (moved, 2)] {
            let sql = format!("UPDATE webhook SET secret = {secret} WHERE id = ({ids} {place})");
            assert_eq!(conn.execute(&sql, []), Ok(1));
        }
    })
    .await;
    server.project(&owner, "a").await;
    assert_eq!(secrets(&server).await, [[good.secret]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_covers_at_most_1000_deliveries() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let hook = Hook::make(&server, &owner, &json!({ "url": "https://a.example", "contexts": [1] })).await;
    let first = hook.tested(&server, &owner).await;
    for _ in 0..1_019 {
        hook.tested(&server, &owner).await;
    }
    settle(&server, vec![(first, Outcome::Gone)]).await;
    assert!(due(&server, &[], 32).await.0.is_empty());
    hook.call(&server, &owner, Method::PUT, "", json!({ "disabled": false })).await;
    for (count, more) in [(1_000, true), (20, false)] {
        let since = json!({ "since": "2024-01-15T00:00:00Z" });
        let message = format!("Replayed {count} failed deliveries");
        let expected = json!({ "success": true, "message": message, "data": { "count": count, "more": more } });
        assert_eq!(hook.call(&server, &owner, Method::POST, "/replay", since).await.json(), expected);
    }
    assert_eq!(hook.deliveries(&server, &owner, "?state=pending&take=1").await["total"], 1_020);
}
