//! Keys and sessions that were created, rotated or ended while the clock was ten years ahead: once the clock is right again,
//! each lasts as long as it was meant to, and what ended stays ended.

use std::time::Duration;

use hyper::{Method, StatusCode};
use orgkeys::actions::admin::Ttl;
use orgkeys::domain::role::Role;
use orgkeys::domain::time::Time;
use serde_json::{Value, json};

use crate::access::token;
use crate::api_keys::keys_of;
use crate::clock::{DAY, HOUR, MINUTE, TEN_YEARS, key_status, set, status};
use crate::clock_ahead::announced;
use crate::harness::{Answer, Identity, Server, with_body};
use crate::sessions::{GRACE, PASSWORD, ok, person, refused, revoked};
use crate::web_sessions::Browser;

const IP: &str = "203.0.113.7";

fn path(owner: &Identity, key: &str, rest: &str) -> String {
    format!("/organization/{}/key/{key}{rest}", owner.org)
}

/// Rotates an organization key to an imported one. The overlap is in milliseconds.
async fn rotate(server: &Server, owner: &Identity, key: &str, overlap: i64) {
    let body = json!({ "overlapSeconds": overlap / 1_000, "publicKey": server.pair().public });
    let answer = server.call_as(owner, Method::POST, &path(owner, key, "/rotate"), Some(&body)).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
}

/// What becomes of a registration that is signed with this key.
async fn registered(server: &Server, owner: &Identity, pem: &str) -> String {
    let answer = server.register(&owner.org, pem, IP).await;
    if answer.status == StatusCode::OK { "accepted".to_owned() } else { answer.refusal().1 }
}

/// Rotates an API key, and returns the secret of its successor. The overlap is in milliseconds.
async fn rotate_api_key(server: &Server, owner: &Identity, id: i64, overlap: i64) -> String {
    let path = format!("{}/{id}/rotate", keys_of(owner));
    let body = json!({ "overlapSeconds": overlap / 1_000 });
    let successor = server.call_as(owner, Method::POST, &path, Some(&body)).await.result();
    successor["apiKey"].as_str().expect("a secret").to_owned()
}

