//! A user's own account: accepting an invitation, and changing the password.

use std::sync::Arc;

use hyper::{HeaderMap, Method, StatusCode};
use orgkeys::actions::refusals;
use orgkeys::crypto::password::{PasswordMatch, verify};
use orgkeys::domain::role::Role;
use rusqlite::Connection;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::harness::{Answer, Identity, Server, blocking, entries};
use crate::users::guest;

const HOUR: i64 = 3_600_000;
const PASSWORD: &str = "a cat on 3 roofs";

/// An invited user's id, and the invitation token.
async fn invited(server: &Server, owner: &Identity, email: &str) -> (String, String) {
    let made = server.call_as(owner, Method::POST, "/organization/users", Some(&guest(email, 0))).await;
    assert_eq!((made.status, &made.json()["data"]["validated"]), (StatusCode::CREATED, &json!(false)));
    assert_eq!(made.headers["cache-control"], "no-store");
    (text(&made.json()["data"]["id"]), text(&made.json()["invitationToken"]))
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

async fn take(server: &Server, token: &str, password: &str) -> Answer {
    let body = json!({ "token": token, "password": password });
    server.call(Method::POST, "/user/verify-email", Some(&body)).await
}

async fn resend(server: &Server, owner: &Identity, user: &str) -> Answer {
    server.call_as(owner, Method::POST, &format!("/organization/users/{user}/resend-invitation"), None).await
}

async fn put(server: &Server, who: &Identity, body: Value) -> Answer {
    server.call_as(who, Method::PUT, &format!("/user/{}", who.user), Some(&body)).await
}

/// Whether the stored hash belongs to this password.
fn has_password(server: &Server, user: &str, password: &str) -> bool {
    let id = user.strip_prefix("user-").expect("an id").replace('-', "");
    let file = Connection::open(&server.database).expect("the file");
    let sql = "SELECT password FROM person WHERE lower(hex(id)) = ?1";
    let hash: Option<String> = file.query_row(sql, [id], |row| row.get(0)).expect("a row");
    verify(&SecretString::from(password), hash.as_deref()) == PasswordMatch::Right
}

/// Turns an access token into a session, as a login would create it.
fn make_session(server: &Server, who: &Identity) {
    let id = who.token_id.strip_prefix("token-").expect("an id").replace('-', "");
    let file = Connection::open(&server.database).expect("the file");
    let sql = "UPDATE token SET refresh_until = created_at + 2592000000 WHERE lower(hex(id)) = ?1";
    assert_eq!(file.execute(sql, [id]), Ok(1));
}

/// Another access token of the same user.
async fn another_token(server: &Server, who: &Identity) -> Identity {
    let (system, user) = (Arc::clone(&server.system), who.user.clone());
    let made = crate::harness::blocking(move || {
        let ttl = orgkeys::actions::admin::Ttl::Never;
        orgkeys::actions::admin::create_token(&system, &user, ttl).expect("a token")
    });
    let (secret, token) = made.await;
    let token_id = token.id.to_string();
    Identity { token: secrecy::ExposeSecret::expose_secret(&secret).to_owned(), token_id, ..who.clone() }
}

async fn stands(server: &Server, who: &Identity) -> bool {
    server.call_as(who, Method::GET, "/user/profile", None).await.status == StatusCode::OK
}

/// The parts of a response that must not reveal anything about a token.
fn told(answer: &Answer) -> (StatusCode, HeaderMap, Vec<u8>) {
    let mut headers = answer.headers.clone();
    headers.remove("x-request-id");
    headers.remove("date");
    (answer.status, headers, answer.body.to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_works_once_within_72_hours_and_all_bad_tokens_look_alike() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (eve, first) = invited(&server, &owner, "eve@example.org").await;
    assert_eq!((first.len(), &first[..4]), (40, "oki_"));
    let renewed = resend(&server, &owner, &eve).await;
    let second = text(&renewed.json()["invitationToken"]);
    let message = "Invitation renewed successfully";
    let expected = json!({ "success": true, "message": message, "invitationToken": second });
    assert_eq!((renewed.status, renewed.json()), (StatusCode::OK, expected));
    assert_eq!(renewed.headers["cache-control"], "no-store");
    assert_ne!(first, second);
    let (bob, bobs) = invited(&server, &owner, "bob@example.org").await;
    let (_, forgotten) = invited(&server, &owner, "lost@example.org").await;
    let (deleted, token_of_deleted) = invited(&server, &owner, "gone@example.org").await;
    server.call_as(&owner, Method::DELETE, &format!("/organization/users/{deleted}"), None).await;
    server.call_as(&owner, Method::POST, &format!("/organization/users/{deleted}/activate"), None).await;
    server.pass(72 * HOUR - 1);
    let ended = take(&server, &token_of_deleted, PASSWORD).await;
    assert_eq!(ended.refusal(), (400, "INVALID_TOKEN".to_owned()), "the deletion ended it");
    let weak = take(&server, &second, "password1234").await;
    assert_eq!(weak.refusal(), (400, "INVALID_FIELD".to_owned()), "the invitation stays valid");
    let taken = take(&server, &second, PASSWORD).await;
    let expected = json!({ "success": true, "message": "Email verified successfully", "email": "eve@example.org" });
    assert_eq!((taken.status, taken.json()), (StatusCode::OK, expected));
    assert!(has_password(&server, &eve, PASSWORD));
    let user = server.call_as(&owner, Method::GET, &format!("/organization/users/{eve}"), None).await.json();
    assert_eq!(user["validated"], true);
    let last = entries(&server.database).await;
    let last = last.iter().rev().find(|entry| entry.action == "user.verify").expect("an entry");
    assert_eq!((last.actor_kind.as_str(), &last.actor_id, &last.context_id), ("user", &eve, &Some(eve.clone())));
    server.pass(1);
    let unknown = {
        let elsewhere = Server::start().await;
        let other = elsewhere.owner_of("acme").await;
        invited(&elsewhere, &other, "eve@example.org").await.1
    };
    let recorded = entries(&server.database).await.len();
    let bad = [&first, &second, &forgotten, &token_of_deleted, &unknown, &owner.token, "oki_", "", &second[..39]];
    let mut answers = Vec::new();
    for token in bad {
        let refused = take(&server, token, "another cat on 3 roofs").await;
        assert_eq!(refused.refusal(), (400, "INVALID_TOKEN".to_owned()), "{token}");
        answers.push(told(&refused));
    }
    assert!(answers.windows(2).all(|two| two[0] == two[1]), "{answers:?}");
    assert_eq!(entries(&server.database).await.len(), recorded, "a rejected token writes nothing");
    assert!(has_password(&server, &eve, PASSWORD));
    let late = take(&server, &bobs, PASSWORD).await;
    assert_eq!(late.refusal(), (400, "INVALID_TOKEN".to_owned()), "72 hours later");
    let again = text(&resend(&server, &owner, &bob).await.json()["invitationToken"]);
    assert_eq!(take(&server, &again, PASSWORD).await.status, StatusCode::OK);
    let refused = resend(&server, &owner, &bob).await;
    let message = "User is already active: an invitation is only for users who have not accepted one yet";
    let expected = json!({ "success": false, "message": message, "errorCode": "USER_ALREADY_VALIDATED" });
    assert_eq!((refused.status, refused.json()), (StatusCode::BAD_REQUEST, expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_16_concurrent_acceptances_of_an_invitation_one_succeeds() {
    let server = Arc::new(Server::start().await);
    let owner = server.owner_of("acme").await;
    let (eve, token) = invited(&server, &owner, "eve@example.org").await;
    let calls: Vec<_> = (0..16)
        .map(|number| {
            let (server, token) = (Arc::clone(&server), token.clone());
            tokio::spawn(async move { take(&server, &token, &format!("cat number {number}")).await })
        })
        .collect();
    let mut winner = None;
    for (number, call) in calls.into_iter().enumerate() {
        let answer = call.await.expect("an answer");
        if answer.status == StatusCode::OK {
            assert_eq!(winner.replace(number), None, "two calls succeeded");
        } else {
            assert_eq!(answer.refusal(), (400, "INVALID_TOKEN".to_owned()));
        }
    }
    assert!(has_password(&server, &eve, &format!("cat number {}", winner.expect("one call succeeded"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn changing_a_password_requires_the_current_one_once_it_is_set() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let user = server.member_of(&owner.org, Role::User).await;
    let done = json!({ "success": true, "message": "User updated successfully" });
    let first = put(&server, &user, json!({ "password": PASSWORD, "lastName": "Hopper" })).await;
    assert_eq!((first.status, first.json()), (StatusCode::OK, done));
    let profile = server.call_as(&user, Method::GET, "/user/profile", None).await.json();
    assert_eq!(profile["data"]["lastName"], "Hopper", "beside the password");
    put(&server, &user, json!({})).await;
    let last = entries(&server.database).await.pop().expect("an entry");
    assert_eq!(last.action, "user.update", "every call is recorded");
    assert!(has_password(&server, &user.user, PASSWORD));
    let next = "another cat on 3 roofs";
    let long = "p".repeat(1_025);
    let refused = [
        (json!({ "password": next }), "INVALID_FIELD", "currentPassword is required"),
        (json!({ "password": next, "currentPassword": next }), "WRONG_PASSWORD", "The current password is wrong"),
        (json!({ "password": next, "currentPassword": "" }), "WRONG_PASSWORD", "The current password is wrong"),
        (json!({ "password": next, "currentPassword": long }), "INVALID_FIELD", "currentPassword must be at most"),
        (json!({ "password": "eleven byte", "currentPassword": PASSWORD }), "INVALID_FIELD", "12 to 1024 bytes"),
        (json!({ "password": "password1234", "currentPassword": PASSWORD }), "INVALID_FIELD", "most common"),
    ];
    let recorded = entries(&server.database).await.len();
    for (body, code, expected) in refused {
        let answer = put(&server, &user, body).await;
        assert_eq!(answer.refusal(), (400, code.to_owned()));
        assert!(text(&answer.json()["message"]).contains(expected), "{answer:?}");
    }
    assert_eq!(entries(&server.database).await.len(), recorded);
    // Guesses of the current password are counted like those of a login.
    let system = Arc::clone(&server.system);
    blocking(move || refusals::flush(&system, true).expect("written")).await;
    let counted = entries(&server.database).await.split_off(recorded);
    let detail = counted[0].detail.as_deref().expect("a detail");
    let guessed = detail.contains("\"errorCode\":\"WRONG_PASSWORD\"") && detail.ends_with("\"count\":2}");
    assert!(counted.len() == 1 && counted[0].action == "session.refused" && guessed, "{counted:?}");
    let recorded = recorded + 1;
    assert!(has_password(&server, &user.user, PASSWORD));
    let changed = put(&server, &user, json!({ "name": "Eve", "password": next, "currentPassword": PASSWORD })).await;
    assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
    assert!(has_password(&server, &user.user, next));
    let last = entries(&server.database).await.split_off(recorded);
    let last: Vec<_> = last.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(last, ["user.password", "user.update"]);
    let profile = server.call_as(&user, Method::GET, "/user/profile", None).await.json();
    assert_eq!((&profile["data"]["name"], &profile["data"]["lastName"]), (&json!("Eve"), &json!("Hopper")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_ends_the_other_sessions_but_no_access_token() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let user = server.member_of(&owner.org, Role::User).await;
    let bystander = server.member_of(&owner.org, Role::User).await;
    let (laptop, phone) = (another_token(&server, &user).await, another_token(&server, &user).await);
    for session in [&laptop, &phone, &bystander] {
        make_session(&server, session);
    }
    let stand = async |expected: [bool; 4]| {
        let mut found = Vec::new();
        for who in [&user, &laptop, &phone, &bystander] {
            found.push(stands(&server, who).await);
        }
        assert_eq!(found, expected);
    };
    put(&server, &laptop, json!({ "name": "Eve" })).await;
    stand([true, true, true, true]).await;
    assert_eq!(put(&server, &laptop, json!({ "password": PASSWORD })).await.status, StatusCode::OK);
    stand([true, true, false, true]).await;
    let last = entries(&server.database).await;
    let last = last.iter().rev().find(|entry| entry.action == "user.password").expect("an entry");
    assert_eq!(last.detail.as_deref(), Some(r#"{"sessionsEnded":1}"#));
    let next = json!({ "password": "another cat on 3 roofs", "currentPassword": PASSWORD });
    assert_eq!(
        put(&server, &user, next).await.status,
        StatusCode::OK,
        "an access token that is not a session may do it too"
    );
    stand([true, false, false, true]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_8_concurrent_password_changes_one_succeeds() {
    let server = Arc::new(Server::start().await);
    let owner = server.owner_of("acme").await;
    put(&server, &owner, json!({ "password": PASSWORD })).await;
    let calls: Vec<_> = (0..8)
        .map(|number| {
            let (server, owner) = (Arc::clone(&server), owner.clone());
            let body = json!({ "password": format!("cat number {number}"), "currentPassword": PASSWORD });
            tokio::spawn(async move { put(&server, &owner, body).await })
        })
        .collect();
    let mut winner = None;
    for (number, call) in calls.into_iter().enumerate() {
        let answer = call.await.expect("an answer");
        if answer.status == StatusCode::OK {
            assert_eq!(winner.replace(number), None, "two calls succeeded");
        } else {
            assert_eq!(answer.refusal(), (400, "WRONG_PASSWORD".to_owned()));
        }
    }
    assert!(has_password(&server, &owner.user, &format!("cat number {}", winner.expect("one call succeeded"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn users_can_change_only_their_own_account() {
    let server = Server::start().await;
    let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    let user = server.member_of(&owner.org, Role::User).await;
    for (name, body) in [("a name", json!({ "name": "Eve" })), ("a password", json!({ "password": PASSWORD }))] {
        let mut answers = Vec::new();
        for id in [&user.user, &other.user, "user-1", "%7B%7D"] {
            let refused = server.call_as(&owner, Method::PUT, &format!("/user/{id}"), Some(&body)).await;
            let message = "Access denied: you can only change your own account";
            let expected = json!({ "success": false, "message": message, "errorCode": "ACCESS_DENIED" });
            assert_eq!((refused.status, refused.json()), (StatusCode::FORBIDDEN, expected), "{name} of {id}");
            answers.push(told(&refused));
        }
        assert!(answers.windows(2).all(|two| two[0] == two[1]), "{answers:?}");
    }
    for who in [&user, &owner, &other] {
        assert!(!has_password(&server, &who.user, PASSWORD));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn setting_a_password_invalidates_the_pending_invitation() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (eve, token) = invited(&server, &owner, "eve@example.org").await;
    let known = Identity { user: eve.clone(), ..owner.clone() };
    let signed_in = another_token(&server, &known).await;
    assert_eq!(put(&server, &signed_in, json!({ "password": PASSWORD })).await.status, StatusCode::OK);
    let refused = take(&server, &token, "another cat on 3 roofs").await;
    assert_eq!(refused.refusal(), (400, "INVALID_TOKEN".to_owned()));
    assert!(has_password(&server, &eve, PASSWORD));
    let user = server.call_as(&owner, Method::GET, &format!("/organization/users/{eve}"), None).await.json();
    assert_eq!(user["validated"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_and_invitation_tokens_are_stored_nowhere_in_plain_text() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (_, token) = invited(&server, &owner, "eve@example.org").await;
    put(&server, &owner, json!({ "password": PASSWORD })).await;
    put(&server, &owner, json!({ "password": "another cat on 3 roofs", "currentPassword": PASSWORD })).await;
    take(&server, &token, "a third cat on 3 roofs").await;
    let folder = server.database.parent().expect("a folder");
    let mut length = 0;
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a name").path());
    // Everything but the socket.
    for file in entries.filter(|path| path.is_file()) {
        let bytes = std::fs::read(file).expect("bytes");
        length += bytes.len();
        for secret in [token.as_str(), "cat on 3 roofs"] {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret}");
        }
    }
    assert!(length > 10_000);
}
