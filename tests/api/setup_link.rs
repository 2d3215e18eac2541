//! How long the link that sets up a new server is valid.

use hyper::Method;
use orgkeys::domain::role::Role;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::harness::Server;
use crate::sessions::{PASSWORD, person};
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
    person(&server, &owner.org, Role::Owner).await;
    assert_eq!(take(&server).await, invalid);
}
