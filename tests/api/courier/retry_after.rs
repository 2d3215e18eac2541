//! A receiver that sends Retry-After: its whole webhook pauses for that long, unless an administrator acts on it.

use hyper::Method;
use serde_json::{Value, json};

use super::receiver::Receiver;
use crate::harness::{Identity, Server, until};
use crate::outbox_limit::{change, number};
use crate::webhooks::Hook;

const FOR_AN_HOUR: &str = "HTTP/1.1 429 X\r\nretry-after: 3600\r\n\r\n";

/// Creates three events that are not sent, once the receiver has asked for a pause.
async fn rest(server: &Server, owner: &Identity) {
    let unsent = "SELECT count(*) FROM delivery WHERE state = 'pending' AND attempts = 0";
    until("every delivery was attempted", async || number(server, unsent).await == 0).await;
    for _ in 0..3 {
        server.project(owner, "a").await;
    }
    assert_eq!(number(server, unsent).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrators_action_ends_a_requested_pause() {
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
        assert_eq!(receiver.connections(), before, "new events wait too");
        let done = hook.call(&server, &owner, method, path, body).await;
        assert_eq!(done.status, 200, "{done:?}");
        until(path, async || receiver.connections() > before).await;
    }
    rest(&server, &owner).await;
    let before = receiver.connections();
    let other = Receiver::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    hook.call(&server, &owner, Method::PUT, "", json!({ "url": other.url() })).await;
    until("the new receiver gets all three", async || other.connections() == 3).await;
    assert_eq!(receiver.connections(), before);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_ends_a_requested_pause() {
    let server = Server::with(|flags| flags.with("webhook_allow", "127.0.0.0/8")).await;
    let owner = server.owner_of("acme").await;
    let receiver = Receiver::liking("webhook.test", FOR_AN_HOUR).await;
    for all in [false, true] {
        let hook = Hook::make(&server, &owner, &json!({ "url": receiver.url(), "contexts": [0] })).await;
        let id = hook.tested(&server, &owner).await;
        until("it is delivered", async || {
            hook.deliveries(&server, &owner, "?state=delivered").await["data"][0]["id"] == id.as_str()
        })
        .await;
        server.project(&owner, "a").await;
        until("the webhook pauses", async || hook.shown(&server, &owner).await["lastStatus"] == 429).await;
        let failed = "UPDATE delivery SET state = 'failed' WHERE state = 'delivered'";
        change(&server, failed).await;
        let (path, body) = if all {
            ("/replay".to_owned(), json!({ "since": "2024-01-15T00:00:00Z" }))
        } else {
            (format!("/deliveries/{id}/replay"), Value::Null)
        };
        let done = hook.call(&server, &owner, Method::POST, &path, body).await;
        assert_eq!(done.status, 200, "{done:?}");
        until("it is delivered again", async || {
            hook.deliveries(&server, &owner, "?state=delivered").await["data"][0]["id"] == id.as_str()
        })
        .await;
        hook.call(&server, &owner, Method::DELETE, "", Value::Null).await;
    }
    server.stop().await;
}
