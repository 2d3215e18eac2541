//! How long the link that sets up a new server is valid.

use std::sync::Arc;

use hyper::{Method, StatusCode};
use orgkeys::actions::admin::{self, Ttl};
use orgkeys::domain::id::{OrgId, UserId};
use orgkeys::domain::role::Role;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::harness::{Server, blocking, with_body};
use crate::sessions::{PASSWORD, conn, person};
use crate::web_sessions::{ok, outcome, refused};

const HOUR: i64 = 3_600_000;

/// Sets the first owner's password with the link.
async fn take(server: &Server) -> (u16, String) {
    let token = server.setup_link.as_ref().expect("a link").expose_secret();
    let body = json!({ "token": token, "password": PASSWORD });
    outcome(&server.call(Method::POST, "/user/verify-email", Some(&body)).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_sets_up_a_server_is_valid_for_an_hour_or_until_another_owner_has_a_password() {
    let invalid = refused(400, "INVALID_TOKEN");
    for (age, expected) in [(HOUR - 1, ok()), (HOUR, invalid.clone())] {
        let server = Server::start().await;
        server.pass(age);
        assert_eq!(take(&server).await, expected, "{age} ms");
    }
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let other = person(&server, &owner.org, Role::Owner).await;
    assert_eq!(take(&server).await, invalid);
    let path = format!("/organization/users/{}", other.identity.user);
    assert_eq!(server.call_as(&owner, Method::DELETE, &path, None).await.status, StatusCode::OK);
    assert_eq!(take(&server).await, ok(), "a deleted owner has no password");
}

/// The organization and the user whom the first start creates.
fn first_owner(server: &Server) -> (OrgId, UserId) {
    let read = |row: &rusqlite::Row<'_>| Ok((OrgId::from_bytes(row.get(0)?), UserId::from_bytes(row.get(1)?)));
    conn(server).query_row("SELECT org, id FROM person", [], read).expect("the first owner")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_is_for_the_first_owner_who_is_left() {
    let server = Server::start().await;
    let (org, first) = first_owner(&server);
    let system = Arc::clone(&server.system);
    let email = "second@example.org";
    let token = blocking(move || {
        admin::create_user(&system, &org.to_string(), email, Role::Owner, "", "").expect("a user");
        let hour = Ttl::For(std::time::Duration::from_hours(1));
        admin::create_token(&system, email, hour).expect("a token").0.expose_secret().to_owned()
    });
    let bearer = format!("Bearer {}", token.await);
    let request = server.request(Method::DELETE, &format!("/organization/users/{first}"));
    let deleted = server.send(with_body(request.header("authorization", bearer), None)).await;
    assert_eq!(deleted.status, StatusCode::OK, "{deleted:?}");
    let server = server.restart().await;
    let token = server.setup_link.as_ref().expect("a link").expose_secret();
    let body = json!({ "token": token, "password": PASSWORD });
    assert_eq!(server.call(Method::POST, "/user/verify-email", Some(&body)).await.json()["email"], email);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_is_of_no_use_once_its_user_is_deleted_or_no_owner_any_more() {
    for (method, body) in [(Method::DELETE, None), (Method::PUT, Some(json!({ "orgRole": 254 })))] {
        let server = Server::start().await;
        let (org, first) = first_owner(&server);
        let other = server.member_of(&org.to_string(), Role::Owner).await;
        let path = format!("/organization/users/{first}");
        assert_eq!(server.call_as(&other, method.clone(), &path, body.as_ref()).await.status, StatusCode::OK);
        assert_eq!(take(&server).await, refused(400, "INVALID_TOKEN"), "{method}");
        // The server is still not set up. Its version is told even if the database cannot be read.
        let mut told =
            json!({ "success": true, "message": concat!("orgkeys ", env!("CARGO_PKG_VERSION")), "setup": true });
        assert_eq!(server.call(Method::GET, "/", None).await.json(), told);
        conn(&server).execute_batch("ALTER TABLE person RENAME TO lost").expect("renamed");
        told.as_object_mut().expect("an object").remove("setup");
        let answer = server.call(Method::GET, "/", None).await;
        assert_eq!((answer.status, answer.json()), (StatusCode::OK, told));
    }
}
