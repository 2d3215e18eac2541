//! Credentials of a request: a bad one is refused with the reason, and nothing else establishes who calls.

use std::sync::Arc;
use std::time::Duration;

use hyper::{Method, StatusCode};
use orgkeys::actions::admin::{self, Ttl};
use orgkeys::domain::role::Role;
use serde_json::json;

use crate::access::token;
use crate::harness::{Server, blocking, entries, with_body};
use crate::sessions::person;

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_credential_gets_a_specific_error_code() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (good, expiring) = (owner.token.clone(), token(&server, &owner, Ttl::For(Duration::from_mins(1))).await);
    let revoked = server.member_of(&owner.org, Role::User).await;
    server.revoke(&revoked).await;
    let unknown = {
        let elsewhere = Server::start().await;
        elsewhere.owner_of("acme").await.token
    };
    let bearer = |token: &str| ("authorization", format!("Bearer {token}"));
    let call = async |headers: Vec<(&str, String)>| {
        let mut request = server.request(Method::GET, "/user/profile");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        server.send(with_body(request, None)).await
    };
    server.pass(59_999);
    assert_eq!(call(vec![bearer(&expiring)]).await.status, StatusCode::OK, "a millisecond before it expires");
    server.pass(1);
    let cases = [
        (vec![], "NO_CREDENTIAL"),
        (vec![bearer(&good[..39])], "MALFORMED_TOKEN"),
        (vec![("authorization", good.clone())], "MALFORMED_TOKEN"),
        (vec![("authorization", format!("Basic {good}"))], "MALFORMED_TOKEN"),
        (vec![bearer(&unknown)], "INVALID_TOKEN"),
        (vec![bearer(&expiring)], "TOKEN_EXPIRED"),
        (vec![bearer(&revoked.token)], "TOKEN_REVOKED"),
        (vec![bearer(&good), ("x-api-key", "oka_1".to_owned())], "TWO_CREDENTIALS"),
        (vec![bearer(&good), bearer(&good)], "TWO_CREDENTIALS"),
        (vec![("x-api-key", "oka_1".to_owned()), ("x-api-key", "oka_1".to_owned())], "TWO_CREDENTIALS"),
    ];
    for (headers, code) in cases {
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let answer = call(headers).await;
        assert_eq!(answer.refusal(), (401, code.to_owned()), "{names:?}");
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!body.contains(&good) && !body.contains(&expiring), "{body} repeats a token");
        if code == "TWO_CREDENTIALS" {
            let told = body.to_lowercase();
            assert!(names.iter().all(|name| told.contains(name)), "{body} does not name the headers");
        }
    }
    for form in ["bearer", "BEARER", "Bearer "] {
        let written = vec![("authorization", format!("{form} {good}"))];
        assert_eq!(call(written).await.status, StatusCode::OK, "{form:?}");
    }
    let (_, key) = server.api_key(&owner, Role::User, &[]).await;
    let request = server.request(Method::GET, "/node").header("authorization", format!("Bearer {key}"));
    assert_eq!(server.send(with_body(request, None)).await.status, StatusCode::OK, "an API key, as a bearer token");
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_and_roles_stated_in_a_request_are_ignored() {
    let server = Server::start().await;
    let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    let user = server.member_of(&owner.org, Role::User).await;
    server.key(&owner).await;
    let claims = json!({ "orgId": other.org, "organizationId": other.org, "userId": owner.user, "orgRole": 255 });
    let query = format!("?orgId={}&userId={}&orgRole=255", other.org, owner.user);
    let page = server.call_as(&user, Method::POST, &format!("/systemevent{query}"), Some(&claims)).await.json();
    assert_eq!((&page["events"], &page["total"]), (&json!([]), &json!(0)));
    let request = server.request(Method::GET, &format!("/user/profile{query}"));
    let request = request.header("authorization", format!("Bearer {}", user.token)).header("x-user-id", &owner.user);
    let profile = server.send(with_body(request, None)).await.json();
    assert_eq!((&profile["data"]["id"], &profile["data"]["orgRole"]), (&json!(user.user), &json!(0)));
    let keys = format!("/organization/{}/key{query}", owner.org);
    let denied = server.call_as(&user, Method::POST, &keys, Some(&claims)).await;
    assert_eq!(denied.refusal(), (403, "ACCESS_DENIED".to_owned()));
    let recorded = entries(&server.database).await;
    let last: Vec<_> = recorded.iter().rev().take(3).map(|entry| (&entry.actor_id, &entry.org)).collect();
    assert_eq!(last, [(&user.user, &owner.org); 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_has_ended_verifies_no_api_key_either() {
    // Verifications are answered from memory.
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let status = async |token: &str| {
        let request = server.request(Method::POST, "/api/api-keys/verify");
        let request = request.header("authorization", format!("Bearer {token}"));
        server.send(with_body(request, Some(&json!({ "apiKey": "" })))).await.status.as_u16()
    };
    let (revoked, deleted) =
        (server.member_of(&owner.org, Role::User).await, server.member_of(&owner.org, Role::User).await);
    let (ada, bob) = (person(&server, &owner.org, Role::User).await, person(&server, &owner.org, Role::User).await);
    let (left, renewed, reset) = (ada.session(&server).await, ada.session(&server).await, bob.session(&server).await);
    let ended = token(&server, &owner, Ttl::Never).await;
    let tokens = [
        ("revoked on the command line", &revoked.token),
        ("of a deleted user", &deleted.token),
        ("signed out", &left.identity.token),
        ("renewed", &renewed.identity.token),
        ("of a user whose password was reset", &reset.identity.token),
        ("ended by its user", &ended),
    ];
    for (name, token) in tokens {
        assert_eq!(status(token).await, 200, "{name}");
    }
    server.revoke(&revoked).await;
    let path = format!("/organization/users/{}", deleted.user);
    assert_eq!(server.call_as(&owner, Method::DELETE, &path, None).await.status, StatusCode::OK);
    assert!(left.logged_out(&server).await.status.is_success());
    renewed.renewed(&server).await;
    let system = Arc::clone(&server.system);
    blocking(move || admin::reset_password(&system, &bob.email).expect("reset")).await;
    let listed = server.call_as(&owner, Method::GET, "/token", None).await.json();
    let id = listed["tokens"][0]["id"].as_str().expect("an id");
    assert!(server.call_as(&owner, Method::DELETE, &format!("/token/{id}"), None).await.status.is_success());
    for (name, token) in tokens {
        assert_eq!(status(token).await, 401, "{name}");
    }
}
