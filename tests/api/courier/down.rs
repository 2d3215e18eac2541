//! A receiver that stays down, with the real courier: all its deliveries follow the schedule and fail on time.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::json;

use super::end_to_end::{header, until};
use super::receiver::Receiver;
use crate::closed_port::ClosedPort;
use crate::harness::Server;
use crate::outbox_down::details;
use crate::outbox_limit::number;
use crate::webhooks::Hook;

const MANY: i64 = 300;
const MINUTE: i64 = 60_000;

/// The length of the schedule in minutes, with the maximum jitter.
const WHOLE: i64 = (5 + 30 + 120 + 300 + 600 + 840 + 1_200 + 1_440) * 11 / 10 + 1;

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_to_a_dead_receiver_all_fail_at_the_end_of_their_schedule() {
    let server = Server::with(|flags| flags.with("webhook_allow", "127.0.0.0/8")).await;
    let owner = server.owner_of("acme").await;
    let closed = ClosedPort::new();
    let url = format!("http://{}/", closed.address);
    // It gets only its test deliveries, not the event of its own creation.
    let hook = Hook::make(&server, &owner, &json!({ "url": url, "contexts": [1], "disabled": true })).await;
    hook.call(&server, &owner, Method::PUT, "", json!({ "disabled": false })).await;
    for _ in 0..MANY {
        hook.tested(&server, &owner).await;
    }
    let (began, start) = (Instant::now(), server.now());
    while number(&server, "SELECT count(*) FROM delivery WHERE state = 'pending'").await > 0 {
        let due = format!("SELECT count(*) FROM delivery WHERE state = 'pending' AND due_at <= {}", server.now());
        until(&server, "what is due is attempted", async || number(&server, &due).await == 0).await;
        assert!(began.elapsed() < Duration::from_mins(2), "some deliveries stay pending");
        // Ten minutes after the next is due: the courier looks no more often, and nothing is later than that.
        let next = number(&server, "SELECT coalesce(min(due_at), 0) FROM delivery WHERE state = 'pending'").await;
        server.pass((next - server.now()).max(0) + 10 * MINUTE);
    }
    let took = (server.now() - start) / MINUTE;
    // Each of the nine waits may end ten minutes late.
    assert!(took <= WHOLE + 10 * 10, "{took} minutes of {WHOLE}");
    assert!(took >= WHOLE * 10 / 11 - 1, "{took} minutes: none failed early");
    let tried = "SELECT count(*) FROM delivery WHERE state = 'failed' AND attempts = 10";
    assert_eq!(number(&server, tried).await, MANY);
    let recorded = details(&server, "webhook.failed").await;
    let counts = recorded.iter().map(|detail| detail["count"].as_i64().expect("a number"));
    assert!(counts.sum::<i64>() == MANY && recorded.len() < 100, "{recorded:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_event_is_delivered_among_120_refused_ones() {
    for answer in ["HTTP/1.1 422 X\r\n\r\n", "HTTP/1.1 500 X\r\n\r\n"] {
        let server = Server::with(|flags| flags.with("webhook_allow", "127.0.0.0/8")).await;
        let owner = server.owner_of("acme").await;
        let receiver = Receiver::liking("project.update", answer).await;
        let hook = Hook::make(&server, &owner, &json!({ "url": receiver.url(), "contexts": [0] })).await;
        let mut projects = Vec::new();
        for _ in 0..60 {
            projects.push(server.project(&owner, "a").await);
        }
        let path = format!("/api/projects/{}", projects[0]);
        let renamed = server.call_as(&owner, Method::PUT, &path, Some(&json!({ "name": "b" }))).await;
        assert_eq!(renamed.status, 200, "{renamed:?}");
        for _ in 0..60 {
            server.project(&owner, "a").await;
        }
        until(&server, "it is delivered", async || {
            hook.deliveries(&server, &owner, "?state=delivered").await["total"] == 1
        })
        .await;
        let tried = "SELECT count(*) FROM delivery WHERE attempts > 0";
        until(&server, "each was sent", async || number(&server, tried).await == 121).await;
        let sent: HashSet<_> =
            receiver.requests().into_iter().map(|request| header(&request, "webhook-id").to_owned()).collect();
        assert_eq!(sent.len(), 121);
        server.stop().await;
    }
}
