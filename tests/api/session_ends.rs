//! How sessions end: by reuse of a refresh token, by time, with their user, on a full disk, and by a restore.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper::{Method, StatusCode};
use orgkeys::actions::admin::Ttl;
use orgkeys::actions::{admin, backup};
use orgkeys::domain::role::Role;
use orgkeys::server::clock;
use orgkeys::store::{Options, Room};
use serde_json::json;

use crate::access_tokens::created;
use crate::harness::{Server, blocking, entries};
use crate::sessions::{
    DAY, GRACE, PASSWORD, Session, actions, already_used, change, conn, count, log_in, ok, person, refused, revoked,
};
use crate::web_sessions::Browser;

#[tokio::test(flavor = "multi_thread")]
async fn reusing_a_refresh_token_ends_only_its_session() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let ada = person(&server, &owner.org, Role::User).await;
    let (first, other) = (ada.session(&server).await, ada.session(&server).await);
    let second = first.renewed(&server).await;
    server.pass(GRACE);
    // Its successor has been used, too.
    let third = second.renewed(&server).await;
    let before = entries(&server.database).await.len();
    let answer = first.refreshed(&server).await;
    assert_eq!((answer.status, answer.json()), (StatusCode::UNAUTHORIZED, refused()));
    assert_eq!(third.status(&server).await, revoked(), "the newest tokens of the session are revoked");
    assert_eq!(other.status(&server).await, ok());
    for session in [&first, &second, &third] {
        let answer = session.refreshed(&server).await;
        assert_eq!((answer.status, answer.json()), (StatusCode::UNAUTHORIZED, refused()));
    }
    other.renewed(&server).await;
    let recorded = entries(&server.database).await.split_off(before);
    let reuse = recorded.iter().find(|entry| entry.action == "session.reuse").expect("an entry");
    assert_eq!((reuse.actor_id.as_str(), reuse.change), (ada.identity.user.as_str(), Some(1)));
    assert_eq!(reuse.detail, Some(json!({ "tokenId": first.identity.token_id }).to_string()));
    assert_eq!(
        recorded.iter().filter(|entry| entry.action == "session.reuse").count(),
        1,
        "the reuse is recorded once"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_used_again_within_10_seconds_is_refused_and_the_session_goes_on() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let ada = person(&server, &owner.org, Role::User).await;
    let first = ada.session(&server).await;
    let second = first.renewed(&server).await;
    let before = entries(&server.database).await.len();
    server.pass(GRACE / 2);
    let third = second.renewed(&server).await;
    server.pass(GRACE / 2 - 1);
    for session in [&first, &second] {
        let answer = session.refreshed(&server).await;
        assert_eq!((answer.status, answer.json()), (StatusCode::UNAUTHORIZED, already_used()));
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
    assert_eq!(third.status(&server).await, ok(), "the session goes on");
    assert_eq!(actions(&server, before).await, ["session.refresh", "user.profile"], "no tokens, and nothing ended");
    let server = server.restart().await;
    assert_eq!(second.refreshed(&server).await.json(), already_used(), "also after a restart");
    let fourth = third.renewed(&server).await;
    server.pass(1);
    assert_eq!(first.refreshed(&server).await.json(), refused(), "10 seconds after its first use");
    assert_eq!(fourth.status(&server).await, revoked());
    assert_eq!(second.refreshed(&server).await.json(), refused(), "the session has ended meanwhile");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_32_concurrent_refreshes_one_succeeds_and_the_session_goes_on() {
    let server = Arc::new(Server::start().await);
    let owner = server.owner_of("acme").await;
    let session = person(&server, &owner.org, Role::User).await.session(&server).await;
    let calls: Vec<_> = (0..32)
        .map(|_| {
            let (server, session) = (Arc::clone(&server), session.clone());
            tokio::spawn(async move { session.refreshed(&server).await })
        })
        .collect();
    let mut winners = Vec::new();
    for call in calls {
        let answer = call.await.expect("an answer");
        if answer.status == StatusCode::OK {
            winners.push(Session::of(&session.identity, &answer.json()));
        } else {
            assert_eq!((answer.status, answer.json()), (StatusCode::UNAUTHORIZED, already_used()));
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(winners[0].status(&server).await, ok());
    let next = winners[0].renewed(&server).await;
    server.pass(GRACE);
    assert_eq!(session.refreshed(&server).await.json(), refused());
    assert_eq!(next.status(&server).await, revoked(), "one of them may be a thief");
}

#[tokio::test(flavor = "multi_thread")]
async fn access_tokens_last_an_hour_and_sessions_30_days_after_a_refresh() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let ada = person(&server, &owner.org, Role::User).await;
    let (session, forgotten) = (ada.session(&server).await, ada.session(&server).await);
    server.pass(3_599_999);
    assert_eq!(session.status(&server).await, ok());
    server.pass(1);
    assert_eq!(session.status(&server).await, (401, "TOKEN_EXPIRED".to_owned()));
    server.pass(30 * DAY - 3_600_001);
    let session = session.renewed(&server).await;
    server.pass(1);
    assert_eq!(forgotten.refreshed(&server).await.json(), refused());
    server.pass(30 * DAY - 2);
    let session = session.renewed(&server).await;
    server.pass(30 * DAY);
    assert_eq!(session.refreshed(&server).await.json(), refused());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sessions_of_a_deleted_user_end_at_once() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let ada = person(&server, &owner.org, Role::User).await;
    let session = ada.session(&server).await;
    change(&server, &format!("UPDATE person SET deleted_at = 0, deleted_by = 255 WHERE email = '{}'", ada.email));
    let before = entries(&server.database).await.len();
    assert_eq!(session.status(&server).await, revoked());
    assert_eq!(session.refreshed(&server).await.json(), refused());
    assert_eq!(session.logged_out(&server).await.status, StatusCode::OK);
    assert_eq!(actions(&server, before).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_survive_a_restart() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let session = person(&server, &owner.org, Role::User).await.session(&server).await;
    let server = server.restart().await;
    assert_eq!(session.status(&server).await, ok());
    let next = session.renewed(&server).await;
    let server = server.restart().await;
    assert_eq!(session.status(&server).await, (401, "INVALID_TOKEN".to_owned()));
    server.pass(GRACE);
    assert_eq!(session.refreshed(&server).await.json(), refused());
    let server = server.restart().await;
    assert_eq!(next.status(&server).await, revoked(), "the reuse revoked the session");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_ended_30_days_ago_are_deleted_at_a_login() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let ada = person(&server, &owner.org, Role::User).await;
    let (renewed, signed_out) = (ada.session(&server).await, ada.session(&server).await);
    ada.session(&server).await;
    signed_out.logged_out(&server).await;
    let counts = || {
        let sql = "SELECT count(*), (SELECT count(*) FROM refresh_token) FROM token WHERE refresh_until IS NOT NULL";
        conn(&server).query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).expect("numbers")
    };
    server.pass(30 * DAY - 1);
    let mut renewed = renewed.renewed(&server).await;
    ada.session(&server).await;
    assert_eq!(counts(), (4, 5));
    server.pass(1);
    ada.session(&server).await;
    assert_eq!(counts(), (4, 5), "the signed-out session was deleted at the login");
    server.pass(30 * DAY - 2);
    renewed = renewed.renewed(&server).await;
    assert_eq!(counts(), (4, 6));
    server.pass(2);
    ada.session(&server).await;
    assert_eq!(counts(), (4, 6), "the session that was never renewed was deleted too");
    renewed = renewed.renewed(&server).await;
    assert_eq!(counts(), (4, 6), "a refresh token used 30 days ago was deleted");
    assert_eq!(renewed.status(&server).await, ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_1000_sessions_the_least_recently_renewed_one_is_revoked() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let ada = person(&server, &owner.org, Role::User).await;
    let (first, second) = (ada.session(&server).await, ada.session(&server).await);
    // It is no session, and lasts longer than all of them.
    created(&server, &ada.identity, "a script", 31_536_000).await;
    server.pass(1_000);
    let first = first.renewed(&server).await;
    // The others are copies of the first, with other ids.
    let copies = "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 997)
        INSERT INTO token (id, person, digest, created_at, expires_at, refresh_until)
        SELECT randomblob(16), person, randomblob(32), created_at, expires_at, refresh_until
        FROM number, (SELECT * FROM token WHERE refresh_until IS NOT NULL ORDER BY refresh_until DESC LIMIT 1)";
    assert_eq!(conn(&server).execute(copies, []), Ok(997));
    ada.session(&server).await;
    let standing = "SELECT count(*) FROM token WHERE refresh_until IS NOT NULL AND revoked_at IS NULL";
    assert_eq!((count(&server, standing), second.status(&server).await), (1_000, ok()));
    let before = entries(&server.database).await.len();
    ada.session(&server).await;
    let forgotten = (401, "INVALID_TOKEN".to_owned());
    assert_eq!((count(&server, standing), second.status(&server).await), (1_000, forgotten));
    assert_eq!(actions(&server, before).await, ["token.revoke", "session.begin"]);
    assert_eq!(first.status(&server).await, ok());
    let browser = Browser::of(&server, &ada.email).await;
    assert_eq!(
        (count(&server, standing), browser.status(&server).await),
        (1_000, ok()),
        "a web session is one of them"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_logins_fail_but_sessions_can_be_ended() {
    let server = Server::with(|flags| flags.with("disk_reserve", "256KiB")).await;
    let owner = server.owner_of("acme").await;
    let ada = person(&server, &owner.org, Role::User).await;
    let (used, one, other) = (ada.session(&server).await, ada.session(&server).await, ada.session(&server).await);
    let newest = used.renewed(&server).await;
    let pages: u64 = u64::try_from(count(&server, "PRAGMA page_count")).expect("a number");
    server.room.store(pages * 4_096 + 256 * 1_024, Ordering::Relaxed);
    let full = (503, "STORAGE_FULL".to_owned());
    for password in [PASSWORD, "another password"] {
        assert_eq!(
            log_in(&server, "127.0.0.1", &ada.email, password).await.refusal(),
            full,
            "the same for right and wrong"
        );
    }
    // Failed logins are counted in memory meanwhile, including the one above.
    for _ in 1..10 {
        assert_eq!(log_in(&server, "127.0.0.1", &ada.email, "another password").await.refusal(), full);
    }
    let eleventh = log_in(&server, "127.0.0.1", &ada.email, "another password").await;
    assert_eq!(eleventh.refusal(), (429, "TOO_MANY_ATTEMPTS".to_owned()));
    assert_eq!(one.refreshed(&server).await.refusal(), full);
    assert_eq!(used.refreshed(&server).await.json(), already_used());
    server.pass(GRACE);
    assert_eq!(used.refreshed(&server).await.json(), refused(), "reuse still ends a session");
    assert_eq!(one.logged_out(&server).await.status, StatusCode::OK);
    let path = format!("/token/{}", other.identity.token_id);
    assert_eq!(server.call_as(&ada.identity, Method::DELETE, &path, None).await.status, StatusCode::OK);
    server.room.store(0, Ordering::Relaxed);
    for session in [&one, &other, &newest] {
        assert_eq!(session.status(&server).await, revoked());
    }
    server.pass(15 * 60_000);
    assert_eq!(ada.session(&server).await.status(&server).await, ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_ends_every_session() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let ada = person(&server, &owner.org, Role::User).await;
    let (session, used) = (ada.session(&server).await, ada.session(&server).await);
    let newest = used.renewed(&server).await;
    let database = server.database.clone();
    let file: PathBuf = database.with_extension("copy");
    let (from, to) = (database.clone(), file.clone());
    blocking(move || backup::make(&from, &to, &clock::system()).expect("a backup")).await;
    let stopped = server.stop().await;
    let restored = blocking(move || {
        let options = Options { path: database, readers: 1, room: Room::new(0, 0) };
        let request = backup::Request { file: &file, sha256: None, keep_tokens: false, key_file: None };
        backup::restore(&request, &options, &clock::system()).expect("restored")
    });
    assert_eq!(restored.await.tokens_ended, 5);
    let server = stopped.start().await;
    for session in [session, newest, used] {
        assert_eq!(session.status(&server).await.0, 401);
        assert_eq!(session.refreshed(&server).await.json(), refused());
    }
    assert_eq!(ada.session(&server).await.status(&server).await, ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn resetting_a_password_ends_every_session_of_its_user_and_of_nobody_else() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let ada = person(&server, &owner.org, Role::User).await;
    let bob = person(&server, &owner.org, Role::User).await;
    let (first, second, other) = (ada.session(&server).await, ada.session(&server).await, bob.session(&server).await);
    let renewed = second.renewed(&server).await;
    let (system, email) = (Arc::clone(&server.system), ada.email.clone());
    blocking(move || drop(admin::reset_password(&system, &email).expect("an invitation"))).await;
    for session in [&first, &renewed] {
        assert_eq!(session.status(&server).await, revoked());
    }
    for session in [&first, &second, &renewed] {
        let answer = session.refreshed(&server).await;
        assert_eq!((answer.status, answer.json()), (StatusCode::UNAUTHORIZED, refused()));
    }
    assert_eq!(log_in(&server, "127.0.0.1", &ada.email, PASSWORD).await.status, StatusCode::UNAUTHORIZED);
    let server = server.restart().await;
    for session in [&first, &renewed] {
        assert_eq!(session.status(&server).await, revoked(), "after a restart");
        assert_eq!(session.refreshed(&server).await.status, StatusCode::UNAUTHORIZED, "after a restart");
    }
    let profile = server.call_as(&ada.identity, Method::GET, "/user/profile", None).await;
    assert_eq!(profile.status, StatusCode::OK, "an access token is no session");
    assert_eq!(other.status(&server).await, ok());
    other.renewed(&server).await;
    // Who is deleted can be given nothing to come back with.
    let path = format!("/organization/users/{}", bob.identity.user);
    assert_eq!(server.call_as(&owner, Method::DELETE, &path, None).await.status, StatusCode::OK);
    let (system, id) = (Arc::clone(&server.system), bob.identity.user.clone());
    let codes = blocking(move || {
        let reset = admin::reset_password(&system, &id).map(drop);
        [reset, admin::create_token(&system, &id, Ttl::Never).map(drop)].map(|given| given.map_err(|error| error.code))
    });
    assert_eq!(codes.await, [Err("USER_NOT_FOUND"); 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn refreshes_are_rate_limited_like_other_calls() {
    let server = Server::with(|flags| flags.with("caller_rate", "1")).await;
    let owner = server.owner_of("acme").await;
    let ada = person(&server, &owner.org, Role::User).await;
    let mut session = ada.session(&server).await;
    for _ in 0..40 {
        let answer = session.refreshed(&server).await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            assert_eq!(answer.refusal().1, "TOO_MANY_REQUESTS");
            assert!(answer.headers.contains_key("retry-after"));
            return;
        }
        session.refresh = answer.json()["refreshToken"].as_str().expect("a token").to_owned();
    }
    panic!("40 refreshes at once");
}
