//! Errors that the document promises for many operations: each occurs for every operation that documents it.

use std::sync::atomic::Ordering;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, StatusCode};
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::access::{Column, Credential, Scene, filled};
use crate::harness::{Answer, Identity, Server, blocking, raw};
use crate::openapi::{WRITES_NOTHING, operations};

/// Every operation that documents a status, with a value for each variable of its path.
fn with_status(status: &str) -> impl Iterator<Item = (Method, String, &'static Value)> {
    let documented =
        operations().into_iter().filter(move |(.., operation)| operation["responses"].get(status).is_some());
    documented.map(|(method, path, operation)| {
        let segments = path.split('/').map(|segment| if segment.starts_with('{') { "1" } else { segment });
        let path = segments.collect::<Vec<_>>().join("/");
        (method.to_uppercase().parse().expect("a method"), path, operation)
    })
}

async fn send(server: &Server, who: &Identity, (method, path): (Method, &str), media: &str, body: Vec<u8>) -> Answer {
    let request = server.request(method, path).header("authorization", format!("Bearer {}", who.token));
    let request = request.header("content-type", media).body(Full::new(Bytes::from(body)));
    server.send(request.expect("a request")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_with_a_body_rejects_large_bodies_and_other_media_types() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let mut count = 0;
    for (method, path, operation) in with_status("415") {
        assert!(operation["requestBody"].is_object(), "{method} {path}");
        let large =
            send(&server, &owner, (method.clone(), &path), "application/json", vec![b' '; 64 * 1_024 + 1]).await;
        assert_eq!(large.refusal(), (413, "BODY_TOO_LARGE".to_owned()), "{method} {path}");
        let text = send(&server, &owner, (method.clone(), &path), "text/plain", b"{}".to_vec()).await;
        assert_eq!(text.refusal(), (415, "UNSUPPORTED_MEDIA_TYPE".to_owned()), "{method} {path}");
        count += 1;
    }
    assert!(count > 20, "only {count} were checked");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_with_a_body_rejects_one_that_arrives_too_slowly() {
    let server = Server::with(|flags| flags.with("request_timeout", "300ms")).await;
    let mut asked = JoinSet::new();
    for (method, path, _) in with_status("408") {
        // The second half is never sent.
        asked.spawn(raw(server.address, format!("{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{{")));
    }
    let answers = asked.join_all().await;
    assert!(answers.iter().all(|answer| answer.refusal() == (408, "REQUEST_TIMEOUT".to_owned())), "{answers:?}");
    assert!(answers.len() > 20, "only {} were checked", answers.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_authenticated_operation_is_rate_limited() {
    let server = Server::with(|flags| flags.with("caller_rate", "1")).await;
    let owner = server.owner_of("acme").await;
    let limited = with_status("429").filter(|(.., operation)| operation["security"] != json!([]));
    let mut count = 0;
    for (method, path, _) in limited {
        // The calls that the credential had left, and those regained meanwhile, are used up first.
        let mut answers = Vec::new();
        while answers.last() != Some(&StatusCode::TOO_MANY_REQUESTS) {
            assert!(answers.len() < 50, "{method} {path}: {answers:?}");
            answers.push(server.call_as(&owner, method.clone(), &path, None).await.status);
        }
        count += 1;
    }
    assert!(count > 40, "only {count} were checked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_refused_too_often_can_make_no_signed_call() {
    let server = Server::with(|flags| flags.with("refused_rate", "1").with("refused_burst", "2")).await;
    let body = json!({
        "ip": "1", "region": "1", "timestamp": 1, "status": "", "version": "", "signature": format!("{}==", "A".repeat(342)),
    });
    for path in ["/register", "/unregister", "/secrets"] {
        let mut answers = Vec::new();
        while answers.last() != Some(&(429, "TOO_MANY_REQUESTS".to_owned())) {
            assert!(answers.len() < 50, "{path}: {answers:?}");
            answers.push(server.call(Method::POST, path, Some(&body)).await.refusal());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_that_writes_reports_a_full_disk() {
    let mut scene = Scene::new().await;
    let column = Column::new(Credential::Token(scene.owner.token.clone()), &scene.owner.user);
    for (method, path, operation) in operations() {
        let name = operation["operationId"].as_str().expect("an id");
        if WRITES_NOTHING.contains(&name) {
            continue;
        }
        let mut refused = false;
        // An operation that writes less than `fill` may still fit once or twice.
        for _ in 0..50 {
            scene.server.room.store(0, Ordering::Relaxed);
            // If a page of an index that only `fill` writes is full, it finds no room at once: it gets another page.
            let keys = format!("/organization/{}/key", scene.other.org);
            scene.server.call_as(&scene.other, Method::DELETE, &keys, None).await;
            let (ids, body) = scene.ready(name, &column).await;
            fill(&scene.server, &scene.other).await;
            let answer = scene.call(method, &filled(path, &ids), &column.credential, body.as_ref()).await;
            refused = !answer.status.is_success();
            if refused {
                assert_eq!(answer.refusal(), (503, "STORAGE_FULL".to_owned()), "{name}");
                break;
            }
        }
        assert!(refused, "{name} never runs out of room");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_that_writes_reports_an_internal_error() {
    let mut scene = Scene::new().await;
    let column = Column::new(Credential::Token(scene.owner.token.clone()), &scene.owner.user);
    let path_of_database = scene.server.database.clone();
    let rename = async |statements: &'static str| {
        let database = path_of_database.clone();
        blocking(move || {
            let beside = Connection::open(database).expect("opened beside the server");
            beside.execute_batch(statements).expect("renamed");
        })
        .await;
    };
    for (method, path, operation) in operations() {
        let name = operation["operationId"].as_str().expect("an id");
        if WRITES_NOTHING.contains(&name) {
            continue;
        }
        let (ids, body) = scene.ready(name, &column).await;
        rename("ALTER TABLE audit RENAME TO lost; ALTER TABLE server RENAME TO gone;").await;
        let answer = scene.call(method, &filled(path, &ids), &column.credential, body.as_ref()).await;
        assert_eq!(answer.refusal(), (500, "INTERNAL_ERROR".to_owned()), "{name}");
        rename("ALTER TABLE lost RENAME TO audit; ALTER TABLE gone RENAME TO server;").await;
    }
}

/// Lets the file grow by no page, and uses up the room left in its pages.
async fn fill(server: &Server, other: &Identity) {
    server.room.store(4_096, Ordering::Relaxed);
    let keys = format!("/organization/{}/key", other.org);
    for _ in 0..1_000 {
        if server.call_as(other, Method::DELETE, &keys, None).await.status != StatusCode::OK {
            return;
        }
    }
    panic!("there is always room");
}
