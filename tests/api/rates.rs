//! How often somebody may call: each person, each API key, each organization, and nobody at the cost of another.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::{Method, StatusCode};
use orgkeys::config::{FIELDS, Flags, Texts, resolve};
use orgkeys::server::limits;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::harness::{Answer, Server, registration};

/// How many came back of a bucket that gets one a second, at most, while something took so long.
fn came_back(since: Instant) -> usize {
    usize::try_from(since.elapsed().as_secs()).expect("a number") + 1
}

/// Registers one node after the other until one must wait; gives how many did not, and the call that must.
async fn until_held(server: &Server, org: &str, pem: &str, region: &str) -> (usize, Value, Answer) {
    for number in 0..1_000 {
        let (ip, now) = (format!("{region}-{number}"), server.now() / 1_000);
        let body = registration(org, pem, &ip, now);
        let answer = server.call(Method::POST, "/register", Some(&body)).await;
        if answer.status != StatusCode::OK {
            return (number, body, answer);
        }
    }
    panic!("1,000 calls were not too many");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organizations_signed_calls_have_a_rate_and_what_must_wait_can_be_sent_again() {
    let server = Server::with(|flags| flags.with("signed_rate", "2")).await;
    let owner = server.owner_of("acme").await;
    let other = server.owner_of("other").await;
    let ((_, pem), (_, other_pem)) = (server.mint(&owner).await, server.mint(&other).await);
    let began = Instant::now();
    let (taken, held, answer) = until_held(&server, &owner.org, &pem, "a").await;
    assert!((120..=120 + 2 * came_back(began)).contains(&taken), "{taken} in {:?}", began.elapsed());
    assert_eq!(answer.refusal(), (429, "TOO_MANY_REQUESTS".to_owned()));
    assert_eq!(answer.headers["retry-after"], "1");
    let advice = answer.json()["errorMessage"].as_str().expect("advice").to_owned();
    assert!(advice.contains("2 accepted signed calls a second") && advice.contains("raise signed_rate"), "{advice}");
    assert_eq!(server.register(&other.org, &other_pem, "b").await.status, StatusCode::OK, "another organization");
    // Leaving is a signed call too.
    server.pass(1_000);
    let mut left = StatusCode::OK;
    for number in 0..1_000 {
        let leaving = registration(&owner.org, &pem, &format!("a-{number}"), server.now() / 1_000);
        left = server.call(Method::POST, "/unregister", Some(&leaving)).await.status;
        if left != StatusCode::OK {
            break;
        }
    }
    assert_eq!(left, StatusCode::TOO_MANY_REQUESTS);
    let began = Instant::now();
    let mut again = server.call(Method::POST, "/register", Some(&held)).await;
    while again.status == StatusCode::TOO_MANY_REQUESTS {
        assert!(began.elapsed() < Duration::from_secs(30), "nothing comes back");
        tokio::time::sleep(Duration::from_millis(20)).await;
        again = server.call(Method::POST, "/register", Some(&held)).await;
    }
    assert_eq!(again.status, StatusCode::OK, "its signature was not used up: {again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_strangers_nor_replays_use_up_an_organizations_signed_calls() {
    let server = Server::with(|flags| flags.with("signed_rate", "1").with("nodes_max", "80")).await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.mint(&owner).await;
    let captured = registration(&owner.org, &pem, "203.0.113.7", server.now() / 1_000);
    assert_eq!(server.call(Method::POST, "/register", Some(&captured)).await.status, StatusCode::OK);
    let mut forged = captured.clone();
    forged["region"] = "elsewhere".into();
    for _ in 0..100 {
        assert_eq!(server.call(Method::POST, "/register", Some(&captured)).await.refusal().1, "SIGNATURE_REPLAYED");
        assert_eq!(server.call(Method::POST, "/unregister", Some(&captured)).await.refusal().1, "SIGNATURE_REPLAYED");
        assert_eq!(server.call(Method::POST, "/register", Some(&forged)).await.refusal().1, "BAD_SIGNATURE");
    }
    let place = format!("/organization/{}/node/203.0.113.7", owner.org);
    assert_eq!(server.call_as(&owner, Method::DELETE, &place, None).await.status, StatusCode::OK);
    server.pass(1_000);
    let deleted = registration(&owner.org, &pem, "203.0.113.7", server.now() / 1_000);
    for _ in 0..100 {
        assert_eq!(server.call(Method::POST, "/register", Some(&deleted)).await.refusal().1, "NODE_DELETED");
    }
    let (taken, _, answer) = until_held(&server, &owner.org, &pem, "a").await;
    assert!(taken >= 59, "only {taken} were left");
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
}

#[test]
fn by_default_all_nodes_of_an_organization_may_register_at_once_or_every_minute() {
    let settings = resolve(&Flags::default(), &Texts::new(), None).expect("settings").settings;
    let limits = limits(&settings);
    assert_eq!((limits.nodes, limits.signed_rate, limits.signed_burst()), (10_000, 200, 12_000));
    assert!(limits.signed_rate * 60 >= limits.nodes && limits.signed_burst() >= limits.nodes);
}

/// A server as it is when nothing is set.
async fn untouched() -> Server {
    Server::with(|flags| {
        let rates = FIELDS.iter().filter(|field| field.name.ends_with("_rate"));
        rates.fold(flags, |flags, field| flags.with(field.name, field.default))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_that_comes_back_at_once_after_an_outage_meets_no_limit() {
    let server = Arc::new(untouched().await);
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.mint(&owner).await;
    let pem = Arc::<str>::from(pem);
    let mut calls = JoinSet::new();
    for part in 0..16 {
        let (server, org, pem) = (Arc::clone(&server), owner.org.clone(), Arc::clone(&pem));
        calls.spawn(async move {
            for number in 0..32 {
                let answer = server.register(&org, &pem, &format!("node-{part}-{number}")).await;
                assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
            }
        });
    }
    calls.join_all().await;
}
