//! End to end: an event caused over HTTP arrives at the receiver, signed, and is recorded as delivered.

use hyper::Method;
use orgkeys::server::clock;
use serde_json::json;
use standardwebhooks::Webhook;

use super::headers;
use super::receiver::Receiver;
use crate::harness::{self, Identity, Server};

async fn server() -> Server {
    Server::with(|flags| flags.with("webhook_allow", "127.0.0.0/8")).await
}

/// Creates a webhook. Returns its path and its secret.
async fn webhook(server: &Server, owner: &Identity, url: &str) -> (String, String) {
    let path = format!("/organization/{}/webhooks", owner.org);
    let made = server.call_as(owner, Method::POST, &path, Some(&json!({ "url": url }))).await.json();
    let text = |field: &str| made["data"][field].as_str().expect("text").to_owned();
    (format!("{path}/{}", text("id")), text("secret"))
}

pub(super) async fn until(server: &Server, what: &str, so: impl AsyncFn() -> bool) {
    let is_so = async || {
        let is_so = so().await;
        server.courier.hurry();
        is_so
    };
    harness::until(what, is_so).await;
}

pub(super) fn header<'a>(request: &'a str, name: &str) -> &'a str {
    let line = request.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name}: {request}"))
}

#[tokio::test]
async fn a_test_event_arrives_and_a_third_party_library_verifies_it() {
    let (server, receiver) = (server().await, Receiver::answering("HTTP/1.1 204 No Content\r\n\r\n").await);
    // The library uses the real time and rejects old messages.
    server.pass(clock::system().wall_clock().millis() - server.now());
    let owner = server.owner_of("acme").await;
    let (path, secret) = webhook(&server, &owner, &receiver.url()).await;
    // The creation of the webhook may itself be an event that is sent to it.
    server.call_as(&owner, Method::POST, &format!("{path}/test"), None).await;
    let is_test = |request: &String| request.contains("webhook.test");
    until(&server, "it arrives", async || receiver.requests().iter().any(is_test)).await;
    let request = receiver.requests().into_iter().find(is_test).expect("the test");
    let (head, body) = request.split_once("\r\n\r\n").expect("a head and a body");
    let verifier = Webhook::new(&secret).expect("a secret");
    verifier.verify(body.as_bytes(), &headers(head)).expect("signed");
    verifier
        .verify(body.replace("webhook.test", "webhook.list").as_bytes(), &headers(head))
        .expect_err("another event");
    assert_eq!(header(&request, "webhook-timestamp"), (server.now() / 1_000).to_string());
    let id = header(&request, "webhook-id");
    let deliveries = format!("{path}/deliveries?state=delivered");
    until(&server, "it is recorded", async || {
        let list = server.call_as(&owner, Method::GET, &deliveries, None).await.json();
        list["data"].as_array().expect("deliveries").iter().any(|delivery| delivery["id"] == id)
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn a_delivery_interrupted_by_a_shutdown_is_resent_with_the_same_id() {
    let (server, hanging) = (server().await, Receiver::silent().await);
    let owner = server.owner_of("acme").await;
    let (path, _) = webhook(&server, &owner, &hanging.url()).await;
    server.call_as(&owner, Method::POST, &format!("{path}/test"), None).await;
    let tries =
        || hanging.requests().into_iter().filter(|request| request.contains("webhook.test")).collect::<Vec<_>>();
    until(&server, "it is sent", async || tries().len() == 1).await;
    let server = server.restart().await;
    until(&server, "it is sent again", async || tries().len() == 2).await;
    let tries = tries();
    assert_eq!(header(&tries[0], "webhook-id"), header(&tries[1], "webhook-id"));
    server.stop().await;
}
