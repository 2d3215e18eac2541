//! Access tokens that users create for themselves: shown once, listed, used, limited in number and in time.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper::{Method, StatusCode};
use orgkeys::actions::admin::Ttl;
use orgkeys::actions::admin::command::{self, Command, List};
use orgkeys::domain::role::Role;
use orgkeys::domain::time::Time;
use serde_json::{Value, json};

use crate::access::token;
use crate::harness::{Answer, Identity, Server, blocking, entries};
use crate::sessions::{DAY, count, person};
use crate::users::{delete, put};

/// The longest lifetime, in seconds.
const LONGEST: i64 = 366 * 86_400;

/// The maximum number of valid access tokens of a user.
const MOST: usize = 100;

/// Creates an access token.
pub async fn create(server: &Server, who: &Identity, name: &str, seconds: i64) -> Answer {
    let body = json!({ "name": name, "ttlSeconds": seconds });
    server.call_as(who, Method::POST, "/token", Some(&body)).await
}

/// Creates an access token, and returns the identity that uses it.
pub async fn created(server: &Server, who: &Identity, name: &str, seconds: i64) -> Identity {
    let answer = create(server, who, name, seconds).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    let text = |field: &str| answer.json()[field].as_str().expect("text").to_owned();
    Identity { token: text("token"), token_id: text("tokenId"), ..who.clone() }
}

/// The result of a call with an identity's token.
async fn status(server: &Server, who: &Identity) -> (u16, String) {
    let answer = server.call_as(who, Method::GET, "/user/profile", None).await;
    if answer.status == StatusCode::OK { (200, String::new()) } else { answer.refusal() }
}

async fn tokens(server: &Server, who: &Identity) -> Vec<Value> {
    let answer = server.call_as(who, Method::GET, "/token", None).await;
    answer.json()["tokens"].as_array().expect("tokens").clone()
}

async fn revoke(server: &Server, who: &Identity, id: &str) -> Answer {
    server.call_as(who, Method::DELETE, &format!("/token/{id}"), None).await
}

