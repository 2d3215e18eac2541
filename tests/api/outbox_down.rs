//! A receiver that is down: its due deliveries share its failures, keep their schedule and are abandoned with few events; others continue.

use std::collections::BTreeSet;
use std::sync::Arc;

use hyper::Method;
use orgkeys::actions::delivery;
use orgkeys::domain::delivery::Outcome;
use serde_json::{Value, json};

use crate::harness::{Identity, Server, blocking, entries};
use crate::outbox::{carry, due, owner_and_hook, tell};
use crate::outbox_limit::{change, fill, number};
use crate::webhooks::Hook;

const REFUSED: Outcome = Outcome::Refused { status: 500, retry_after: None };
const TAKEN: Outcome = Outcome::Taken { status: 204 };
const HOUR: i64 = 3_600_000;

/// The pending deliveries, oldest first.
async fn pending(server: &Server, owner: &Identity, hook: &Hook) -> Vec<Value> {
    let mut listed = hook.deliveries(server, owner, "?state=pending&take=100").await["data"].clone();
    listed.as_array_mut().expect("a list").reverse();
    listed.as_array().expect("a list").clone()
}

/// The details of the entries with this action.
pub async fn details(server: &Server, action: &str) -> Vec<Value> {
    let of = entries(&server.database).await.into_iter().filter(|entry| entry.action == action);
    of.map(|entry| serde_json::from_str(&entry.detail.expect("a detail")).expect("JSON")).collect()
}

/// A server with so many deliveries that were refused once and are due again.
async fn refused(count: usize) -> (Server, Identity, Hook) {
    let server = Server::start().await;
    let (owner, hook) = owner_and_hook(&server).await;
    for _ in 0..count {
        hook.tested(&server, &owner).await;
    }
    assert!(carry(&server, &REFUSED).await > 0);
    server.pass(5_500);
    (server, owner, hook)
}

