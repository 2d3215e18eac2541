//! Step-up: a web session whose password was given long ago needs it again for what is hard to undo.

use std::sync::Arc;

use hyper::{Method, StatusCode};
use orgkeys::actions::{refusals, web_session};
use orgkeys::domain::role::Role;
use orgkeys::engine::authenticate::{Credential, authenticate};
use orgkeys::engine::caller::{Caller, Origin};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::harness::{Server, blocking, entries};
use crate::sessions::{DAY, PASSWORD, change};
use crate::web_sessions::{Browser, SIGN_IN, ok, outcome, owner, refused};

/// The caller that a browser's web session proves.
fn caller_of(server: &Server, browser: &Browser) -> Caller {
    let cookie = browser.cookie.split_once('=').expect("a pair").1;
    let credential = Credential::WebSession { cookie: Some(cookie), bearer: &browser.bearer };
    let origin = Origin { address: Some(server.address.ip()), ..Origin::NONE };
    authenticate(&server.app, credential, origin).expect("a caller")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_hard_to_undo_needs_the_password_again_after_15_minutes() {
    let server = Server::start().await;
    let ada = owner(&server).await;
    let org = ada.identity.org.clone();
    let browser = Browser::of(&server, &ada.email).await;
    let needed = refused(403, "PASSWORD_CONFIRMATION_REQUIRED");
    let new = |role: u8, name: &str| json!({ "email": format!("{name}@example.org"), "firstName": "Eve", "lastName": "", "orgRole": role, "sendInvite": true });
    let invited = browser.call(&server, Method::POST, "/organization/users", Some(&new(255, "owner"))).await.json();
    let invited = invited["data"]["id"].as_str().expect("an id").to_owned();
    let deleted = server.member_of(&org, Role::Owner).await.user;
    let gone = browser.call(&server, Method::DELETE, &format!("/organization/users/{deleted}"), None).await;
    assert_eq!(gone.status, StatusCode::OK, "the password was just given");
    let member = server.member_of(&org, Role::User).await.user;
    let keys = format!("/organization/{org}/key");
    let key = server.key(&ada.identity).await.0;
    let user = format!("/organization/users/{member}");
    let (own, to_owner) = (json!({ "name": "a", "ttlSeconds": 60 }), json!({ "orgRole": 255 }));
    let calls: [(Method, String, Option<Value>); 9] = [
        (Method::POST, "/organization/users".to_owned(), Some(new(255, "another"))),
        (Method::POST, format!("/organization/users/{invited}/resend-invitation"), None),
        (Method::POST, format!("/organization/users/{deleted}/activate"), None),
        (Method::PUT, user.clone(), Some(to_owner.clone())),
        (Method::PUT, format!("/user/{member}/role"), Some(to_owner)),
        (Method::DELETE, user, None),
        (Method::DELETE, format!("{keys}/{key}"), None),
        (Method::DELETE, keys.clone(), None),
        (Method::POST, "/token".to_owned(), Some(own)),
    ];
    server.pass(15 * 60_000 - 1);
    let none = format!("{keys}/key-018d0b6a-5c80-7000-8000-000000000999");
    assert_eq!(browser.call(&server, Method::DELETE, &none, None).await.refusal().1, "KEY_NOT_FOUND");
    let lesser = browser.call(&server, Method::POST, "/organization/users", Some(&new(255, "third"))).await;
    assert_eq!(lesser.status, StatusCode::CREATED, "{lesser:?}");
    server.pass(1);
    for (method, path, body) in &calls {
        let answer = browser.call(&server, method.clone(), path, body.as_ref()).await;
        assert_eq!(outcome(&answer), needed, "{method} {path}");
    }
    // Everything else goes on.
    for (path, body) in [("/organization/users", new(254, "administrator")), ("/systemevent", json!({}))] {
        let answer = browser.call(&server, Method::POST, path, Some(&body)).await;
        assert!(answer.status.is_success(), "{path}: {answer:?}");
    }
    let wrong = browser.confirm(&server, "wrong").await;
    assert_eq!(wrong.refusal(), refused(400, "WRONG_PASSWORD"));
    assert_eq!(browser.call(&server, Method::DELETE, &keys, None).await.refusal(), needed);
    let confirmed = browser.confirm(&server, PASSWORD).await;
    assert_eq!(outcome(&confirmed), ok());
    assert_eq!(confirmed.json()["confirmedUntil"], "2024-01-15T11:00:00.000Z");
    server.pass(15 * 60_000 - 1);
    for (method, path, body) in &calls {
        let answer = browser.call(&server, method.clone(), path, body.as_ref()).await;
        assert!(answer.status.is_success(), "{method} {path}: {answer:?}");
    }
    // An access token never needs it.
    server.pass(DAY / 2);
    assert_eq!(server.call_as(&ada.identity, Method::DELETE, &keys, None).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn confirming_is_limited_together_with_signing_in() {
    let server = Server::start().await;
    let ada = owner(&server).await;
    let browser = Browser::of(&server, &ada.email).await;
    let guess = json!({ "email": ada.email, "password": "wrong" });
    let caller = caller_of(&server, &browser);
    let earlier = web_session::confirming(&server.app, &caller).expect("begun before the guesses");
    for _ in 0..9 {
        assert_eq!(server.call(Method::POST, SIGN_IN, Some(&guess)).await.refusal().1, "INVALID_CREDENTIALS");
    }
    assert_eq!(browser.confirm(&server, "wrong").await.refusal(), refused(400, "WRONG_PASSWORD"));
    for answer in [browser.confirm(&server, PASSWORD).await, Browser::answer(&server, &ada.email, &[]).await] {
        assert_eq!(answer.refusal(), refused(429, "TOO_MANY_ATTEMPTS"));
        assert_eq!(answer.headers["retry-after"], "900");
    }
    // It takes no place from others who wait for the work on a password.
    let begun = web_session::confirming(&server.app, &caller).err().expect("beyond the limit");
    assert_eq!(begun.code, "TOO_MANY_ATTEMPTS");
    let (app, right) = (Arc::clone(&server.app), SecretString::from(PASSWORD));
    let late = blocking(move || web_session::confirm(&app, &caller, earlier, &right).expect_err("beyond the limit"));
    assert_eq!(late.await.code, "TOO_MANY_ATTEMPTS");
    server.pass(15 * 60_000);
    assert_eq!(outcome(&browser.confirm(&server, PASSWORD).await), ok());
    let system = Arc::clone(&server.system);
    blocking(move || refusals::flush(&system, true).expect("written")).await;
    let counted = |code: &str| format!("{{\"errorCode\":\"{code}\"");
    for (code, count) in [("INVALID_CREDENTIALS", 9), ("WRONG_PASSWORD", 1), ("TOO_MANY_ATTEMPTS", 4)] {
        let details = entries(&server.database).await.into_iter().filter_map(|entry| entry.detail);
        let told: Vec<String> = details.filter(|detail| detail.starts_with(&counted(code))).collect();
        assert!(told.len() == 1 && told[0].contains(&format!("\"count\":{count}")), "{code}: {told:?}");
    }
    let body = json!({ "password": PASSWORD });
    let other = server.call_as(&ada.identity, Method::POST, "/user/web-session/confirm", Some(&body)).await;
    assert_eq!(other.refusal(), refused(403, "NOT_A_WEB_SESSION"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_was_changed_meanwhile_confirms_nothing() {
    let server = Server::start().await;
    let ada = owner(&server).await;
    let browser = Browser::of(&server, &ada.email).await;
    server.pass(15 * 60_000);
    let caller = caller_of(&server, &browser);
    let begun = web_session::confirming(&server.app, &caller).expect("begun");
    // As `user reset-password` does while the old password is compared, except that the session goes on.
    change(&server, &format!("UPDATE person SET password = NULL WHERE email = '{}'", ada.email));
    let (app, old) = (Arc::clone(&server.app), SecretString::from(PASSWORD));
    let error = blocking(move || web_session::confirm(&app, &caller, begun, &old).expect_err("it is no longer right"));
    assert_eq!(error.await.code, "WRONG_PASSWORD");
    let keys = format!("/organization/{}/key", ada.identity.org);
    let needed = refused(403, "PASSWORD_CONFIRMATION_REQUIRED");
    assert_eq!(browser.call(&server, Method::DELETE, &keys, None).await.refusal(), needed);
}