fn ok() -> (u16, String) {
    (200, String::new())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_created_listed_used_and_revoked_in_the_documented_format() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    for role in Role::ALL {
        let ada = server.member_of(&owner.org, role).await;
        let before = entries(&server.database).await.len();
        let answer = create(&server, &ada, "laptop \u{1f4bb}", 90 * 86_400).await;
        let body = answer.json();
        let (secret, id) = (body["token"].as_str().expect("text"), body["tokenId"].as_str().expect("text"));
        let ends = Time::from_millis(server.now() + 90 * DAY).to_string();
        let expected = json!({
            "success": true, "message": "Access token created successfully", "token": secret, "tokenId": id,
            "name": "laptop \u{1f4bb}", "expiresAt": ends,
        });
        assert_eq!((answer.status, &body), (StatusCode::CREATED, &expected), "{role}");
        assert!(secret.starts_with("okp_") && secret.len() == 40 && id.starts_with("token-"), "{body}");
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.headers["connection"], "close", "the connection's buffers held a secret");
        let last = entries(&server.database).await.split_off(before).pop().expect("an entry");
        let detail = json!({ "tokenId": id, "expiresAt": ends }).to_string();
        let told = (last.action.as_str(), last.actor_id.as_str(), last.context_id.as_deref(), last.detail.as_deref());
        assert_eq!(told, ("token.create", ada.user.as_str(), Some(ada.user.as_str()), Some(detail.as_str())));

        let script = Identity { token: secret.to_owned(), token_id: id.to_owned(), ..ada.clone() };
        assert_eq!(status(&server, &script).await, ok());
        let item = json!({
            "id": id, "type": "token", "deviceInfo": null, "name": "laptop \u{1f4bb}",
            "createdAt": Time::from_millis(server.now()).to_string(), "expiresAt": ends,
            "lastUsed": Time::from_millis(server.now()).to_string(), "current": true,
        });
        let listed = tokens(&server, &script).await;
        assert_eq!((&listed[0], &listed[1]["name"], listed.len()), (&item, &Value::Null, 2), "newest first");
        let second = created(&server, &script, "its successor", 60).await;
        assert_eq!(revoke(&server, &second, id).await.status, StatusCode::OK);
        assert_eq!(status(&server, &script).await, (401, "TOKEN_REVOKED".to_owned()));
        assert_eq!(status(&server, &second).await, ok(), "a token outlives the one that created it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_is_returned_once_and_stored_nowhere() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let secret = created(&server, &owner, "a", 60).await.token;
    let mut seen = format!("{:?} {:?}", tokens(&server, &owner).await, entries(&server.database).await).into_bytes();
    seen.extend(server.call_as(&owner, Method::POST, "/systemevent", Some(&json!({}))).await.body);
    seen.extend(std::fs::read(&server.database).expect("the file"));
    seen.extend(std::fs::read(server.database.with_extension("db-wal")).expect("the log"));
    assert!(!String::from_utf8_lossy(&seen).contains(&secret[4..34]));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_field_is_validated() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let text = |length: usize| json!("é".repeat(length));
    for (field, value, is_accepted) in [
        ("name", text(1), true),
        ("name", text(100), true),
        ("name", text(101), false),
        ("name", text(0), false),
        ("name", json!("a\nb"), false),
        ("name", json!(7), false),
        ("name", Value::Null, false),
        ("ttlSeconds", json!(60), true),
        ("ttlSeconds", json!(59), false),
        ("ttlSeconds", json!(LONGEST), true),
        ("ttlSeconds", json!(LONGEST + 1), false),
        ("ttlSeconds", json!(0), false),
        ("ttlSeconds", json!(-60), false),
        ("ttlSeconds", json!(i64::MAX), false),
        ("ttlSeconds", json!(60.5), false),
        ("ttlSeconds", json!("60"), false),
        ("ttlSeconds", Value::Null, false),
    ] {
        let mut body = json!({ "name": "a", "ttlSeconds": 60 });
        body[field] = value.clone();
        let answer = server.call_as(&owner, Method::POST, "/token", Some(&body)).await;
        if is_accepted {
            assert_eq!(answer.status, StatusCode::CREATED, "{field} {value}: {answer:?}");
        } else {
            assert_eq!(answer.refusal(), (400, "INVALID_FIELD".to_owned()), "{field} {value}");
            assert!(answer.json()["message"].as_str().expect("text").contains(field), "{answer:?}");
        }
        body.as_object_mut().expect("an object").remove(field);
        let answer = server.call_as(&owner, Method::POST, "/token", Some(&body)).await;
        assert_eq!(answer.refusal(), (400, "INVALID_FIELD".to_owned()), "without {field}");
    }
    let message = create(&server, &owner, "a", 59).await.json()["message"].clone();
    assert_eq!(message, "ttlSeconds must be 60 to 31622400 seconds, which is 366 days");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_expires_after_its_lifetime_to_the_millisecond() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (short, long) = (created(&server, &owner, "a", 60).await, created(&server, &owner, "b", LONGEST).await);
    server.pass(59_999);
    assert_eq!(status(&server, &short).await, ok());
    server.pass(1);
    assert_eq!(status(&server, &short).await, (401, "TOKEN_EXPIRED".to_owned()));
    assert!(tokens(&server, &owner).await.iter().all(|token| token["id"] != short.token_id));
    assert_eq!(revoke(&server, &owner, &short.token_id).await.refusal(), (404, "TOKEN_NOT_FOUND".to_owned()));
    server.pass(LONGEST * 1_000 - 60_001);
    assert_eq!(status(&server, &long).await, ok());
    server.pass(1);
    assert_eq!(status(&server, &long).await, (401, "TOKEN_EXPIRED".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_acts_with_its_users_current_role_and_ends_with_them() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let ada = server.member_of(&owner.org, Role::Administrator).await;
    let script = created(&server, &ada, "a", 3_600).await;
    let keys = format!("/organization/{}/key", owner.org);
    let lists = async || server.call_as(&script, Method::GET, &keys, None).await.status.as_u16();
    assert_eq!(lists().await, 200);
    assert_eq!(put(&server, &owner, &ada.user, json!({ "orgRole": 0 })).await.status, StatusCode::OK);
    assert_eq!(lists().await, 403);
    let theirs = revoke(&server, &owner, &script.token_id).await;
    assert_eq!(theirs.refusal(), (404, "TOKEN_NOT_FOUND".to_owned()), "another user's token, even for an owner");
    assert_eq!(delete(&server, &owner, &ada.user).await.status, StatusCode::OK);
    assert_eq!(status(&server, &script).await, (401, "TOKEN_REVOKED".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_at_most_100_valid_access_tokens() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let ada = person(&server, &owner.org, Role::User).await;
    // Neither sessions nor what has ended count.
    let session = ada.session(&server).await;
    created(&server, &ada.identity, "expired", 60).await;
    let revoked = created(&server, &ada.identity, "revoked", 3_600).await;
    assert_eq!(revoke(&server, &ada.identity, &revoked.token_id).await.status, StatusCode::OK);
    server.pass(60_000);
    // The token with which the test calls is one of them.
    for _ in 0..MOST - 2 {
        created(&server, &ada.identity, "a", 3_600).await;
    }
    let server = Arc::new(server);
    let calls: Vec<_> = (0..16)
        .map(|_| {
            let (server, session) = (Arc::clone(&server), session.identity.clone());
            tokio::spawn(async move { create(&server, &session, "a", 3_600).await })
        })
        .collect();
    let mut made = 0;
    for call in calls {
        let answer = call.await.expect("an answer");
        if answer.status == StatusCode::CREATED {
            made += 1;
            continue;
        }
        let message = "You have 100 valid access tokens, which is the maximum: revoke those that you no longer use \
            (GET /token lists them, DELETE /token/{tokenId} revokes one), then try again";
        let expected = json!({ "success": false, "message": message, "errorCode": "TOKEN_LIMIT_REACHED" });
        assert_eq!((answer.status, answer.json()), (StatusCode::BAD_REQUEST, expected));
    }
    assert_eq!(made, 1);
    let listed = tokens(&server, &session.identity).await;
    assert_eq!(listed.iter().filter(|token| token["type"] == "token").count(), MOST);
    created(&server, &owner, "a", 60).await;
    // Whoever administers the server is never refused.
    let extra = token(&server, &ada.identity, Ttl::Never).await;
    let extra = Identity { token: extra, ..ada.identity.clone() };
    assert_eq!(create(&server, &extra, "a", 60).await.refusal().1, "TOKEN_LIMIT_REACHED");
    for token in &listed[..2] {
        assert_eq!(revoke(&server, &extra, token["id"].as_str().expect("an id")).await.status, StatusCode::OK);
    }
    created(&server, &extra, "a", 60).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_ended_30_days_ago_are_deleted_when_another_is_created() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (_, revoked) = (created(&server, &owner, "a", 60).await, created(&server, &owner, "b", LONGEST).await);
    server.pass(60_000);
    assert_eq!(revoke(&server, &owner, &revoked.token_id).await.status, StatusCode::OK);
    let rows = || count(&server, "SELECT count(*) FROM token WHERE name IS NOT NULL");
    server.pass(30 * DAY - 1);
    created(&server, &owner, "c", 60).await;
    assert_eq!(rows(), 3);
    server.pass(1);
    created(&server, &owner, "d", 60).await;
    assert_eq!(rows(), 2);
    assert_eq!(status(&server, &revoked).await, (401, "INVALID_TOKEN".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_no_token_is_created_but_any_can_be_revoked() {
    let server = Server::with(|flags| flags.with("disk_reserve", "256KiB")).await;
    let owner = server.owner_of("acme").await;
    let script = created(&server, &owner, "a", 60).await;
    let pages = u64::try_from(count(&server, "PRAGMA page_count")).expect("a number");
    server.room.store(pages * 4_096 + 256 * 1_024, Ordering::Relaxed);
    assert_eq!(create(&server, &owner, "b", 60).await.refusal(), (503, "STORAGE_FULL".to_owned()));
    assert_eq!(revoke(&server, &owner, &script.token_id).await.status, StatusCode::OK);
    server.room.store(0, Ordering::Relaxed);
    assert_eq!(status(&server, &script).await, (401, "TOKEN_REVOKED".to_owned()));
    assert_eq!(count(&server, "SELECT count(*) FROM token WHERE name = 'b'"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn created_tokens_survive_a_restart_and_the_command_line_lists_and_revokes_them() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let script = created(&server, &owner, "a", 3_600).await;
    let server = server.restart().await;
    assert_eq!(status(&server, &script).await, ok());
    let (system, user) = (Arc::clone(&server.system), owner.user.clone());
    let list = Command::List(List::Tokens { user: Some(user) });
    let command::Answer::Tokens(listed) = blocking(move || command::run(&system, list).expect("a list")).await else {
        panic!("not a list of tokens");
    };
    let names: Vec<_> = listed.iter().map(|token| (token.id.as_str(), token.name.as_deref())).collect();
    assert_eq!(names, [(script.token_id.as_str(), Some("a")), (owner.token_id.as_str(), None)]);
    server.revoke(&script).await;
    assert_eq!(status(&server, &script).await, (401, "TOKEN_REVOKED".to_owned()));
}
