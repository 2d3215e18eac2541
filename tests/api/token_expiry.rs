//! Access tokens of owners and administrators that are about to expire: announced, and counted in the metrics.

use std::sync::Arc;

use hyper::{Method, StatusCode};
use orgkeys::actions::jobs::Jobs;
use orgkeys::domain::role::Role;
use orgkeys::domain::time::Time;
use serde_json::{Value, json};

use crate::access_tokens::created;
use crate::announcements::{announced, keep_house};
use crate::harness::{BEGIN, Identity, Server, blocking};
use crate::metrics::metrics;
use crate::sessions::{DAY, person};
use crate::stream::Reader;
use crate::users::{delete, put};
use crate::webhooks::Hook;

const SECONDS_OF_A_DAY: i64 = 86_400;

fn time(millis: i64) -> String {
    Time::from_millis(millis).to_string()
}

/// A token that lasts this many days and `more` seconds.
async fn lasting(server: &Server, who: &Identity, days: i64, more: i64) -> Identity {
    created(server, who, "a script", days * SECONDS_OF_A_DAY + more).await
}

/// What is announced of a token.
fn notice(token: &Identity, days: u32, ends: i64) -> (String, Value) {
    (token.user.clone(), json!({ "tokenId": token.token_id, "days": days, "ends": time(ends) }))
}

async fn notices(server: &Server) -> Vec<(String, Value)> {
    announced(server, "token.expiring").await
}

