//! How long the link that sets up a new server is valid.

use hyper::Method;
use orgkeys::actions::setup;
use orgkeys::domain::role::Role;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::harness::Server;
use crate::sessions::{PASSWORD, person};
use crate::web_sessions::{ok, outcome, refused};

const HOUR: i64 = 3_600_000;

/// A server whose first owner has neither a password nor a token, the id of the organization, and the token of the link.
async fn new() -> (Server, String, String) {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    server.revoke(&owner).await;
    let token = setup::link(&server.system).expect("a link or none").expect("a link");
    (server, owner.org, token.expose_secret().to_owned())
}

async fn take(server: &Server, token: &str) -> (u16, String) {
    let body = json!({ "token": token, "password": PASSWORD });
    outcome(&server.call(Method::POST, "/user/verify-email", Some(&body)).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_sets_up_a_server_is_valid_for_an_hour_or_until_another_owner_has_a_password() {
    let invalid = refused(400, "INVALID_TOKEN");
    for (age, expected) in [(HOUR - 1, ok()), (HOUR, invalid.clone())] {
        let (server, _, token) = new().await;
        server.pass(age);
        assert_eq!(take(&server, &token).await, expected, "{age} ms");
    }
    let (server, org, token) = new().await;
    person(&server, &org, Role::Administrator).await;
    person(&server, &org, Role::Owner).await;
    assert_eq!(take(&server, &token).await, invalid);
}
