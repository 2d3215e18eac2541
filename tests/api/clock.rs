//! A clock that is set back or jumps ahead: no signature is accepted twice, nothing expired becomes valid, nobody stays locked out.

use std::time::Duration;

use hyper::{Method, StatusCode};
use orgkeys::actions::admin::Ttl;
use orgkeys::actions::clock;
use orgkeys::domain::audit::Entry;
use orgkeys::domain::role::Role;
use orgkeys::domain::time::Time;
use serde_json::{Value, json};

use crate::access::token;
use crate::harness::{Identity, Server, blocking, entries, registration};
use crate::sessions;

pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;
pub const TEN_YEARS: i64 = 3_652 * DAY;

const IP: &str = "203.0.113.7";

/// Runs the clock check of the housekeeping.
pub async fn look(server: &Server) {
    let system = server.system.clone();
    blocking(move || clock::keep(&system).expect("kept")).await;
}

/// Moves the clock, at run time or across a restart.
pub async fn set(server: Server, millis: i64, restart: bool) -> Server {
    look(&server).await;
    if !restart {
        server.pass(millis);
        look(&server).await;
        return server;
    }
    let stopped = server.stop().await;
    stopped.pass(millis);
    stopped.start().await
}

/// The server's own entries with this action.
pub async fn server_entries(server: &Server, action: &str) -> Vec<Entry> {
    let all = entries(&server.database).await;
    all.into_iter().filter(|entry| entry.org == "server" && entry.action == action).collect()
}

pub async fn status(server: &Server, token: &str) -> u16 {
    let request = server.request(Method::GET, "/user/profile").header("authorization", format!("Bearer {token}"));
    server.send(crate::harness::with_body(request, None)).await.status.as_u16()
}

pub async fn key_status(server: &Server, key: &str) -> u16 {
    server.call_with_key(key, Method::GET, "/node", None).await.status.as_u16()
}

/// An API key that expires in so many milliseconds.
pub async fn ending_key(server: &Server, owner: &Identity, millis: i64) -> String {
    let end = Time::from_millis(server.now() + millis).to_string();
    let times = json!({ "apiName": "a", "hasExpireTime": true, "startDateTime": null, "expireDateTime": end });
    let body = json!({ "listProjectsId": [], "roleId": 254, "userApiKey": times });
    let path = format!("/api/organizations/{}/api-keys", owner.org);
    let made = server.call_as(owner, Method::POST, &path, Some(&body)).await.result();
    made["apiKey"].as_str().expect("a secret").to_owned()
}