#[tokio::test(flavor = "multi_thread")]
async fn token_expiry_is_announced_once_per_lead_time_for_owners_and_administrators() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let administrator = server.member_of(&owner.org, Role::Administrator).await;
    let mut expiring = vec![lasting(&server, &owner, 40, 0).await, lasting(&server, &administrator, 40, 0).await];
    expiring.sort_by(|one, other| one.token_id.cmp(&other.token_id));
    for role in [Role::User, Role::Billing, Role::Workspaces] {
        lasting(&server, &server.member_of(&owner.org, role).await, 40, 0).await;
    }
    person(&server, &owner.org, Role::Owner).await.session(&server).await;
    let hook =
        Hook::make(&server, &owner, &json!({ "url": "https://a.example", "contexts": [3], "events": [1] })).await;
    let mut reader = Reader::of(&server, &owner, "").await;
    let mut expected = Vec::new();
    // (how much time passes, the lead time that is announced then)
    for (millis, days) in
        [(10 * DAY - 1, 0), (1, 30), (23 * DAY - 1, 0), (1, 7), (6 * DAY - 1, 0), (1, 1), (DAY - 1, 0), (1, 0)]
    {
        server.pass(millis);
        for _ in 0..2 {
            keep_house(&server).await;
        }
        if days > 0 {
            expected.extend(expiring.iter().map(|token| notice(token, days, BEGIN + 40 * DAY)));
            for token in &expiring {
                let (_, kind, event) = reader.event().await;
                let told = (kind.as_str(), &event["contextId"], &event["context"], &event["jsonData"]);
                let detail = notice(token, days, BEGIN + 40 * DAY).1.to_string();
                assert_eq!(told, ("updated", &json!(token.user), &json!("user"), &json!(detail)));
            }
        }
        let mut found = notices(&server).await;
        found.sort_by_key(|(_, detail)| {
            let text = |field: &str| detail[field].as_str().unwrap_or_default().to_owned();
            (std::cmp::Reverse(detail["days"].as_u64()), text("tokenId"))
        });
        assert_eq!(found, expected, "{days} days");
    }
    let deliveries = hook.deliveries(&server, &owner, "?take=100").await;
    assert_eq!(deliveries["total"], 6, "{deliveries}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lead_time_that_is_no_shorter_than_the_tokens_life_is_not_announced() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    // (life in days, seconds more, the lead times that are announced)
    let cases: [(i64, i64, &[u32]); 7] = [
        (0, 3_600, &[]),
        (1, 0, &[]),
        (1, 60, &[1]),
        (7, 0, &[1]),
        (7, 60, &[7, 1]),
        (30, 0, &[7, 1]),
        (30, 60, &[30, 7, 1]),
    ];
    for (days, more, expected) in cases {
        let token = lasting(&server, &owner, days, more).await;
        let of_token = async || {
            keep_house(&server).await;
            let found = notices(&server).await.into_iter().filter(|(_, detail)| detail["tokenId"] == token.token_id);
            found.map(|(_, detail)| detail["days"].as_u64().expect("a number")).collect::<Vec<_>>()
        };
        assert_eq!(of_token().await, Vec::<u64>::new(), "{days} days: nothing at once");
        server.pass(60_000);
        let mut found = of_token().await;
        for _ in 0..=days {
            server.pass(DAY - 1_000);
            found = of_token().await;
        }
        assert_eq!(found, expected.iter().map(|days| u64::from(*days)).collect::<Vec<_>>(), "{days} days and {more} s");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_would_still_lock_somebody_out_is_announced() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let member = async |role| server.member_of(&owner.org, role).await;
    let (deleted, demoted) = (member(Role::Administrator).await, member(Role::Administrator).await);
    let promoted = member(Role::User).await;
    let revoked = lasting(&server, &owner, 8, 0).await;
    for who in [&deleted, &demoted] {
        lasting(&server, who, 8, 0).await;
    }
    let rising = lasting(&server, &promoted, 8, 0).await;
    let path = format!("/token/{}", revoked.token_id);
    assert_eq!(server.call_as(&owner, Method::DELETE, &path, None).await.status, StatusCode::OK);
    assert_eq!(delete(&server, &owner, &deleted.user).await.status, StatusCode::OK);
    assert_eq!(put(&server, &owner, &demoted.user, json!({ "orgRole": 2 })).await.status, StatusCode::OK);
    server.pass(DAY);
    keep_house(&server).await;
    assert_eq!(notices(&server).await, []);
    assert_eq!(put(&server, &owner, &promoted.user, json!({ "orgRole": 254 })).await.status, StatusCode::OK);
    keep_house(&server).await;
    assert_eq!(notices(&server).await, [notice(&rising, 7, BEGIN + 8 * DAY)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_downtime_only_the_current_lead_time_is_announced_and_never_twice() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let token = lasting(&server, &owner, 31, 0).await;
    server.pass(30 * DAY + DAY / 2);
    let server = server.restart().await;
    keep_house(&server).await;
    let server = server.restart().await;
    keep_house(&server).await;
    assert_eq!(notices(&server).await, [notice(&token, 1, BEGIN + 31 * DAY)], "neither 30 nor 7 days");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_150_expiring_tokens_is_announced_once() {
    let server = Server::start().await;
    let (owner, second) = (server.owner_of("acme").await, server.owner_of("other").await);
    for who in [&owner, &second] {
        for _ in 0..75 {
            lasting(&server, who, 2, 0).await;
        }
    }
    server.pass(DAY);
    let system = Arc::clone(&server.system);
    blocking(move || assert!(Jobs::new(system, 0).run_due(0).is_empty())).await;
    let found = notices(&server).await;
    let mut ids: Vec<_> = found.iter().map(|(_, detail)| detail["tokenId"].to_string()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((found.len(), ids.len()), (150, 150));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_count_tokens_that_expire_within_14_days() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let user = server.member_of(&owner.org, Role::User).await;
    let counts = async |expected: u32| {
        let text = metrics(&server).await;
        let line = format!("orgkeys_admin_tokens_expiring {expected}");
        assert!(text.lines().any(|found| found == line), "not {line}: {text}");
    };
    counts(0).await;
    // Those that live for 14 days or less were made to expire soon, and that of a USER can be replaced by others.
    lasting(&server, &owner, 14, 0).await;
    lasting(&server, &user, 15, 0).await;
    let token = lasting(&server, &owner, 15, 0).await;
    lasting(&server, &owner, 15, 0).await;
    server.pass(DAY - 1);
    counts(0).await;
    server.pass(1);
    counts(2).await;
    let path = format!("/token/{}", token.token_id);
    assert_eq!(server.call_as(&owner, Method::DELETE, &path, None).await.status, StatusCode::OK);
    counts(1).await;
    server.pass(14 * DAY - 1);
    counts(1).await;
    server.pass(1);
    counts(0).await;
}