/// Sets the clock back twice, as a time server does that corrects it step by step.
async fn set_right(server: Server) -> Server {
    let server = set(server, -TEN_YEARS, false).await;
    set(server, -2_000, false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_key_rotated_with_the_clock_ahead_ends_after_its_overlap() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (key, pem) = server.key(&owner).await;
    let server = set(server, TEN_YEARS, false).await;
    rotate(&server, &owner, &key, HOUR).await;
    let server = set_right(server).await;
    server.pass(HOUR - 1_000);
    assert_eq!(registered(&server, &owner, &pem).await, "accepted");
    server.pass(3_000);
    assert_eq!(registered(&server, &owner, &pem).await, "KEY_RETIRED");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_key_ended_with_the_clock_ahead_stays_ended() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (key, pem) = server.key(&owner).await;
    rotate(&server, &owner, &key, 300 * DAY).await;
    let server = set(server, 100 * DAY, false).await;
    let ended = json!({ "retireAt": Time::from_millis(server.now()).to_string() });
    let answer = server.call_as(&owner, Method::PUT, &path(&owner, &key, ""), Some(&ended)).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let server = set(server, -100 * DAY, false).await;
    assert_eq!(registered(&server, &owner, &pem).await, "KEY_RETIRED");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_key_deleted_with_the_clock_ahead_can_be_restored_for_a_day() {
    for (waited, expected) in [(24 * HOUR - 3_000, StatusCode::OK), (24 * HOUR + 3_000, StatusCode::GONE)] {
        let server = Server::start().await;
        let owner = server.owner_of("acme").await;
        let (key, _) = server.key(&owner).await;
        let server = set(server, TEN_YEARS, false).await;
        let deleted = server.call_as(&owner, Method::DELETE, &path(&owner, &key, ""), None).await;
        assert_eq!(deleted.status, StatusCode::OK);
        let server = set_right(server).await;
        server.pass(waited);
        let restored = server.call_as(&owner, Method::POST, &path(&owner, &key, "/restore"), None).await;
        assert_eq!(restored.status, expected, "after {waited} ms: {restored:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn api_keys_created_and_rotated_with_the_clock_ahead_are_valid_and_end_after_their_overlap() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (id, old) = server.api_key(&owner, Role::User, &[]).await;
    let server = set(server, TEN_YEARS, false).await;
    let (_, created) = server.api_key(&owner, Role::User, &[]).await;
    let successor = rotate_api_key(&server, &owner, id, HOUR).await;
    let server = set_right(server).await;
    for key in [&old, &created, &successor] {
        assert_eq!(key_status(&server, key).await, 200);
    }
    server.pass(HOUR - 1_000);
    assert_eq!(key_status(&server, &old).await, 200);
    server.pass(3_000);
    assert_eq!((key_status(&server, &old).await, key_status(&server, &successor).await), (401, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_created_with_the_clock_ahead_lasts_however_often_the_clock_is_set_back() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let server = set(server, TEN_YEARS, false).await;
    let ahead = token(&server, &owner, Ttl::For(Duration::from_hours(2))).await;
    let server = set_right(server).await;
    server.pass(2 * HOUR - 1_000);
    assert_eq!(status(&server, &ahead).await, 200);
    let verify = async || {
        let request = server.request(Method::POST, "/api/api-keys/verify");
        let request = request.header("authorization", format!("Bearer {ahead}"));
        server.send(with_body(request, Some(&json!({ "apiKey": "" })))).await.status.as_u16()
    };
    assert_eq!(verify().await, 200);
    server.pass(3_000);
    assert_eq!((status(&server, &ahead).await, verify().await), (401, 401), "what is read in memory too");
}

#[tokio::test(flavor = "multi_thread")]
async fn reusing_a_refresh_token_that_was_used_with_the_clock_ahead_ends_its_session() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let ada = person(&server, &owner.org, Role::User).await;
    let server = set(server, TEN_YEARS, false).await;
    let first = ada.session(&server).await;
    let second = first.renewed(&server).await;
    let server = set_right(server).await;
    server.pass(GRACE + 2_000);
    assert_eq!(second.status(&server).await, ok());
    assert_eq!(first.refreshed(&server).await.json(), refused());
    assert_eq!(second.status(&server).await, revoked());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_given_with_the_clock_ahead_counts_for_15_minutes() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let ada = person(&server, &owner.org, Role::Owner).await;
    let server = set(server, TEN_YEARS, false).await;
    let browser = Browser::of(&server, &ada.email).await;
    let server = set_right(server).await;
    let delete = async || -> Answer {
        browser.call(&server, Method::DELETE, &format!("/organization/{}/key", owner.org), None).await
    };
    server.pass(15 * MINUTE - 3_000);
    assert_eq!(delete().await.status, StatusCode::OK);
    server.pass(6_000);
    assert_eq!(delete().await.refusal(), (403, "PASSWORD_CONFIRMATION_REQUIRED".to_owned()));
    assert_eq!(browser.confirm(&server, PASSWORD).await.status, StatusCode::OK);
    assert_eq!(delete().await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_of_tokens_and_organization_keys_announced_by_a_clock_jump_are_announced_again_when_due() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    token(&server, &owner, Ttl::For(Duration::from_hours(10 * 24))).await;
    let (key, _) = server.key(&owner).await;
    rotate(&server, &owner, &key, 10 * DAY).await;
    let days = async |server: &Server, action: &str| {
        let details = announced(server, action).await.into_iter();
        let details = details.map(|detail| serde_json::from_str::<Value>(&detail).expect("JSON")["days"].clone());
        details.collect::<Vec<_>>()
    };
    let server = set(server, 9 * DAY + HOUR, false).await;
    assert_eq!(days(&server, "org_key.retiring").await, [1]);
    assert_eq!(days(&server, "token.expiring").await.last(), Some(&json!(1)));
    let mut server = set(server, -9 * DAY - HOUR, false).await;
    let before = days(&server, "token.expiring").await.len();
    for _ in 0..9 {
        server = set(server, DAY, false).await;
        announced(&server, "org_key.retiring").await;
    }
    let server = set(server, HOUR, false).await;
    assert_eq!(days(&server, "org_key.retiring").await, [1, 7, 1]);
    assert_eq!(days(&server, "token.expiring").await.split_off(before), [7, 1]);
}
