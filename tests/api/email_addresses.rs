//! Email addresses: one user of the server has an address at a time, and deleting the user frees it.

use std::sync::Arc;

use hyper::{Method, StatusCode};
use orgkeys::actions::admin::{self, Ttl};
use orgkeys::domain::role::Role;
use serde_json::{Value, json};

use crate::harness::{Answer, Identity, Server, blocking, entries};
use crate::sessions::{PASSWORD, log_in, person};
use crate::users::{USERS, activate, delete, guest};

/// Adds a user by invitation.
async fn invite(server: &Server, caller: &Identity, email: &str) -> Answer {
    server.call_as(caller, Method::POST, USERS, Some(&guest(email, 0))).await
}

fn id_of(answer: &Answer) -> String {
    answer.json()["data"]["id"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}

/// The refusal of an address in use.
fn taken() -> (u16, Value) {
    let message = "The email address is already in use on this server, where only one user can have it. Use another \
        address, or ask the server's administrator: `orgkeys user list` shows who has it, and deleting that user frees it";
    (409, json!({ "success": false, "message": message, "errorCode": "EMAIL_TAKEN" }))
}

fn told(answer: &Answer) -> (u16, Value) {
    (answer.status.as_u16(), answer.json())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_email_address_is_unique_on_the_server_in_any_letter_case() {
    let server = Server::start().await;
    let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    let made = invite(&server, &owner, "eve@example.org").await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    for caller in [&owner, &other] {
        for mut body in [guest("EVE@Example.ORG", 0), guest("eve@example.org", 0)] {
            for is_invited in [true, false] {
                (body["sendInvite"], body["password"]) = (json!(is_invited), json!("a cat on 3 roofs"));
                let refused = server.call_as(caller, Method::POST, USERS, Some(&body)).await;
                assert_eq!(told(&refused), taken(), "the same in both organizations");
            }
        }
    }
    let (system, org) = (Arc::clone(&server.system), other.org.clone());
    let refused = blocking(move || admin::create_user(&system, &org, "Eve@example.org", Role::User, "", "")).await;
    assert_eq!(refused.expect_err("the command line").code, "EMAIL_TAKEN");
    let server = Arc::new(server);
    let calls: Vec<_> = (0..32)
        .map(|number| {
            let (server, caller) = (Arc::clone(&server), if number % 2 == 0 { owner.clone() } else { other.clone() });
            let email = if number % 3 == 0 { "bob@example.org" } else { "BOB@example.org" };
            tokio::spawn(async move { invite(&server, &caller, email).await.status.as_u16() })
        })
        .collect();
    let mut made = 0;
    for call in calls {
        match call.await.expect("an answer") {
            201 => made += 1,
            status => assert_eq!(status, 409),
        }
    }
    assert_eq!(made, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_user_frees_the_address_and_activating_one_whose_address_is_taken_is_refused() {
    let server = Server::start().await;
    let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    let first = id_of(&invite(&server, &owner, "eve@example.org").await);
    assert_eq!(delete(&server, &owner, &first).await.status, StatusCode::OK);
    let second = id_of(&invite(&server, &other, "EVE@example.org").await);
    let before = entries(&server.database).await.len();
    assert_eq!(told(&activate(&server, &owner, &first).await), taken());
    assert_eq!(entries(&server.database).await.len(), before, "nothing was changed");
    // Deleted twice in the same moment, as on a clock that stands still.
    assert_eq!(delete(&server, &other, &second).await.status, StatusCode::OK);
    let third = id_of(&invite(&server, &owner, "eve@example.org").await);
    assert_eq!(delete(&server, &owner, &third).await.status, StatusCode::OK);
    assert_eq!(activate(&server, &owner, &first).await.status, StatusCode::OK);
    for (caller, user) in [(&other, &second), (&owner, &third)] {
        assert_eq!(told(&activate(&server, caller, user).await), taken());
    }
    assert_eq!(told(&invite(&server, &other, "eve@example.org").await), taken());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_32_concurrent_activations_and_creations_with_one_address_one_succeeds() {
    let server = Arc::new(Server::start().await);
    let owner = server.owner_of("acme").await;
    let mut deleted = Vec::new();
    for _ in 0..16 {
        let id = id_of(&invite(&server, &owner, "eve@example.org").await);
        assert_eq!(delete(&server, &owner, &id).await.status, StatusCode::OK);
        deleted.push(id);
    }
    let calls: Vec<_> = (0..32)
        .map(|number| {
            let (server, owner, id) = (Arc::clone(&server), owner.clone(), deleted[number / 2].clone());
            tokio::spawn(async move {
                match number % 2 {
                    0 => activate(&server, &owner, &id).await.status.as_u16(),
                    _ => invite(&server, &owner, "eve@example.org").await.status.as_u16(),
                }
            })
        })
        .collect();
    let mut statuses = Vec::new();
    for call in calls {
        statuses.push(call.await.expect("an answer"));
    }
    statuses.sort_unstable();
    assert!(statuses[0] < 202 && statuses[1..].iter().all(|status| *status == 409), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_user_who_has_an_address_signs_in_with_it_and_no_deleted_one() {
    let server = Server::start().await;
    let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    let old = person(&server, &owner.org, Role::User).await;
    let attempt = async |password: &str| {
        let answer = log_in(&server, "127.0.0.1", &old.email, password).await;
        let user = answer.json()["user"]["id"].as_str().unwrap_or_default().to_owned();
        (answer.status.as_u16(), answer.json()["errorCode"].as_str().unwrap_or_default().to_owned(), user)
    };
    let refused = |code: &str| (401, code.to_owned(), String::new());
    let in_as = |user: &str| (200, String::new(), user.to_owned());
    assert_eq!(delete(&server, &owner, &old.identity.user).await.status, StatusCode::OK);
    assert_eq!(attempt(PASSWORD).await, refused("USER_INACTIVE"));
    assert_eq!(attempt("another password").await, refused("INVALID_CREDENTIALS"));
    let mut new = guest(&old.email.to_uppercase(), 0);
    (new["sendInvite"], new["password"]) = (json!(false), json!("a cat on 3 roofs"));
    let new = id_of(&server.call_as(&other, Method::POST, USERS, Some(&new)).await);
    assert_eq!(attempt("a cat on 3 roofs").await, in_as(&new));
    assert_eq!(attempt(PASSWORD).await, refused("INVALID_CREDENTIALS"), "the old account does not count");
    let (system, email) = (Arc::clone(&server.system), old.email.clone());
    let token = blocking(move || admin::create_token(&system, &email, Ttl::Never).expect("a token").1).await;
    assert_eq!(token.user.to_string(), new, "the command line means the same user");
    server.pass(1);
    assert_eq!(delete(&server, &other, &new).await.status, StatusCode::OK);
    assert_eq!(attempt("a cat on 3 roofs").await, refused("USER_INACTIVE"), "the last who had the address");
    assert_eq!(attempt(PASSWORD).await, refused("INVALID_CREDENTIALS"));
    assert_eq!(activate(&server, &owner, &old.identity.user).await.status, StatusCode::OK);
    assert_eq!(attempt(PASSWORD).await, in_as(&old.identity.user));
    assert_eq!(attempt("a cat on 3 roofs").await, refused("INVALID_CREDENTIALS"));
    let (system, email) = (Arc::clone(&server.system), old.email.clone());
    let reset = blocking(move || admin::reset_password(&system, &email).expect("reset")).await;
    assert_eq!(reset.user.id.to_string(), old.identity.user);
}
