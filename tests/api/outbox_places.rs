//! The outbox beside others and beside a clock that was wrong: nobody's deliveries wait for what is not theirs.

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use orgkeys::domain::delivery::Outcome;
use serde_json::json;

use crate::harness::{Server, blocking};
use crate::outbox::{due, owner_and_hook, settle};
use crate::webhooks::Hook;

#[tokio::test(flavor = "multi_thread")]
async fn the_many_webhooks_of_one_organization_leave_places_to_others() {
    let server = Server::start().await;
    let (busy, quiet) = (server.owner_of("busy").await, server.owner_of("quiet").await);
    for number in 0..10 {
        let hook =
            Hook::make(&server, &busy, &json!({ "url": format!("https://{number}.example"), "contexts": [1] })).await;
        for _ in 0..4 {
            hook.tested(&server, &busy).await;
        }
    }
    server.pass(1_000);
    let hook = Hook::make(&server, &quiet, &json!({ "url": "https://b.example", "contexts": [1] })).await;
    let late = hook.tested(&server, &quiet).await;
    let (first, _) = due(&server, &[], 32).await;
    assert_eq!(first.len(), 9);
    assert!(first.iter().any(|attempt| attempt.id.to_string() == late));
    let tried: Vec<_> = first.iter().map(|attempt| attempt.id).collect();
    assert_eq!(due(&server, &tried, 32).await.0.len(), 0, "nor more while those are being tried");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_on_its_way_while_the_clock_ran_ahead_goes_out() {
    let server = Server::start().await;
    let (owner, hook) = owner_and_hook(&server).await;
    let ahead = 12 * 3_600_000;
    server.pass(ahead);
    hook.call(&server, &owner, Method::POST, "/rotate-secret", json!({ "overlapSeconds": 604_800 })).await;
    let id = hook.tested(&server, &owner).await;
    settle(&server, vec![(id.clone(), Outcome::Refused { status: 503, retry_after: Some(Duration::from_hours(20)) })])
        .await;
    server.pass(-ahead);
    let app = Arc::clone(&server.app);
    // Twice: at the first it is seen that the clock stepped back.
    for _ in 0..2 {
        let app = Arc::clone(&app);
        blocking(move || orgkeys::actions::clock::keep(&app).expect("kept")).await;
    }
    let (attempts, _) = due(&server, &[], 100).await;
    assert!(attempts.iter().any(|attempt| attempt.id.to_string() == id), "it is tried again at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_most_ten_thousand_deliveries_are_passed_over() {
    let server = Server::start().await;
    let (owner, hook) = owner_and_hook(&server).await;
    for (skip, status) in [(10_000, 200), (10_001, 400)] {
        let path = format!("/organization/{}/webhooks/{}/deliveries?skip={skip}", owner.org, hook.id);
        assert_eq!(server.call_as(&owner, Method::GET, &path, None).await.status, status, "{skip}");
    }
}