async fn replay(server: &Server, body: &Value) -> (u16, String) {
    server.call(Method::POST, "/register", Some(body)).await.refusal()
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_credentials_stay_expired_when_the_clock_is_set_back() {
    for restart in [false, true] {
        let server = Server::start().await;
        let owner = server.owner_of("acme").await;
        let person = sessions::person(&server, &owner.org, Role::User).await;
        let session = person.session(&server).await;
        let brief = token(&server, &owner, Ttl::For(Duration::from_mins(30))).await;
        let key = ending_key(&server, &owner, 30 * MINUTE).await;
        assert_eq!((status(&server, &brief).await, key_status(&server, &key).await), (200, 200));
        assert_eq!(status(&server, &session.identity.token).await, 200);
        server.pass(HOUR);
        assert_eq!((status(&server, &brief).await, key_status(&server, &key).await), (401, 401));
        assert_eq!(status(&server, &session.identity.token).await, 401);
        let server = set(server, -HOUR, restart).await;
        assert_eq!((status(&server, &brief).await, key_status(&server, &key).await), (401, 401), "{restart}");
        assert_eq!(status(&server, &session.identity.token).await, 401, "{restart}");
        assert_eq!(status(&server, &owner.token).await, 200, "a token without an expiry stays valid");
        assert_eq!(person.session(&server).await.refresh.len(), session.refresh.len(), "users can sign in");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn setting_the_clock_back_is_recorded_once() {
    for restart in [false, true] {
        let server = Server::start().await;
        let owner = server.owner_of("acme").await;
        server.pass(HOUR);
        server.events(&owner).await;
        let from = server.now();
        let server = set(server, -HOUR, restart).await;
        for _ in 0..5 {
            server.events(&owner).await;
            look(&server).await;
        }
        let server = server.restart().await;
        let events = server_entries(&server, "clock.backwards").await;
        let to = Time::from_millis(from - HOUR);
        let expected = format!(r#"{{"from":"{}","to":"{to}"}}"#, Time::from_millis(from));
        assert_eq!(
            events.iter().map(|event| event.detail.as_deref()).collect::<Vec<_>>(),
            [Some(&*expected)],
            "{restart}"
        );
        server.pass(10 * MINUTE);
        let server = set(server, -5 * MINUTE, restart).await;
        assert_eq!(server_entries(&server, "clock.backwards").await.len(), 2, "a second step is recorded separately");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_of_up_to_one_second_is_not_recorded() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    for (step, events) in [(-1_000, 0), (-1_001, 1)] {
        server.pass(MINUTE);
        server.events(&owner).await;
        let server = &server;
        server.pass(step);
        look(server).await;
        assert_eq!(server_entries(server, "clock.backwards").await.len(), events, "{step}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_and_entry_numbers_keep_rising_while_the_clock_jumps() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let mut ids = Vec::new();
    let mut server = server;
    for (step, restart) in [(HOUR, false), (-HOUR, false), (TEN_YEARS, true), (-TEN_YEARS, true), (MINUTE, false)] {
        server = set(server, step, restart).await;
        ids.push(server.key(&owner).await.0);
    }
    assert!(ids.is_sorted(), "{ids:?}");
    let all = entries(&server.database).await;
    let own: Vec<_> = all.iter().filter(|entry| entry.org == owner.org).collect();
    assert!(own.iter().map(|entry| entry.seq).eq(1..=i64::try_from(own.len()).expect("a number")));
    let database = server.database.clone();
    blocking(move || orgkeys::actions::audit::verify(&database, &[]).expect("whole")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_signature_is_rejected_when_the_clock_is_set_back() {
    for restart in [false, true] {
        let server = Server::start().await;
        let owner = server.owner_of("acme").await;
        let (_, pem) = server.key(&owner).await;
        let signed_at = server.now() / 1_000;
        let used = [signed_at - 1, signed_at].map(|at| registration(&owner.org, &pem, IP, at));
        for used in &used {
            assert_eq!(server.call(Method::POST, "/register", Some(used)).await.status, StatusCode::OK);
        }
        // An hour later, with enough other calls for them to be forgotten.
        server.pass(HOUR);
        for second in 0..3 {
            let fresh = registration(&owner.org, &pem, IP, server.now() / 1_000 + second);
            assert_eq!(server.call(Method::POST, "/register", Some(&fresh)).await.status, StatusCode::OK);
        }
        let server = set(server, -HOUR, restart).await;
        for used in &used {
            assert_eq!(replay(&server, used).await, (400, "TIMESTAMP_TOO_OLD".to_owned()), "{restart}");
        }
        // A signature newer than the forgotten ones is accepted again as soon as the clock has caught up.
        server.pass(31 * MINUTE);
        let fresh = registration(&owner.org, &pem, IP, server.now() / 1_000);
        assert_eq!(server.call(Method::POST, "/register", Some(&fresh)).await.status, StatusCode::OK, "{restart}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_signature_is_remembered_across_a_ten_year_jump() {
    for restart in [false, true] {
        let server = Server::start().await;
        let owner = server.owner_of("acme").await;
        let (_, pem) = server.key(&owner).await;
        let used = registration(&owner.org, &pem, IP, server.now() / 1_000);
        assert_eq!(server.call(Method::POST, "/register", Some(&used)).await.status, StatusCode::OK);
        let server = set(server, TEN_YEARS, restart).await;
        for second in 0..3 {
            let ahead = registration(&owner.org, &pem, IP, server.now() / 1_000 + second);
            assert_eq!(server.call(Method::POST, "/register", Some(&ahead)).await.status, StatusCode::OK);
        }
        let server = set(server, MINUTE - TEN_YEARS, restart).await;
        assert_eq!(replay(&server, &used).await, (400, "SIGNATURE_REPLAYED".to_owned()), "{restart}");
        let fresh = registration(&owner.org, &pem, IP, server.now() / 1_000);
        assert_eq!(server.call(Method::POST, "/register", Some(&fresh)).await.status, StatusCode::OK, "{restart}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ten_year_jump_and_back_neither_expires_nor_extends_credentials() {
    for restart in [false, true] {
        let server = Server::start().await;
        let owner = server.owner_of("acme").await;
        let person = sessions::person(&server, &owner.org, Role::User).await;
        let brief = token(&server, &owner, Ttl::For(Duration::from_mins(30))).await;
        let long = token(&server, &owner, Ttl::For(Duration::from_hours(24))).await;
        server.pass(HOUR);
        assert_eq!((status(&server, &brief).await, status(&server, &long).await), (401, 200));
        let server = set(server, TEN_YEARS, restart).await;
        assert_eq!(server_entries(&server, "clock.forwards").await.len(), 1);
        assert_eq!(status(&server, &long).await, 401, "while the clock is ahead, it decides what has expired");
        let ahead = person.session(&server).await;
        let token_ahead = token(&server, &owner, Ttl::For(Duration::from_hours(2))).await;
        let server = set(server, -TEN_YEARS, restart).await;
        assert_eq!(server_entries(&server, "clock.backwards").await.len(), 1, "{restart}");
        assert_eq!(status(&server, &brief).await, 401, "what had expired before stays expired");
        assert_eq!(status(&server, &long).await, 200, "what had not expired is valid again");
        assert_eq!((status(&server, &ahead.identity.token).await, status(&server, &token_ahead).await), (200, 200));
        server.pass(HOUR + 1_000);
        assert_eq!(status(&server, &ahead.identity.token).await, 401, "it lasts one hour");
        assert_eq!(status(&server, &token_ahead).await, 200);
        server.pass(HOUR);
        assert_eq!(status(&server, &token_ahead).await, 401, "it lasts two hours");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_ahead_for_a_day_is_trusted_until_an_administrator_corrects_it() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let long = token(&server, &owner, Ttl::For(Duration::from_hours(100 * 24))).await;
    let (_, pem) = server.key(&owner).await;
    let server = set(server, TEN_YEARS, false).await;
    for _ in 0..2 {
        server.pass(DAY / 2);
        look(&server).await;
    }
    let server = set(server, -TEN_YEARS, true).await;
    assert_eq!(status(&server, &long).await, 401, "the server assumes that ten years have passed");
    let body = registration(&owner.org, &pem, IP, server.now() / 1_000);
    assert_eq!(replay(&server, &body).await, (400, "TIMESTAMP_TOO_OLD".to_owned()));
    let system = server.system.clone();
    blocking(move || clock::accept(&system).expect("accepted")).await;
    let server = server.restart().await;
    assert_eq!(status(&server, &long).await, 200, "it has not expired");
    assert_eq!(server_entries(&server, "clock.accept").await.len(), 1);
    assert_eq!(
        replay(&server, &body).await,
        (400, "TIMESTAMP_TOO_OLD".to_owned()),
        "used signatures may have been forgotten"
    );
    server.pass(15 * MINUTE);
    let body = registration(&owner.org, &pem, IP, server.now() / 1_000);
    assert_eq!(server.call(Method::POST, "/register", Some(&body)).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_logins_during_a_clock_jump_block_for_only_15_minutes() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let person = sessions::person(&server, &owner.org, Role::User).await;
    let server = set(server, TEN_YEARS, false).await;
    for _ in 0..11 {
        let wrong = json!({ "email": person.email, "password": "wrong" });
        server.call(Method::POST, "/user/login", Some(&wrong)).await;
    }
    let server = set(server, -TEN_YEARS, false).await;
    server.pass(15 * MINUTE);
    assert!(!person.session(&server).await.identity.token.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_brief_jump_of_half_a_day_blocks_no_node() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    let used = registration(&owner.org, &pem, IP, server.now() / 1_000);
    assert_eq!(server.call(Method::POST, "/register", Some(&used)).await.status, StatusCode::OK);
    server.pass(12 * HOUR);
    let ahead = registration(&owner.org, &pem, IP, server.now() / 1_000);
    assert_eq!(server.call(Method::POST, "/register", Some(&ahead)).await.status, StatusCode::OK);
    server.pass(MINUTE - 12 * HOUR);
    assert_eq!(
        replay(&server, &used).await,
        (400, "TIMESTAMP_TOO_OLD".to_owned()),
        "forgotten signatures are rejected by their age"
    );
    let fresh = registration(&owner.org, &pem, IP, server.now() / 1_000);
    assert_eq!(server.call(Method::POST, "/register", Some(&fresh)).await.status, StatusCode::OK);
    assert_eq!(replay(&server, &fresh).await, (400, "SIGNATURE_REPLAYED".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_replays_are_all_rejected_while_the_clock_jumps() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    let used = registration(&owner.org, &pem, IP, server.now() / 1_000);
    assert_eq!(server.call(Method::POST, "/register", Some(&used)).await.status, StatusCode::OK);
    let calls = async {
        for step in [HOUR, -HOUR, TEN_YEARS, -TEN_YEARS, -HOUR, HOUR] {
            server.pass(step);
            let tries = (0..8).map(|_| server.call(Method::POST, "/register", Some(&used)));
            for answer in futures_util::future::join_all(tries).await {
                assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{step}");
            }
        }
    };
    tokio::join!(calls, look(&server));
}

#[tokio::test(flavor = "multi_thread")]
async fn setting_the_clock_back_revives_no_session_invitation_or_credential() {
    for restart in [false, true] {
        let server = Server::start().await;
        let owner = server.owner_of("acme").await;
        let person = sessions::person(&server, &owner.org, Role::User).await;
        let (id, deleted) = server.api_key(&owner, Role::User, &[]).await;
        let path = format!("/api/organizations/{}/api-keys/{id}", owner.org);
        assert_eq!(server.call_as(&owner, Method::DELETE, &path, None).await.status, StatusCode::OK);
        let revoked = server.member_of(&owner.org, Role::User).await;
        server.revoke(&revoked).await;
        let session = person.session(&server).await;
        for _ in 0..27 {
            server.pass(DAY);
            look(&server).await;
        }
        let new = json!({ "email": "eve@example.org", "firstName": "Eve", "lastName": "", "sendInvite": true });
        let made = server.call_as(&owner, Method::POST, "/organization/users", Some(&new)).await.json();
        let taken = json!({ "token": made["invitationToken"], "password": "a cat on 3 roofs" });
        for _ in 0..3 {
            server.pass(DAY);
            look(&server).await;
        }
        let take =
            async |server: &Server| server.call(Method::POST, "/user/verify-email", Some(&taken)).await.refusal();
        let ended = (take(&server).await, session.refreshed(&server).await.refusal());
        let server = set(server, -HOUR, restart).await;
        assert_eq!((take(&server).await, session.refreshed(&server).await.refusal()), ended, "{restart}");
        assert_eq!((key_status(&server, &deleted).await, status(&server, &revoked.token).await), (401, 401));
    }
}
