//! The outbox: which events are sent to which webhooks, when they are attempted, and how they end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use hyper::{Method, StatusCode};
use orgkeys::actions::delivery::{self, DeliveryCandidates, forget};
use orgkeys::domain::delivery::{Attempt, InFlight, Outcome, Tried};
use orgkeys::domain::id::DeliveryId;
use orgkeys::server::courier::schedule::Schedule;
use rusqlite::{Connection, OptionalExtension};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::harness::{Identity, Server, blocking, entries};
use crate::webhooks::Hook;

const REFUSED: Outcome = Outcome::Refused { status: 500, retry_after: None };

/// Records the outcomes of attempts that have just been made.
pub async fn settle(server: &Server, outcomes: Vec<(String, Outcome)>) {
    for (text, outcome) in outcomes {
        let id = DeliveryId::parse(&text).expect("an id");
        let sql = "SELECT url, attempts FROM delivery JOIN webhook ON webhook.id = webhook WHERE delivery.id = ?1";
        let database = server.database.clone();
        let found = blocking(move || {
            let conn = Connection::open(database).expect("opened beside the server");
            conn.query_row(sql, [id.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?))).optional().expect("a look")
        });
        let (url, attempts) = found.await.unwrap_or_default();
        tell(server, vec![Tried { id, url, attempts, outcome }]).await;
    }
}

/// Records the results of attempts, all at once.
pub async fn tell(server: &Server, tries: Vec<Tried>) {
    let system = Arc::clone(&server.system);
    blocking(move || delivery::record_results(&system, tries).expect("settled")).await;
}

/// The deliveries to attempt now, beside those in flight and for so many slots, and the time until the next one is due.
pub async fn due(server: &Server, tried: &[InFlight], places: usize) -> (Vec<Attempt>, Option<i64>) {
    let (attempts, next, _) = selected(server, tried, places).await;
    (attempts, next)
}

/// The same, and everything that a look at the outbox finds.
pub async fn selected(
    server: &Server,
    tried: &[InFlight],
    places: usize,
) -> (Vec<Attempt>, Option<i64>, DeliveryCandidates) {
    let (system, mut schedule) = (Arc::clone(&server.system), Schedule::new(tried.len() + places));
    for begun in tried {
        schedule.begin(*begun);
    }
    let (attempts, next, found) = blocking(move || {
        forget::give_up(&system).expect("given up");
        let found = delivery::candidates(&system, &schedule.in_flight()).expect("what waits");
        let choice = schedule.choose(&found.webhooks, delivery::now(&system), Instant::now());
        (delivery::attempts(&system, &choice.deliveries).expect("attempts"), choice.next, found)
    })
    .await;
    (attempts, next.map(|next| next.millis() - server.now()), found)
}

/// Attempts everything that is due with this outcome, until nothing is due.
pub async fn carry(server: &Server, outcome: &Outcome) -> usize {
    let mut count = 0;
    loop {
        let (attempts, _) = due(server, &[], 1_000).await;
        if attempts.is_empty() {
            return count;
        }
        count += attempts.len();
        tell(server, attempts.iter().map(|attempt| attempt.ended(outcome.clone())).collect()).await;
    }
}

fn body(attempt: &Attempt) -> Value {
    serde_json::from_slice(&attempt.body).expect("JSON")
}

/// The actions that are due for a webhook, in the order of their events.
async fn actions(server: &Server, hook: &Hook) -> Vec<String> {
    let mut found: Vec<(i64, String)> = Vec::new();
    let mut tried = Vec::new();
    loop {
        let (attempts, _) = due(server, &tried, 1_000).await;
        if attempts.is_empty() {
            break;
        }
        let mine = attempts.iter().filter(|attempt| attempt.webhook.to_string() == hook.id).map(body);
        found.extend(mine.map(|event| {
            (event["seq"].as_i64().expect("a number"), event["action"].as_str().expect("text").to_owned())
        }));
        tried.clear();
        tell(server, attempts.iter().map(|attempt| attempt.ended(Outcome::Taken { status: 200 })).collect()).await;
    }
    found.sort();
    found.into_iter().map(|(_, action)| action).collect()
}

