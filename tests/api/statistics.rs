//! The counts per hour of an organization: nodes, verifications and calls, written once a minute and kept for 31 days.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper::{Method, StatusCode};
use orgkeys::actions::statistics;
use orgkeys::domain::id::OrgId;
use orgkeys::domain::role::Role;
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::announcements::keep_house;
use crate::harness::{Answer, Identity, Server, blocking, with_body, within};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The statistics, with the query.
async fn statistics(server: &Server, reader: &Identity, query: &str) -> Value {
    let path = format!("/organization/{}/statistics{query}", reader.org);
    let answer = server.call_as(reader, Method::GET, &path, None).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()
}

/// The counts of a kind as text: the hour of the day, the outcome and the count.
async fn counts(server: &Server, reader: &Identity, kind: &str) -> Vec<String> {
    let all = statistics(server, reader, "").await;
    let of_kind = all["data"].as_array().expect("counts").iter().filter(|count| count["kind"] == kind);
    let text = |count: &Value| {
        let hour = &count["hour"].as_str().expect("text")[11..16];
        format!("{hour} {} {}", count["outcome"].as_str().expect("text"), count["count"])
    };
    of_kind.map(text).collect()
}

pub async fn verify(server: &Server, caller: &Identity, key: &str) {
    let answer = server.call_as(caller, Method::POST, "/api/api-keys/verify", Some(&json!({ "apiKey": key }))).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
}

/// Calls over the server's unix socket, as its administrator in an organization. Returns the first line of the response.
async fn administrate(server: &Server, org: &str, path: &str) -> String {
    let mut socket = UnixStream::connect(server.database.with_extension("db.sock")).await.expect("a connection");
    let lines = ["Host: localhost", &format!("X-Orgkeys-Organization: {org}"), "Connection: close"].join("\r\n");
    socket.write_all(format!("GET {path} HTTP/1.1\r\n{lines}\r\n\r\n").as_bytes()).await.expect("sent");
    let mut answer = String::new();
    within("an answer over the socket", socket.read_to_string(&mut answer)).await.expect("text");
    answer.lines().next().unwrap_or_default().to_owned()
}

