//! The courier of a running server: deliveries are sent once, receivers that are down delay nobody, results are saved.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::json;

use super::end_to_end::{header, until};
use super::receiver::Receiver;
use crate::closed_port::ClosedPort;
use crate::harness::{Identity, Server};
use crate::outbox_limit::number;
use crate::outbox_retention::fill;
use crate::webhooks::Hook;

const DELIVERED: &str = "SELECT count(*) FROM delivery WHERE state = 'delivered'";
const FAILED_ONCE: &str = "SELECT count(*) FROM delivery WHERE attempts > 0 AND state = 'pending'";

/// A server, an owner, and their webhook at this URL, which gets only its test deliveries.
async fn with_hook(url: &str) -> (Server, Identity, Hook) {
    let server = Server::with(|flags| flags.with("webhook_allow", "127.0.0.0/8")).await;
    let owner = server.owner_of("acme").await;
    let hook = Hook::make(&server, &owner, &json!({ "url": url, "contexts": [1] })).await;
    (server, owner, hook)
}

async fn good() -> Receiver {
    Receiver::answering("HTTP/1.1 204 No Content\r\n\r\n").await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_delivery_is_sent_and_recorded_once() {
    let receiver = good().await;
    let (server, owner, hook) = with_hook(&receiver.url()).await;
    for _ in 0..100 {
        hook.tested(&server, &owner).await;
    }
    until(&server, "all are delivered", async || number(&server, DELIVERED).await == 100).await;
    let requests = receiver.requests();
    let ids: HashSet<_> = requests.iter().map(|request| header(request, "webhook-id")).collect();
    assert_eq!((ids.len(), requests.len(), receiver.connections()), (100, 100, 100));
    assert_eq!(number(&server, "SELECT count(*) FROM delivery WHERE attempts <> 1").await, 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_down_is_probed_rarely_despite_9000_deliveries() {
    let (receiver, down) = (good().await, Receiver::answering("HTTP/1.1 503 X\r\n\r\n").await);
    let (server, owner, _) = with_hook(&down.url()).await;
    let began = Instant::now();
    fill(&server, 9_000, "pending").await;
    let well = Hook::make(&server, &owner, &json!({ "url": receiver.url(), "contexts": [1] })).await;
    for _ in 0..200 {
        well.tested(&server, &owner).await;
    }
    // Without `until`, which hurries the courier and so skips every pause.
    while number(&server, DELIVERED).await < 200 {
        assert!(began.elapsed() < Duration::from_secs(30), "the healthy receiver does not have all");
        server.courier.notify();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Four at first, and then at most one a second.
    let most = 4 + usize::try_from(began.elapsed().as_secs()).expect("a number");
    assert!((1..=most).contains(&down.connections()), "{} tries", down.connections());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hurrying_the_courier_skips_the_pause_after_a_failure() {
    let closed = ClosedPort::new();
    let (server, owner, hook) = with_hook(&format!("http://{}/", closed.address)).await;
    let began = Instant::now();
    // With a pause after each failure it would take 1 + 2 + 4 + 8 + ... seconds.
    for tests in 1..20 {
        hook.tested(&server, &owner).await;
        until(&server, "it failed", async || number(&server, FAILED_ONCE).await == tests).await;
    }
    assert!(began.elapsed() < Duration::from_secs(30));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_that_cannot_be_saved_are_kept_and_nothing_new_is_sent() {
    let receiver = good().await;
    let (server, owner, hook) = with_hook(&receiver.url()).await;
    hook.call(&server, &owner, hyper::Method::PUT, "", json!({ "disabled": true })).await;
    hook.call(&server, &owner, hyper::Method::PUT, "", json!({ "disabled": false })).await;
    // From here on the disk is full for everything but revocations, so the deliveries are inserted beside the server.
    server.room.store(1, Ordering::SeqCst);
    fill(&server, 10, "pending").await;
    until(&server, "four were sent", async || receiver.connections() == 4).await;
    let began = Instant::now();
    until(&server, "it was notified for a while", async || began.elapsed() > Duration::from_millis(300)).await;
    assert_eq!((receiver.connections(), number(&server, DELIVERED).await), (4, 0));
    server.room.store(0, Ordering::SeqCst);
    until(&server, "all are delivered", async || number(&server, DELIVERED).await == 10).await;
    assert_eq!(receiver.connections(), 10, "none was sent again");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_interrupts_hanging_attempts_and_saves_results() {
    let (hanging, receiver) = (Receiver::silent().await, good().await);
    let (server, owner, hook) = with_hook(&hanging.url()).await;
    let well = Hook::make(&server, &owner, &json!({ "url": receiver.url(), "contexts": [1] })).await;
    for _ in 0..4 {
        hook.tested(&server, &owner).await;
        well.tested(&server, &owner).await;
    }
    until(&server, "all are sent", async || hanging.connections() == 4 && receiver.connections() == 4).await;
    let began = Instant::now();
    let stopped = server.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5));
    let server = stopped.start().await;
    let untried = "SELECT count(*) FROM delivery WHERE state = 'pending' AND attempts = 0";
    assert_eq!(number(&server, DELIVERED).await, 4);
    assert_eq!(number(&server, untried).await, 4, "the interrupted attempts do not count");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_courier_releases_the_database() {
    let server = Server::start().await;
    server.owner_of("acme").await;
    server.courier.hurry();
    let notifier = server.courier.clone();
    // The next start takes the database's lock, which the courier would hold with the app.
    let server = server.restart().await;
    notifier.hurry();
    server.owner_of("globex").await;
    server.stop().await;
}