pub async fn owner_and_hook(server: &Server) -> (Identity, Hook) {
    let owner = server.owner_of("acme").await;
    let hook = Hook::make(server, &owner, &json!({ "url": "https://a.example/x" })).await;
    carry(server, &Outcome::Taken { status: 200 }).await;
    (owner, hook)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_sent_as_listed_plus_its_position_in_the_chain() {
    let server = Server::start().await;
    let (owner, hook) = owner_and_hook(&server).await;
    server.project(&owner, "a").await;
    let (attempts, next) = due(&server, &[], 100).await;
    assert_eq!((attempts.len(), next), (1, None));
    let attempt = &attempts[0];
    let secret = BASE64_STANDARD.encode(attempt.secrets[0].expose_secret());
    assert_eq!((attempt.url.as_str(), attempt.webhook.to_string()), ("https://a.example/x", hook.id.clone()));
    assert_eq!((attempt.secrets.len(), format!("whsec_{secret}")), (1, hook.secret.clone()));
    let mut shown = server.events(&owner).await.remove(0);
    let unread = shown.as_object_mut().expect("an event").remove("showUnread");
    assert_eq!(unread, Some(json!(true)));
    let recorded = entries(&server.database).await;
    let entry = recorded.iter().find(|entry| shown["id"] == entry.id).expect("its entry");
    shown["action"] = json!("project.create");
    shown["seq"] = json!(entry.seq);
    shown["previousHash"] = json!(entry.prev_hash);
    shown["hash"] = json!(entry.hash);
    assert_eq!(body(attempt), shown);
    let listed = hook.deliveries(&server, &owner, "?take=1").await;
    let expected = json!({
        "id": attempt.id.to_string(), "eventId": entry.id, "state": "pending", "attempts": 0,
        "nextAttemptAt": "2024-01-15T10:30:00.000Z", "lastStatus": null, "lastWhy": null,
        "createdAt": "2024-01-15T10:30:00.000Z", "endedAt": null,
    });
    assert_eq!((&listed["data"], &listed["total"]), (&json!([expected]), &json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enabled_webhook_gets_the_matching_events_of_its_organization() {
    let server = Server::start().await;
    let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    let hook = async |body: Value| Hook::make(&server, &owner, &body).await;
    let url = "https://a.example";
    let keys = hook(json!({ "url": url, "contexts": [10] })).await;
    let deletions = hook(json!({ "url": url, "events": [2] })).await;
    let both = hook(json!({ "url": url, "contexts": [10, 0], "events": [2] })).await;
    let off = hook(json!({ "url": url, "disabled": true })).await;
    let (key, _) = server.key(&owner).await;
    server.key(&other).await;
    let project = server.project(&owner, "a").await;
    let path = format!("/organization/{}/key/{key}", owner.org);
    server.call_as(&owner, Method::DELETE, &path, None).await;
    server.call_as(&owner, Method::DELETE, &format!("/api/projects/{project}"), None).await;
    // Reads and refusals are recorded but not sent.
    assert_eq!(server.call_as(&other, Method::DELETE, &path, None).await.status, StatusCode::FORBIDDEN);
    let test = off.call(&server, &owner, Method::PUT, "", json!({ "disabled": false })).await;
    assert_eq!(test.status, StatusCode::OK);
    both.tested(&server, &owner).await;
    let of = async |hook: &Hook| {
        let listed = hook.deliveries(&server, &owner, "").await;
        let mut ids: Vec<i64> =
            listed["data"].as_array().expect("a list").iter().map(|d| d["eventId"].as_i64().expect("an id")).collect();
        ids.sort_unstable();
        let recorded = entries(&server.database).await;
        let action = |id: i64| recorded.iter().find(|entry| entry.id == id).expect("an entry").action.clone();
        ids.into_iter().map(action).collect::<Vec<_>>()
    };
    assert_eq!(of(&keys).await, ["org_key.create", "org_key.delete"]);
    assert_eq!(of(&deletions).await, ["org_key.delete", "project.delete"]);
    assert_eq!(of(&both).await, ["org_key.delete", "project.delete", "webhook.test"]);
    assert_eq!(of(&off).await, ["webhook.update"], "only since it was enabled, and no other webhook's test");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_attempted_ten_times_over_three_days_and_then_fails() {
    let server = Server::start().await;
    let (owner, hook) = owner_and_hook(&server).await;
    let witness = Hook::make(&server, &owner, &json!({ "url": "https://b.example", "contexts": [8] })).await;
    carry(&server, &Outcome::Taken { status: 200 }).await;
    server.project(&owner, "a").await;
    let id = due(&server, &[], 32).await.0[0].id;
    for (number, seconds) in [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400].into_iter().enumerate() {
        let (attempts, _) = due(&server, &[], 32).await;
        assert_eq!((attempts.len(), attempts[0].id), (1, id), "the same id at every attempt");
        settle(&server, vec![(id.to_string(), REFUSED)]).await;
        let (attempts, next) = due(&server, &[], 32).await;
        let next = next.expect("another try");
        assert!(attempts.is_empty() && (seconds * 1_000..=seconds * 1_100).contains(&next), "{number}: {next}");
        server.pass(next - 1);
        assert_eq!(due(&server, &[], 32).await.0.len(), 0, "not a millisecond early");
        server.pass(1);
    }
    settle(&server, vec![(id.to_string(), Outcome::Failed { why: "no answer within 15 s" })]).await;
    let (attempts, next) = due(&server, &[], 32).await;
    assert_eq!((attempts.len(), next), (1, None), "only the event about the failure");
    let failed = body(&attempts[0]);
    assert_eq!((attempts[0].webhook.to_string(), &failed["action"]), (witness.id.clone(), &json!("webhook.failed")));
    let listed = hook.deliveries(&server, &owner, "?state=failed").await["data"][0].clone();
    let tried = (&listed["id"], &listed["attempts"], &listed["lastStatus"], &listed["lastWhy"]);
    assert_eq!(tried, (&json!(id.to_string()), &json!(10), &Value::Null, &json!("no answer within 15 s")));
    assert_eq!((&listed["nextAttemptAt"], listed["endedAt"].is_string()), (&Value::Null, true));
    let detail: Value = serde_json::from_str(failed["jsonData"].as_str().expect("text")).expect("JSON");
    assert_eq!(detail, json!({ "count": 1, "deliveryId": id.to_string(), "eventId": listed["eventId"] }));
    assert_eq!(
        (&failed["event"], &failed["context"], &failed["userId"]),
        (&json!("updated"), &json!("orgsettings"), &json!("system"))
    );
    assert_eq!(hook.shown(&server, &owner).await["lastWhy"], "no answer within 15 s");
    // The witness fails too: that is recorded but not sent, or two failing webhooks would notify each other for ever.
    let id = attempts[0].id.to_string();
    for _ in 0..10 {
        settle(&server, vec![(id.clone(), REFUSED)]).await;
    }
    assert_eq!(due(&server, &[], 32).await.0.len(), 0);
    let recorded = entries(&server.database).await;
    assert_eq!(recorded.iter().filter(|entry| entry.action == "webhook.failed").count(), 2);
    let rotated = hook.call(&server, &owner, Method::POST, "/rotate-secret", json!({})).await.json();
    assert_eq!(rotated["data"]["lastWhy"], "no answer within 15 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_postponed_by_retry_after_up_to_a_day() {
    let server = Server::start().await;
    let (owner, hook) = owner_and_hook(&server).await;
    for (asked, least, most) in [(60, 60_000, 60_000), (1, 5_000, 5_500), (1_000_000, 86_400_000, 86_400_000)] {
        let id = hook.tested(&server, &owner).await;
        let retry_after = Some(Duration::from_secs(asked));
        settle(&server, vec![(id.clone(), Outcome::Refused { status: 429, retry_after })]).await;
        let next = due(&server, &[], 32).await.1.expect("another try");
        assert!((least..=most).contains(&next), "{asked}: {next}");
        settle(&server, vec![(id, Outcome::Taken { status: 204 })]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_410_disables_the_webhook_and_failed_deliveries_can_be_replayed() {
    let server = Server::start().await;
    let (owner, hook) = owner_and_hook(&server).await;
    let first = hook.tested(&server, &owner).await;
    let refused = hook.tested(&server, &owner).await;
    hook.tested(&server, &owner).await;
    // What is replayed depends on when the deliveries failed, not on when their events happened.
    server.pass(5);
    settle(&server, vec![(refused.clone(), REFUSED), (first.clone(), Outcome::Gone)]).await;
    let shown = hook.shown(&server, &owner).await;
    assert_eq!(
        (&shown["disabled"], &shown["disabledWhy"], &shown["lastStatus"]),
        (&json!(true), &json!("gone"), &json!(410))
    );
    assert_eq!(due(&server, &[], 32).await.0.len(), 0);
    let failed = hook.deliveries(&server, &owner, "?state=failed").await;
    assert_eq!(failed["total"], 3);
    let given_up = failed["data"].as_array().expect("a list").iter().find(|sent| sent["id"] == refused);
    let why = given_up.map(|sent| (&sent["lastStatus"], &sent["lastWhy"]));
    assert_eq!(why, Some((&Value::Null, &json!("the receiver responded 410 Gone"))), "not the 500 of the last attempt");
    let disabled = server.events(&owner).await.remove(0);
    assert_eq!(disabled["jsonData"], r#"{"failed":3,"why":"gone"}"#);
    let since = json!({ "since": "2024-01-15T10:30:00.005Z" });
    let off = hook.call(&server, &owner, Method::POST, "/replay", since.clone()).await;
    assert_eq!(off.refusal(), (409, "WEBHOOK_DISABLED".to_owned()));
    hook.call(&server, &owner, Method::PUT, "", json!({ "disabled": true })).await;
    assert_eq!(hook.shown(&server, &owner).await["disabledWhy"], "gone", "it was disabled already");

    hook.call(&server, &owner, Method::PUT, "", json!({ "disabled": false, "contexts": [0] })).await;
    let later = json!({ "since": "2024-01-15T10:30:00.006Z" });
    let none = hook.call(&server, &owner, Method::POST, "/replay", later).await.json();
    assert_eq!(none["data"], json!({ "count": 0, "more": false }));
    let one = hook.call(&server, &owner, Method::POST, &format!("/deliveries/{first}/replay"), Value::Null).await;
    assert_eq!(one.json(), json!({ "success": true, "message": "The delivery is pending again" }));
    let twice = hook.call(&server, &owner, Method::POST, &format!("/deliveries/{first}/replay"), Value::Null).await;
    assert_eq!(twice.refusal(), (409, "DELIVERY_PENDING".to_owned()));
    let all = hook.call(&server, &owner, Method::POST, "/replay", since).await.json();
    assert_eq!(all["data"], json!({ "count": 2, "more": false }));
    let (attempts, _) = due(&server, &[], 32).await;
    assert!(attempts.iter().all(|attempt| attempt.attempts == 0), "each has its ten attempts again: {attempts:?}");
    let ids: BTreeSet<String> = attempts.iter().map(|attempt| attempt.id.to_string()).collect();
    assert!(ids.len() == 3 && ids.contains(&first), "with the same ids: {ids:?}");
    assert_eq!(actions(&server, &hook).await, ["webhook.test"; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_secrets_sign_until_the_overlap_ends() {
    let server = Server::start().await;
    let (owner, hook) = owner_and_hook(&server).await;
    let rotate = json!({ "overlapSeconds": 60 });
    let rotated = hook.call(&server, &owner, Method::POST, "/rotate-secret", rotate).await.json();
    let secrets = async || {
        let attempts = due(&server, &[], 32).await.0;
        let secrets = attempts[0].secrets.iter().map(|secret| BASE64_STANDARD.encode(secret.expose_secret()));
        secrets.map(|secret| Value::String(format!("whsec_{secret}"))).collect::<Vec<_>>()
    };
    let new = rotated["data"]["secret"].clone();
    server.pass(59_999);
    assert_eq!(secrets().await, [new.clone(), json!(hook.secret)]);
    server.pass(1);
    assert_eq!(secrets().await, [new]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_receiver_takes_at_most_four_slots() {
    let server = Server::start().await;
    let (owner, hangs) = owner_and_hook(&server).await;
    for _ in 0..6 {
        hangs.tested(&server, &owner).await;
    }
    server.pass(1_000);
    let quick = Hook::make(&server, &owner, &json!({ "url": "https://b.example", "contexts": [1] })).await;
    let late = quick.tested(&server, &owner).await;
    let (first, _) = due(&server, &[], 100).await;
    let of = |attempts: &[Attempt], hook: &Hook| attempts.iter().filter(|a| a.webhook.to_string() == hook.id).count();
    assert_eq!((of(&first, &hangs), of(&first, &quick)), (4, 1));
    assert_eq!(first.last().expect("the newest").id.to_string(), late, "the one that is due longest first");
    let tried: Vec<_> = first.iter().map(Attempt::in_flight).collect();
    assert_eq!(due(&server, &tried, 100).await.0.len(), 0);
    let (more, next) = due(&server, &tried[..2], 9).await;
    assert_eq!((more.len(), next), (1, None), "what does not fit waits until an attempt ends");
    assert!(!tried[..2].contains(&more[0].in_flight()));
}

#[tokio::test(flavor = "multi_thread")]
async fn results_for_deleted_or_ended_deliveries_are_ignored() {
    let server = Server::start().await;
    let (owner, hook) = owner_and_hook(&server).await;
    let (id, deleted) =
        (hook.tested(&server, &owner).await, Hook::make(&server, &owner, &json!({ "url": "https://b" })).await);
    let lost = deleted.tested(&server, &owner).await;
    deleted.call(&server, &owner, Method::DELETE, "", Value::Null).await;
    let before = entries(&server.database).await.len();
    let taken = Outcome::Taken { status: 200 };
    settle(
        &server,
        vec![(lost.clone(), Outcome::Gone), (id.clone(), taken), (lost, REFUSED), (id.clone(), Outcome::Gone)],
    )
    .await;
    let listed = hook.deliveries(&server, &owner, "?state=delivered&take=1").await["data"][0].clone();
    assert_eq!((&listed["id"], &listed["attempts"], &listed["lastStatus"]), (&json!(id), &json!(1), &json!(200)));
    assert_eq!(hook.shown(&server, &owner).await["disabled"], false);
    assert_eq!(entries(&server.database).await.len(), before + 2, "only the two reads");
}