#[tokio::test(flavor = "multi_thread")]
async fn due_retries_share_the_failure_of_a_receiver_that_is_down() {
    let (server, owner, hook) = refused(20).await;
    tell(&server, vec![due(&server, &[], 32).await.0[0].ended(TAKEN)]).await;
    let (tries, _) = due(&server, &[], 32).await;
    tell(&server, vec![tries[0].ended(REFUSED)]).await;
    let attempts = async || pending(&server, &owner, &hook).await.iter().filter(|sent| sent["attempts"] == 2).count();
    assert_eq!(attempts().await, 1, "it may be the fault of that one delivery");
    tell(&server, vec![tries[1].ended(Outcome::Failed { why: "no answer within 15 s" })]).await;
    let all = pending(&server, &owner, &hook).await;
    assert_eq!(attempts().await, 19);
    assert_eq!(all.iter().filter(|sent| sent["lastWhy"] == "no answer within 15 s").count(), 18, "{all:?}");
    let waits: Vec<&str> = all.iter().map(|sent| sent["nextAttemptAt"].as_str().expect("a time")).collect();
    assert!(waits.iter().all(|at| ("2024-01-15T10:35:05.500Z"..="2024-01-15T10:35:35.500Z").contains(at)), "{waits:?}");
    assert!(waits.iter().any(|at| *at != waits[0]), "not all at the same time");
    // The receiver recovers, and gets everything.
    server.pass(330_000);
    assert_eq!((carry(&server, &TAKEN).await, pending(&server, &owner, &hook).await.len()), (19, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_was_never_sent_shares_no_failure() {
    let server = Server::start().await;
    let (owner, hook) = owner_and_hook(&server).await;
    for _ in 0..20 {
        hook.tested(&server, &owner).await;
    }
    let (mut sent, mut rounds) = (BTreeSet::new(), 0);
    while number(&server, "SELECT count(*) FROM delivery WHERE state = 'pending'").await > 0 {
        rounds += 1;
        assert!(rounds < 1_000, "some deliveries stay pending: {} were sent", sent.len());
        let (tries, _) = due(&server, &[], 32).await;
        // One at a time, as the courier probes a receiver that is down.
        if let Some(first) = tries.first() {
            sent.insert(first.id);
            tell(&server, vec![first.ended(REFUSED)]).await;
        } else {
            server.pass(27 * HOUR);
        }
    }
    assert_eq!(sent.len(), 20, "each was sent");
    assert_eq!(hook.deliveries(&server, &owner, "?state=failed").await["total"], 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_408_429_and_5xx_count_for_other_deliveries() {
    for (status, counts) in [(408, true), (429, true), (500, true), (599, true)]
        .into_iter()
        .chain([302, 400, 401, 403, 404, 409, 413, 422, 499].map(|status| (status, false)))
    {
        let (server, owner, hook) = refused(6).await;
        let (tries, _) = due(&server, &[], 32).await;
        let refused = Outcome::Refused { status, retry_after: None };
        tell(&server, vec![tries[0].ended(refused.clone())]).await;
        tell(&server, vec![tries[1].ended(refused)]).await;
        let counted = pending(&server, &owner, &hook).await.iter().filter(|sent| sent["attempts"] == 2).count();
        assert_eq!(counted, if counts { 6 } else { 2 }, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_4xx_response_shows_that_the_receiver_is_up() {
    let (server, owner, hook) = refused(8).await;
    let (tries, _) = due(&server, &[], 32).await;
    let verdict = Outcome::Refused { status: 422, retry_after: None };
    tell(&server, vec![tries[0].ended(verdict.clone())]).await;
    tell(&server, vec![tries[1].ended(REFUSED)]).await;
    tell(&server, vec![tries[2].ended(REFUSED), tries[3].ended(verdict.clone())]).await;
    let counted = async || pending(&server, &owner, &hook).await.iter().filter(|sent| sent["attempts"] == 2).count();
    assert_eq!(counted().await, 4);
    let (tries, _) = due(&server, &[], 32).await;
    tell(&server, vec![tries[0].ended(verdict), tries[1].ended(REFUSED), tries[2].ended(REFUSED)]).await;
    assert_eq!(counted().await, 7, "in whatever order they are recorded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_shared_by_at_most_500_deliveries() {
    let server = Server::start().await;
    let (_, hook) = owner_and_hook(&server).await;
    fill(&server, &hook, 502, "pending").await;
    change(&server, "UPDATE delivery SET attempts = 1 WHERE state = 'pending'").await;
    change(&server, "UPDATE delivery SET due_at = due_at + 1 WHERE id = (SELECT max(id) FROM delivery)").await;
    let (tries, _) = due(&server, &[], 32).await;
    tell(&server, vec![tries[0].ended(REFUSED), tries[1].ended(REFUSED)]).await;
    let twice = "SELECT count(*) FROM delivery WHERE state = 'pending' AND attempts = 2";
    assert_eq!(number(&server, twice).await, 501, "all that are due");
    fill(&server, &hook, 502, "pending").await;
    change(&server, "UPDATE delivery SET attempts = 1 WHERE attempts = 0").await;
    let (tries, _) = due(&server, &[], 32).await;
    tell(&server, vec![tries[0].ended(REFUSED)]).await;
    assert_eq!(number(&server, twice).await, 501 + 501, "the one attempted and five hundred with it");
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_that_are_down_together_share_a_limit_of_2000() {
    let server = Server::start().await;
    let (owner, first) = owner_and_hook(&server).await;
    let mut hooks = vec![first];
    for _ in 0..4 {
        hooks.push(Hook::make(&server, &owner, &json!({ "url": "https://b.example" })).await);
    }
    change(&server, "DELETE FROM delivery").await;
    let mut tries = Vec::new();
    for hook in &hooks {
        fill(&server, hook, 600, "pending").await;
        change(&server, "UPDATE delivery SET attempts = 1").await;
        let (system, id) = (Arc::clone(&server.system), hook.id.clone());
        let two = blocking(move || {
            let found = delivery::candidates(&system, &[]).expect("what waits");
            let own = found.webhooks.into_iter().find(|webhook| webhook.webhook.to_string() == id).expect("it waits");
            let two: Vec<_> = own.waiting.into_iter().take(2).map(|(_, delivery)| delivery).collect();
            delivery::attempts(&system, &two).expect("attempts")
        });
        tries.extend(two.await);
    }
    tell(&server, tries.iter().map(|attempt| attempt.ended(REFUSED)).collect()).await;
    let counted = "SELECT count(*) FROM delivery WHERE attempts = 2";
    assert_eq!((tries.len(), number(&server, counted).await), (10, 10 + 2_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_always_refused_delays_no_other() {
    let server = Server::start().await;
    let (owner, hook) = owner_and_hook(&server).await;
    let poison = hook.tested(&server, &owner).await;
    for round in 0..5 {
        let (tries, _) = due(&server, &[], 32).await;
        assert_eq!((tries.len(), tries[0].id.to_string()), (1, poison.clone()), "{round}");
        tell(&server, vec![tries[0].ended(REFUSED)]).await;
        server.pass(27 * HOUR);
        let well = hook.tested(&server, &owner).await;
        let (tries, _) = due(&server, &[], 32).await;
        assert_eq!((tries.len(), tries[0].id.to_string()), (2, poison.clone()), "{round}");
        // Twice in a row, while the other is due.
        tell(&server, vec![tries[0].ended(REFUSED)]).await;
        let (tries, _) = due(&server, &[], 32).await;
        assert_eq!((tries.len(), tries[0].id.to_string(), tries[0].attempts), (1, well, 0), "{round}");
        tell(&server, vec![tries[0].ended(TAKEN)]).await;
        server.pass(27 * HOUR);
    }
    let taken = hook.deliveries(&server, &owner, "?state=delivered&take=100").await;
    let firsts = taken["data"].as_array().expect("a list").iter().filter(|sent| sent["attempts"] == 1).count();
    assert!(firsts >= 5, "each at its own first attempt: {taken}");
    // Two failures at once beside a success: the receiver is up.
    for _ in 0..4 {
        hook.tested(&server, &owner).await;
    }
    let (tries, _) = due(&server, &[], 32).await;
    tell(&server, vec![tries[0].ended(TAKEN), tries[1].ended(REFUSED), tries[2].ended(REFUSED)]).await;
    assert_eq!(due(&server, &[], 32).await.0[0].attempts, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_counted_during_an_attempt_is_not_counted_twice() {
    let (server, owner, hook) = refused(4).await;
    let (tries, _) = due(&server, &[], 32).await;
    let first: Vec<_> = tries[..2].iter().map(|attempt| attempt.ended(REFUSED)).collect();
    tell(&server, first.clone()).await;
    tell(&server, vec![tries[2].ended(REFUSED)]).await;
    // As after a result whose confirmation was lost.
    tell(&server, first).await;
    let all = pending(&server, &owner, &hook).await;
    assert!(all.len() == 4 && all.iter().all(|sent| sent["attempts"] == 2), "{all:?}");
    tell(&server, vec![tries[3].ended(TAKEN)]).await;
    assert_eq!(pending(&server, &owner, &hook).await.len(), 3, "a success counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_that_fail_together_are_reported_once() {
    let (server, owner, hook) = refused(20).await;
    for round in 1..10 {
        assert_eq!(details(&server, "webhook.failed").await, Vec::<Value>::new(), "{round}");
        let (tries, _) = due(&server, &[], 32).await;
        assert_eq!(tries.len(), 4);
        tell(&server, tries.iter().map(|attempt| attempt.ended(REFUSED)).collect()).await;
        server.pass(27 * HOUR);
    }
    assert_eq!(details(&server, "webhook.failed").await, [json!({ "count": 20 })]);
    assert_eq!(hook.deliveries(&server, &owner, "?state=failed").await["total"], 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_event_is_reported_even_if_a_report_is_lost_with_it() {
    let server = Server::start().await;
    let (owner, first) = owner_and_hook(&server).await;
    let second = Hook::make(&server, &owner, &json!({ "url": "https://second.example" })).await;
    change(&server, "DELETE FROM delivery").await;
    let lose = async |hook: &Hook| {
        change(&server, "UPDATE delivery SET attempts = 9").await;
        let (tries, _) = due(&server, &[], 32).await;
        let own = tries.iter().filter(|attempt| attempt.webhook.to_string() == hook.id);
        tell(&server, own.map(|attempt| attempt.ended(REFUSED)).collect()).await;
    };
    second.tested(&server, &owner).await;
    lose(&second).await;
    assert_eq!(pending(&server, &owner, &first).await.len(), 1, "the report");
    server.project(&owner, "a").await;
    lose(&first).await;
    assert_eq!(pending(&server, &owner, &first).await.len(), 0);
    assert_eq!(pending(&server, &owner, &second).await.len(), 2, "the project, and that another webhook lost it");
}

/// Fails every attempt until nothing is pending.
async fn fail_all(server: &Server) {
    for _ in 0..5_000 {
        let (tries, next) = due(server, &[], 1_000).await;
        if tries.is_empty() {
            let Some(next) = next else { return };
            server.pass(next);
        }
        tell(server, tries.iter().map(|attempt| attempt.ended(REFUSED)).collect()).await;
    }
    panic!("it never ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_with_a_new_url_reports_again_that_reports_fail() {
    let server = Server::start().await;
    let (owner, first) = owner_and_hook(&server).await;
    let second = Hook::make(&server, &owner, &json!({ "url": "https://b.example", "contexts": [8] })).await;
    change(&server, "DELETE FROM delivery").await;
    let failures = async || {
        let before = details(&server, "webhook.failed").await.len();
        first.tested(&server, &owner).await;
        fail_all(&server).await;
        details(&server, "webhook.failed").await.len() - before
    };
    failures().await;
    let known = failures().await;
    let url = json!({ "url": "https://c.example" });
    second.call(&server, &owner, Method::PUT, "", url).await;
    change(&server, "DELETE FROM delivery").await;
    assert_eq!((failures().await, failures().await), (known + 1, known));
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_dead_webhooks_cause_few_failure_events() {
    let server = Server::start().await;
    let (owner, first) = owner_and_hook(&server).await;
    for number in 1..10 {
        Hook::make(&server, &owner, &json!({ "url": format!("https://{number}.example") })).await;
    }
    change(&server, "DELETE FROM delivery").await;
    server.project(&owner, "a").await;
    fail_all(&server).await;
    let recorded = details(&server, "webhook.failed").await;
    assert!((10..=20).contains(&recorded.len()), "{}", recorded.len());
    assert_eq!(recorded.iter().filter(|detail| detail["count"] != 1 || detail["deliveryId"].is_null()).count(), 0);
    assert!(
        number(&server, "SELECT count(*) FROM delivery WHERE state = 'failed'").await >= 100,
        "everything was attempted"
    );
    // A webhook that has had a success in between reports its failure again.
    first.tested(&server, &owner).await;
    let (tries, _) = due(&server, &[], 32).await;
    tell(&server, tries.iter().map(|attempt| attempt.ended(TAKEN)).collect()).await;
    server.project(&owner, "b").await;
    fail_all(&server).await;
    assert!((recorded.len() + 11..=recorded.len() + 21).contains(&details(&server, "webhook.failed").await.len()));
}