/// Presents a key through a reverse proxy.
async fn present(server: &Server, org: &str, key: &str) -> Answer {
    let path = format!("/api/api-keys/verify?organization={org}");
    server.send(with_body(server.request(Method::GET, &path).header("x-api-key", key), None)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn verifications_are_counted_by_their_code_for_the_organization_that_they_are_about() {
    let server = Server::start().await;
    let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    assert_eq!(present(&server, &owner.org, "oka_none").await.status, StatusCode::UNAUTHORIZED);
    let (_, key) = server.api_key(&owner, Role::User, &[]).await;
    let (_, foreign) = server.api_key(&other, Role::User, &[]).await;
    for tried in [&key, &key, &foreign, "oka_none"] {
        verify(&server, &owner, tried).await;
    }
    assert_eq!(present(&server, &owner.org, &key).await.status, StatusCode::OK);
    assert_eq!(present(&server, &owner.org, "oka_none").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(present(&server, "org-00000000-0000-7000-8000-000000000000", &key).await.status, 401);
    assert!(counts(&server, &owner, "verification").await.is_empty(), "not written yet");
    keep_house(&server).await;
    let expected = ["10:00 NOT_FOUND 3", "10:00 VALID 3"];
    assert_eq!(counts(&server, &owner, "verification").await, expected, "none before the organization was known");
    assert!(counts(&server, &other, "verification").await.is_empty());
    server.pass(30 * MINUTE - 1);
    verify(&server, &owner, &key).await;
    keep_house(&server).await;
    server.pass(1);
    verify(&server, &owner, &key).await;
    keep_house(&server).await;
    let expected = ["10:00 NOT_FOUND 3", "10:00 VALID 4", "11:00 VALID 1"];
    assert_eq!(counts(&server, &owner, "verification").await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_counted_once_an_hour() {
    let server = Server::start().await;
    let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    let (_, pem) = server.mint(&owner).await;
    let register = async |ip: &str| {
        let answer = server.register(&owner.org, &pem, ip).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        server.pass(1_000);
    };
    for ip in ["10.0.0.1", "10.0.0.2", "10.0.0.1"] {
        register(ip).await;
    }
    assert_eq!(counts(&server, &owner, "node").await, ["10:00 heard 2"], "in the transaction of the registration");
    server.pass(30 * MINUTE);
    for ip in ["10.0.0.1", "10.0.0.1"] {
        register(ip).await;
    }
    server.pass(2 * HOUR);
    register("10.0.0.3").await;
    let expected = ["10:00 heard 2", "11:00 heard 1", "13:00 heard 1"];
    assert_eq!(counts(&server, &owner, "node").await, expected);
    assert!(counts(&server, &other, "node").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_known_callers_are_counted_by_status_for_their_own_organization() {
    let server = Server::start().await;
    let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    keep_house(&server).await;
    let (_, pem) = server.mint(&owner).await;
    let (_, key) = server.api_key(&owner, Role::User, &[]).await;
    server.register(&owner.org, &pem, "10.0.0.1").await;
    let nodes = format!("/organization/{}/nodes", owner.org);
    assert_eq!(server.call_with_key(&key, Method::GET, &nodes, None).await.status, StatusCode::OK);
    assert_eq!(server.call_as(&other, Method::GET, &nodes, None).await.status, StatusCode::FORBIDDEN);
    let invalid = format!("{nodes}?take=0");
    assert_eq!(server.call_as(&owner, Method::GET, &invalid, None).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(server.call(Method::GET, &nodes, None).await.status, StatusCode::UNAUTHORIZED);
    verify(&server, &owner, &key).await;
    keep_house(&server).await;
    let expected = ["10:00 200 3", "10:00 201 1", "10:00 400 1"];
    assert_eq!(counts(&server, &owner, "call").await, expected, "neither a stranger's call nor a verification");
    assert_eq!(counts(&server, &other, "call").await, ["10:00 403 1"]);
    keep_house(&server).await;
    assert_eq!(counts(&server, &owner, "call").await, ["10:00 200 4", "10:00 201 1", "10:00 400 1"], "its own call");
    // The server's administrator calls in an organization, too.
    for path in [&*nodes, &invalid] {
        administrate(&server, &owner.org, path).await;
    }
    keep_house(&server).await;
    assert_eq!(counts(&server, &owner, "call").await, ["10:00 200 6", "10:00 201 1", "10:00 400 2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_cover_the_days_asked_for_and_end_after_31_days() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.mint(&owner).await;
    let stored = async || {
        let database = server.database.clone();
        blocking(move || {
            let beside = Connection::open(database).expect("opened beside the server");
            let sql = "SELECT count(*) FROM hourly_count WHERE kind = 'node'";
            beside.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("a number")
        })
        .await
    };
    let heard = async |query: &str| {
        let all = statistics(&server, &owner, query).await;
        all["data"].as_array().expect("counts").iter().filter(|count| count["kind"] == "node").count()
    };
    server.register(&owner.org, &pem, "10.0.0.1").await;
    server.pass(30 * MINUTE - 1);
    let all = statistics(&server, &owner, "?days=1").await;
    let shown = (&all["success"], &all["from"], &all["to"]);
    let (from, to) = (json!("2024-01-14T10:00:00.000Z"), json!("2024-01-15T10:00:00.000Z"));
    assert_eq!(shown, (&json!(true), &from, &to));
    let first = json!({ "hour": to, "kind": "node", "outcome": "heard", "count": 1 });
    assert!(all["data"].as_array().expect("counts").contains(&first), "{all}");
    server.pass(DAY);
    keep_house(&server).await;
    assert_eq!((heard("?days=1").await, heard("?days=2").await), (1, 1), "24 hours before the present one");
    server.pass(1);
    assert_eq!((heard("?days=1").await, heard("?days=2").await, heard("").await), (0, 1, 1));
    for _ in 1..30 {
        server.pass(DAY);
        keep_house(&server).await;
    }
    assert_eq!((heard("").await, heard("?days=29").await), (0, 0));
    server.pass(DAY - 1);
    keep_house(&server).await;
    assert_eq!(stored().await, 1, "the last millisecond of its 31 days");
    server.pass(1);
    keep_house(&server).await;
    assert_eq!(stored().await, 0);
    for (query, status) in [("?days=0", 400), ("?days=1", 200), ("?days=30", 200), ("?days=31", 400), ("?days=x", 400)]
    {
        let path = format!("/organization/{}/statistics{query}", owner.org);
        assert_eq!(server.call_as(&owner, Method::GET, &path, None).await.status.as_u16(), status, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_written_when_the_server_stops() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (_, key) = server.api_key(&owner, Role::User, &[]).await;
    verify(&server, &owner, &key).await;
    let jobs = orgkeys::actions::jobs::Jobs::new(std::sync::Arc::clone(&server.system), 0);
    blocking(move || assert!(jobs.run_at_stop().is_empty())).await;
    let server = server.restart().await;
    assert_eq!(counts(&server, &owner, "verification").await, ["10:00 VALID 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_that_cannot_be_written_on_a_full_disk_are_written_later_however_many_there_are() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    keep_house(&server).await;
    let org = OrgId::parse(&owner.org).expect("an id");
    // More than are written in one transaction.
    (1_000..1_600).for_each(|status| server.app.count_call(org, status));
    let flush = async || {
        let system = Arc::clone(&server.system);
        blocking(move || statistics::flush(&system)).await
    };
    server.room.store(1, Ordering::Relaxed);
    assert_eq!(flush().await.expect_err("no room").code, "STORAGE_FULL");
    server.room.store(0, Ordering::Relaxed);
    server.app.count_call(org, 1_000);
    flush().await.expect("written");
    let counts = counts(&server, &owner, "call").await;
    assert_eq!((counts.len(), counts[0].as_str(), counts[1].as_str()), (600, "10:00 1000 2", "10:00 1001 1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_leaps_ahead_removes_no_counts() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    server.register(&owner.org, &pem, "10.0.0.1").await;
    for leap in [400 * DAY, -400 * DAY] {
        server.pass(leap);
        keep_house(&server).await;
    }
    assert_eq!(counts(&server, &owner, "node").await, ["10:00 heard 1"]);
}
