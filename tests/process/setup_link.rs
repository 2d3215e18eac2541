//! The link that sets up a new server in a browser: printed by each start while no owner has a password, and of one use.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Answer, Home, Server, beside_link, setup_token};

const PASSWORD: &str = "a cat on 3 roofs";

/// Sets the password with the token of a link, as the page does.
fn take(server: &Server, token: &str) -> Answer {
    let body = json!({ "token": token, "password": PASSWORD });
    server.call("POST", "/user/verify-email", None, Some(&body))
}

/// Whether the server says that it is not set up.
fn setup(server: &Server) -> Value {
    server.call("GET", "/", None, None).json()["setup"].clone()
}

fn link(server: &Server) -> String {
    let token = setup_token(&server.shown).unwrap_or_else(|| panic!("no link: {}", server.shown));
    let line = format!("Open http://{}/console/#setup={token}", server.address);
    assert_eq!(server.shown.lines().filter(|shown| *shown == line).count(), 1, "{}", server.shown);
    assert!(token.starts_with("oki_"), "{token}");
    token
}

#[test]
fn each_start_prints_a_link_that_works_once_until_an_owner_has_a_password() {
    let home = Home::new();
    let invalid = (400, "INVALID_TOKEN".to_owned());
    let (server, _) = home.first_start();
    let first = link(&server);
    assert_eq!(setup(&server), true);
    // The page itself is there.
    assert_eq!(server.call("GET", "/console/", None, None).status, 200);
    assert_eq!(server.stop(), (Some(0), String::new()));

    let server = home.start();
    assert_eq!(beside_link(&server.shown), "");
    let second = link(&server);
    assert_ne!(first, second);
    assert_eq!(take(&server, &first).refusal(), invalid, "a link of an earlier start");
    let short = json!({ "token": second, "password": "short" });
    assert_eq!(server.call("POST", "/user/verify-email", None, Some(&short)).refusal().1, "INVALID_FIELD");
    let taken = take(&server, &second);
    assert_eq!((taken.status, &taken.json()["email"]), (200, &json!("owner@localhost")), "{taken:?}");
    assert_eq!(take(&server, &second).refusal(), invalid, "a second use");
    assert_eq!(setup(&server), Value::Null);
    let credentials = json!({ "email": taken.json()["email"], "password": PASSWORD });
    let signed_in = server.call("POST", "/user/web-session", None, Some(&credentials));
    assert_eq!((signed_in.status, &signed_in.json()["user"]["orgRole"]), (200, &json!(255)), "{signed_in:?}");
    assert_eq!(server.stop().0, Some(0));

    let server = home.start();
    assert_eq!((server.shown.as_str(), setup(&server)), ("", Value::Null));
    assert_eq!(take(&server, &second).refusal(), invalid);
    assert_eq!(server.stop().0, Some(0));
    // What happened is recorded once: that the owner set a password.
    let export = home.done(&["audit", "export"]);
    assert_eq!(export.matches("\"user.verify\"").count(), 1, "{export}");
    for token in [&first, &second] {
        assert!(!home.log().contains(token) && !export.contains(token));
        let file = fs::read(&home.database).expect("a database");
        assert!(!file.windows(token.len()).any(|bytes| bytes == token.as_bytes()));
    }
    // Whoever has lost the only owner's password begins again.
    home.done(&["user", "reset-password", "--user", "owner@localhost"]);
    let server = home.start();
    assert_eq!(setup(&server), true);
    assert_eq!(take(&server, &link(&server)).status, 200);
}

#[test]
fn a_server_with_a_bootstrap_token_prints_no_link_into_its_log() {
    let home = Home::new();
    let token = home.done(&["token", "generate"]).trim().to_owned();
    let server = home.start_with(home.serve(&[]).env("ORGKEYS_BOOTSTRAP_TOKEN", &token));
    assert_eq!((setup_token(&server.shown), setup(&server)), (None, json!(true)), "{}", server.shown);
    assert_eq!(server.stop().0, Some(0));
    assert_eq!(home.start().shown, "");
}
