//! The whole way: an event that somebody causes over HTTP arrives at their receiver, signed, and is known to have.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use orgkeys::crypto::webhook_signature;
use secrecy::SecretSlice;
use serde_json::json;

use super::receiver::Receiver;
use crate::harness::{Identity, Server};

async fn server() -> Server {
    Server::with(|flags| flags.with("webhook_allow", "127.0.0.0/8")).await
}

/// Makes a webhook; gives its path and its secret.
async fn webhook(server: &Server, owner: &Identity, url: &str) -> (String, SecretSlice<u8>) {
    let path = format!("/organization/{}/webhooks", owner.org);
    let made = server.call_as(owner, Method::POST, &path, Some(&json!({ "url": url }))).await.json();
    let secret = made["data"]["secret"].as_str().and_then(|text| text.strip_prefix("whsec_")).expect("a secret");
    let id = made["data"]["id"].as_str().expect("an id");
    (format!("{path}/{id}"), SecretSlice::from(STANDARD.decode(secret).expect("base64")))
}

pub(super) async fn until(server: &Server, what: &str, so: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !so().await {
        assert!(began.elapsed() < Duration::from_secs(10), "not yet: {what}");
        server.courier.hurry();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(super) fn header<'a>(request: &'a str, name: &str) -> &'a str {
    let line = request.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name}: {request}"))
}

#[tokio::test]
async fn a_test_event_arrives_signed_and_is_known_to_have() {
    let (server, receiver) = (server().await, Receiver::answering("HTTP/1.1 204 No Content\r\n\r\n").await);
    let owner = server.owner_of("acme").await;
    let (path, secret) = webhook(&server, &owner, &receiver.url()).await;
    // Making the webhook may itself be an event that it is told.
    server.call_as(&owner, Method::POST, &format!("{path}/test"), None).await;
    let is_test = |request: &String| request.contains("webhook.test");
    until(&server, "it arrives", async || receiver.requests().iter().any(is_test)).await;
    let request = receiver.requests().into_iter().find(is_test).expect("the test");
    let (_, body) = request.split_once("\r\n\r\n").expect("a head and a body");
    let seconds = server.now() / 1_000;
    assert_eq!(header(&request, "webhook-timestamp"), seconds.to_string());
    let id = header(&request, "webhook-id");
    let signature = webhook_signature::sign(&[secret], id, seconds, body.as_bytes());
    assert_eq!(header(&request, "webhook-signature"), signature);
    let deliveries = format!("{path}/deliveries?state=delivered");
    until(&server, "it is known", async || {
        let list = server.call_as(&owner, Method::GET, &deliveries, None).await.json();
        list["data"].as_array().expect("deliveries").iter().any(|delivery| delivery["id"] == id)
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn a_delivery_that_a_stop_cut_off_comes_again_under_the_same_id() {
    let (server, hanging) = (server().await, Receiver::silent().await);
    let owner = server.owner_of("acme").await;
    let (path, _) = webhook(&server, &owner, &hanging.url()).await;
    server.call_as(&owner, Method::POST, &format!("{path}/test"), None).await;
    let tries =
        || hanging.requests().into_iter().filter(|request| request.contains("webhook.test")).collect::<Vec<_>>();
    until(&server, "it is tried", async || tries().len() == 1).await;
    let server = server.restart().await;
    until(&server, "it is tried again", async || tries().len() == 2).await;
    let tries = tries();
    assert_eq!(header(&tries[0], "webhook-id"), header(&tries[1], "webhook-id"));
    server.stop().await;
}
