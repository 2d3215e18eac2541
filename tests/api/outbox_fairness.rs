//! Fair shares of the outbox, also with a clock that was wrong: no delivery waits for those of others.

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use orgkeys::domain::delivery::{Attempt, Outcome};
use serde_json::json;

use crate::harness::{Server, blocking};
use crate::outbox::{due, owner_and_hook, selected, settle};
use crate::webhooks::Hook;

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_with_many_webhooks_leaves_slots_to_others() {
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
    let tried: Vec<_> = first.iter().map(Attempt::in_flight).collect();
    assert_eq!(due(&server, &tried, 32).await.0.len(), 0, "and no more while those are in flight");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_deliveries_due_at_the_same_time_the_oldest_go_first() {
    let server = Server::start().await;
    let (owner, hook) = owner_and_hook(&server).await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(hook.tested(&server, &owner).await);
    }
    let mut sent = Vec::new();
    while sent.len() < ids.len() {
        let attempts = due(&server, &[], 100).await.0;
        assert!(!attempts.is_empty(), "only {} are due", sent.len());
        sent.extend(attempts.iter().map(|attempt| attempt.id.to_string()));
        let taken = |attempt: &Attempt| (attempt.id.to_string(), Outcome::Taken { status: 204 });
        settle(&server, attempts.iter().map(taken).collect()).await;
    }
    assert_eq!(sent, ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_created_while_the_clock_was_ahead_are_sent() {
    let server = Server::start().await;
    let (owner, hook) = owner_and_hook(&server).await;
    let ahead = 12 * 3_600_000;
    server.pass(ahead);
    hook.call(&server, &owner, Method::POST, "/rotate-secret", json!({ "overlapSeconds": 604_800 })).await;
    let (id, fresh) = (hook.tested(&server, &owner).await, hook.tested(&server, &owner).await);
    settle(&server, vec![(id.clone(), Outcome::Refused { status: 503, retry_after: Some(Duration::from_hours(20)) })])
        .await;
    server.pass(-ahead);
    let system = Arc::clone(&server.system);
    // Twice: the first run notices that the clock stepped back.
    for _ in 0..2 {
        let system = Arc::clone(&system);
        blocking(move || orgkeys::actions::clock::keep(&system).expect("kept")).await;
    }
    let of = |attempts: &[Attempt], id: &str| attempts.iter().any(|attempt| attempt.id.to_string() == id);
    let (attempts, next) = due(&server, &[], 100).await;
    assert!(of(&attempts, &fresh) && !of(&attempts, &id));
    assert_eq!(next, Some(20 * 3_600_000), "as long as requested, and no longer");
    server.pass(20 * 3_600_000);
    assert!(of(&due(&server, &[], 100).await.0, &id));
}

#[tokio::test(flavor = "multi_thread")]
async fn skip_is_limited_to_10000_deliveries() {
    let server = Server::start().await;
    let (owner, hook) = owner_and_hook(&server).await;
    for (skip, status) in [(10_000, 200), (10_001, 400)] {
        let path = format!("/organization/{}/webhooks/{}/deliveries?skip={skip}", owner.org, hook.id);
        assert_eq!(server.call_as(&owner, Method::GET, &path, None).await.status, status, "{skip}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn organizations_with_slow_receivers_share_slots_fairly() {
    let server = Server::start().await;
    let waiting = async |name: &str, hooks: usize, each: usize| {
        let owner = server.owner_of(name).await;
        for _ in 0..hooks {
            let hook = Hook::make(&server, &owner, &json!({ "url": "https://a.example", "contexts": [1] })).await;
            for _ in 0..each {
                hook.tested(&server, &owner).await;
            }
        }
        Hook::all(&server, &owner).await
    };
    let mut busy = Vec::new();
    for name in ["a", "b", "c", "d"] {
        busy.push(waiting(name, 5, 4).await);
    }
    let of = |attempts: &[Attempt], hooks: &[Hook]| {
        attempts.iter().filter(|attempt| hooks.iter().any(|hook| hook.id == attempt.webhook.to_string())).count()
    };
    let (first, _) = due(&server, &[], 32).await;
    assert_eq!(busy.iter().map(|hooks| of(&first, hooks)).collect::<Vec<_>>(), [6; 4], "the same share for each");
    let mut tried: Vec<_> = first.iter().map(Attempt::in_flight).collect();
    assert_eq!(due(&server, &tried, 8).await.0.len(), 0, "the last slots are not for them");
    server.pass(60_000);
    let quiet = waiting("quiet", 1, 3).await;
    let (next, _) = due(&server, &tried, 8).await;
    assert_eq!((next.len(), of(&next, &quiet)), (1, 1), "although all others have been due for longer");
    tried.push(next[0].in_flight());
    assert_eq!(due(&server, &tried, 7).await.0.len(), 0);
    // Three of the first have ended: the organization with the fewest in flight comes first.
    settle(&server, first[..3].iter().map(|ended| (ended.id.to_string(), Outcome::Taken { status: 200 })).collect())
        .await;
    let (next, _) = due(&server, &tried[3..], 10).await;
    assert_eq!((next.len(), of(&next, &quiet)), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_of_a_deleted_webhook_still_counts_for_its_organization() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let mut tried = Vec::new();
    for number in 0..8 {
        let url = format!("https://{number}.example");
        let hook = Hook::make(&server, &owner, &json!({ "url": url, "contexts": [1] })).await;
        hook.tested(&server, &owner).await;
        tried.push(due(&server, &tried, 32).await.0.remove(0).in_flight());
        hook.call(&server, &owner, Method::DELETE, "", json!(null)).await;
    }
    let left = Hook::make(&server, &owner, &json!({ "url": "https://b.example", "contexts": [1] })).await;
    left.tested(&server, &owner).await;
    let (attempts, _, found) = selected(&server, &tried, 32).await;
    assert_eq!((attempts.len(), found.ended.len()), (0, 8), "and the attempts count as orphaned");
    assert_eq!(due(&server, &tried[1..], 32).await.0.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_continue_when_the_clock_is_set_back() {
    let server = Server::start().await;
    let (owner, hook) = owner_and_hook(&server).await;
    let early = hook.tested(&server, &owner).await;
    let refused = Outcome::Refused { status: 500, retry_after: None };
    settle(&server, vec![(early.clone(), refused.clone())]).await;
    server.pass(-3_600_000);
    let late = hook.tested(&server, &owner).await;
    let now_due = async || due(&server, &[], 32).await;
    let ids = |attempts: &[Attempt]| attempts.iter().map(|attempt| attempt.id.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(&now_due().await.0), [late.as_str()], "a new delivery is sent at once");
    let keep = async || {
        let system = Arc::clone(&server.system);
        blocking(move || orgkeys::actions::clock::keep(&system).expect("kept")).await;
    };
    for _ in 0..2 {
        keep().await;
    }
    server.pass(5_500);
    assert_eq!(now_due().await.0.len(), 2, "a waiting delivery is not delayed by the hour");
    for (attempts, least) in [(1, 5_000), (2, 300_000), (3, 1_800_000)] {
        for id in [&early, &late] {
            settle(&server, vec![(id.clone(), refused.clone())]).await;
        }
        keep().await;
        let (tries, next) = now_due().await;
        let next = next.expect("another try");
        assert!(tries.is_empty() && next <= 18_000_000 / 10 * 11, "nor retried at once: {attempts} {next}");
        assert!(next >= least, "{attempts}: {next}");
        server.pass(18_000_000 / 10 * 11);
        assert_eq!(now_due().await.0.len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn setting_the_clock_back_uses_up_no_attempts() {
    let server = Server::start().await;
    let (owner, hook) = owner_and_hook(&server).await;
    let id = hook.tested(&server, &owner).await;
    let refused = Outcome::Refused { status: 503, retry_after: None };
    for _ in 0..2 {
        assert_eq!(due(&server, &[], 32).await.0.len(), 1);
        settle(&server, vec![(id.clone(), refused.clone())]).await;
        server.pass(5_500);
    }
    let next = due(&server, &[], 32).await.1.expect("another try");
    for round in 0..8 {
        // In two steps, both before the clock is checked.
        server.pass(-2_500);
        let _ = server.app.now();
        server.pass(-2_500);
        for _ in 0..2 {
            let system = Arc::clone(&server.system);
            blocking(move || orgkeys::actions::clock::keep(&system).expect("kept")).await;
        }
        assert_eq!(due(&server, &[], 32).await.0.len(), 0, "{round}");
    }
    assert_eq!(due(&server, &[], 32).await.1, Some(next), "the wait is unchanged");
    server.pass(next);
    assert_eq!(due(&server, &[], 32).await.0[0].attempts, 2);
}
