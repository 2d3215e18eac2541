//! Changes during an attempt: a result counts only for the receiver that it came from, and every ending is reported.

use hyper::Method;
use orgkeys::domain::delivery::Outcome;
use serde_json::json;

use crate::harness::Server;
use crate::outbox::{due, owner_and_hook, selected, tell};
use crate::outbox_down::details;
use crate::outbox_limit::change;
use crate::webhooks::Hook;

const REFUSED: Outcome = Outcome::Refused { status: 500, retry_after: None };

#[tokio::test(flavor = "multi_thread")]
async fn results_of_the_old_url_do_not_count_for_the_new_one() {
    let server = Server::start().await;
    let (owner, hook) = owner_and_hook(&server).await;
    for _ in 0..4 {
        hook.tested(&server, &owner).await;
    }
    let (tries, _) = due(&server, &[], 32).await;
    tell(&server, vec![tries[3].ended(REFUSED)]).await;
    hook.call(&server, &owner, Method::PUT, "", json!({ "url": "https://new.example", "contexts": [0] })).await;
    tell(&server, vec![tries[0].ended(Outcome::Gone), tries[1].ended(REFUSED)]).await;
    let shown = hook.shown(&server, &owner).await;
    assert_eq!(
        (&shown["disabled"], &shown["lastStatus"]),
        (&json!(false), &json!(500)),
        "the result of the old receiver"
    );
    let (again, _) = due(&server, &[], 32).await;
    assert!(again.iter().all(|attempt| attempt.url == "https://new.example" && attempt.attempts == 0), "{again:?}");
    assert!([0, 1].iter().all(|number| again.iter().any(|attempt| attempt.id == tries[*number].id)));
    // A success of the old receiver counts, and a first failure of the new one stands alone.
    tell(&server, vec![tries[2].ended(Outcome::Taken { status: 200 })]).await;
    assert_eq!(
        hook.deliveries(&server, &owner, "?state=delivered&take=1").await["data"][0]["id"],
        tries[2].id.to_string()
    );
    tell(&server, vec![again[0].ended(Outcome::Gone)]).await;
    assert_eq!(hook.shown(&server, &owner).await["disabledWhy"], "gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_url_starts_without_the_failures_of_the_old_one() {
    let server = Server::start().await;
    let (owner, hook) = owner_and_hook(&server).await;
    let failed = hook.tested(&server, &owner).await;
    let (tries, _) = due(&server, &[], 32).await;
    tell(&server, vec![tries[0].ended(REFUSED)]).await;
    hook.call(&server, &owner, Method::PUT, "", json!({ "url": "https://new.example", "contexts": [0] })).await;
    hook.tested(&server, &owner).await;
    hook.tested(&server, &owner).await;
    // The first one is due again as well.
    server.pass(5_500);
    let (tries, _) = due(&server, &[], 32).await;
    let first = tries.iter().find(|attempt| attempt.id.to_string() != failed).expect("another");
    tell(&server, vec![first.ended(REFUSED)]).await;
    let (left, _) = due(&server, &[], 32).await;
    let mut left: Vec<_> = left.iter().map(|attempt| attempt.attempts).collect();
    left.sort_unstable();
    assert_eq!(left, [0, 1], "neither shares the failure: it is the first of the new receiver");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_410_after_the_webhook_was_disabled_fails_that_delivery_and_reports_it() {
    let server = Server::start().await;
    let (owner, hook) = owner_and_hook(&server).await;
    hook.tested(&server, &owner).await;
    let waits = hook.tested(&server, &owner).await;
    let (tries, _) = due(&server, &[], 32).await;
    let first = tries.iter().find(|attempt| attempt.id.to_string() != waits).expect("the first");
    hook.call(&server, &owner, Method::PUT, "", json!({ "disabled": true })).await;
    tell(&server, vec![first.ended(Outcome::Gone)]).await;
    assert_eq!(hook.shown(&server, &owner).await["disabledWhy"], "administrator");
    assert_eq!(hook.deliveries(&server, &owner, "?state=pending").await["data"][0]["id"], waits);
    let recorded = details(&server, "webhook.failed").await;
    assert_eq!((recorded.len(), &recorded[0]["deliveryId"]), (1, &json!(first.id.to_string())));
    assert_eq!(details(&server, "webhook.disabled").await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_whose_secret_cannot_be_unsealed_takes_no_slot() {
    let server = Server::start().await;
    let (owner, broken) = owner_and_hook(&server).await;
    broken.tested(&server, &owner).await;
    change(&server, "UPDATE webhook SET secret = CAST(substr(secret, 1, 8) || zeroblob(60) AS BLOB)").await;
    server.pass(1);
    let quiet = server.owner_of("quiet").await;
    let well = Hook::make(&server, &quiet, &json!({ "url": "https://b.example", "contexts": [1] })).await;
    well.tested(&server, &quiet).await;
    let (attempts, _, found) = selected(&server, &[], 1).await;
    let tried: Vec<_> = attempts.iter().map(|attempt| attempt.webhook.to_string()).collect();
    assert_eq!((tried, found.unopened.len()), (vec![well.id], 1));
    assert_eq!(found.unopened[0].to_string(), broken.id);
}
