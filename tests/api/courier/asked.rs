//! A receiver that asks to be left alone: its whole webhook rests for as long, until an administrator does something about it.

use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::{Value, json};

use super::receiver::Receiver;
use crate::harness::{Identity, Server};
use crate::outbox_bound::{change, number};
use crate::webhooks::Hook;

const FOR_AN_HOUR: &str = "HTTP/1.1 429 X\r\nretry-after: 3600\r\n\r\n";

/// Waits until it is so, without calling the courier: what ends a rest must do that.
async fn until(what: &str, so: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !so().await {
        assert!(began.elapsed() < Duration::from_secs(10), "not yet: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Makes three events that are not sent, once the receiver has asked for a rest.
async fn rest(server: &Server, owner: &Identity) {
    let unsent = "SELECT count(*) FROM delivery WHERE state = 'pending' AND attempts = 0";
    until("all was sent once", async || number(server, unsent).await == 0).await;
    for _ in 0..3 {
        server.project(owner, "a").await;
    }
    assert_eq!(number(server, unsent).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rest_that_was_asked_for_ends_when_an_administrator_does_something_about_it() {
    let server = Server::with(|flags| flags.with("webhook_allow", "127.0.0.0/8")).await;
    let owner = server.owner_of("acme").await;
    let receiver = Receiver::answering(FOR_AN_HOUR).await;
    let hook = Hook::make(&server, &owner, &json!({ "url": receiver.url(), "contexts": [0] })).await;
    server.project(&owner, "a").await;
    for (method, path, body) in [
        (Method::POST, "/test", Value::Null),
        (Method::POST, "/rotate-secret", json!({ "overlapSeconds": 0 })),
        (Method::PUT, "", json!({ "disabled": false })),
    ] {
        rest(&server, &owner).await;
        let before = receiver.connections();
        if path.is_empty() {
            hook.call(&server, &owner, Method::PUT, "", json!({ "disabled": true })).await;
        }
        assert_eq!(receiver.connections(), before, "what is new waits with the rest");
        let done = hook.call(&server, &owner, method, path, body).await;
        assert_eq!(done.status, 200, "{done:?}");
        until(path, async || receiver.connections() > before).await;
    }
    rest(&server, &owner).await;
    let before = receiver.connections();
    let other = Receiver::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    hook.call(&server, &owner, Method::PUT, "", json!({ "url": other.url() })).await;
    until("another receiver, which asked for nothing, has the three", async || other.connections() == 3).await;
    assert_eq!(receiver.connections(), before);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rest_ends_when_something_is_to_be_sent_once_more() {
    let server = Server::with(|flags| flags.with("webhook_allow", "127.0.0.0/8")).await;
    let owner = server.owner_of("acme").await;
    let receiver = Receiver::liking("webhook.test", FOR_AN_HOUR).await;
    for all in [false, true] {
        let hook = Hook::make(&server, &owner, &json!({ "url": receiver.url(), "contexts": [0] })).await;
        let id = hook.tested(&server, &owner).await;
        until("it is taken", async || {
            hook.deliveries(&server, &owner, "?state=delivered").await["data"][0]["id"] == id.as_str()
        })
        .await;
        server.project(&owner, "a").await;
        until("it rests", async || hook.shown(&server, &owner).await["lastStatus"] == 429).await;
        let failed = "UPDATE delivery SET state = 'failed' WHERE state = 'delivered'";
        change(&server, failed).await;
        let (path, body) = if all {
            ("/replay".to_owned(), json!({ "since": "2024-01-15T00:00:00Z" }))
        } else {
            (format!("/deliveries/{id}/replay"), Value::Null)
        };
        let done = hook.call(&server, &owner, Method::POST, &path, body).await;
        assert_eq!(done.status, 200, "{done:?}");
        until("it is taken again", async || {
            hook.deliveries(&server, &owner, "?state=delivered").await["data"][0]["id"] == id.as_str()
        })
        .await;
        hook.call(&server, &owner, Method::DELETE, "", Value::Null).await;
    }
    server.stop().await;
}
