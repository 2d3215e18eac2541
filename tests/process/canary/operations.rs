//! The operations on users, sessions, API keys and webhooks that involve secrets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;

use base64::prelude::{BASE64_STANDARD, Engine};
use orgkeys::crypto::password;
use orgkeys::server::clock;
use secrecy::SecretString;
use serde_json::json;

use super::{Canary, call};
use crate::closed_port::ClosedPort;
use crate::harness::{Home, Owner, Server, ask, eventually, now, registration, sqlite};

/// A user signs in with a right and a wrong password, renews the session and ends it.
pub(super) fn sessions(canary: &mut Canary, home: &Home, server: &Server) {
    let (right, wrong) = ("a password that is right by all", "a password that is not right");
    let hash = password::hash(&SecretString::from(right), &mut clock::system().rng()).expect("a hash");
    assert_eq!(
        sqlite(&home.database).execute("UPDATE person SET password = ?1 WHERE email = 'owner@localhost'", [hash]),
        Ok(1)
    );
    canary.secret("a password", right);
    canary.secret("a wrong password", wrong);
    let refused = json!({ "email": "owner@localhost", "password": wrong });
    assert_eq!(call(canary, server, None, "POST /user/login", Some(&refused)).status, 401);
    let mut begun = server
        .call("POST", "/user/login", None, Some(&json!({ "email": "owner@localhost", "password": right })))
        .json();
    let first = begun["refreshToken"].clone();
    for path in ["/user/refresh", "/user/logout"] {
        for name in ["accessToken", "refreshToken"] {
            canary.secret(name, begun[name].as_str().expect("a token"));
        }
        let body = json!({ "refreshToken": begun["refreshToken"] });
        let answer = server.call("POST", path, None, Some(&body));
        assert_eq!(answer.status, 200, "{path}");
        begun = answer.json();
    }
    for line in ["POST /user/refresh", "POST /user/logout"] {
        call(canary, server, None, line, Some(&json!({ "refreshToken": first })));
    }
}

/// Passwords and invitations, valid and invalid.
pub(super) fn users(canary: &mut Canary, server: &Server, owner: &Owner) {
    let email = format!("{}@example.org", now().millis());
    let new = json!({ "email": email, "firstName": "Eve", "lastName": "", "sendInvite": true });
    let made = server.call("POST", "/organization/users", Some(&owner.token), Some(&new)).json();
    let line = format!("/organization/users/{}/resend-invitation", made["data"]["id"].as_str().expect("an id"));
    let renewed = server.call_as(owner, "POST", &line).json();
    let (first, second) = (&made["invitationToken"], &renewed["invitationToken"]);
    for token in [first, second] {
        canary.secret("an invitation", token.as_str().expect("a token"));
    }
    let passwords = ["a cat on 3 roofs", "another cat on 3 roofs", "a third cat, on 3 roofs"];
    for password in passwords {
        canary.secret("a password", password);
    }
    for (token, status) in [(first, 400), (second, 200), (second, 400)] {
        let body = json!({ "token": token, "password": passwords[0] });
        assert_eq!(call(canary, server, None, "POST /user/verify-email", Some(&body)).status, status);
    }
    let credentials = json!({ "email": email, "password": passwords[0] });
    let signed_in = server.call("POST", "/user/web-session", None, Some(&credentials));
    let (body, cookie) = (signed_in.json(), signed_in.header("set-cookie").expect("a cookie"));
    let (half, cookie) = (body["accessToken"].as_str().expect("a half"), cookie.split(';').next().expect("a pair"));
    canary.secret("a page's half of a web session", half);
    canary.secret("a cookie's half of a web session", cookie.split_once('=').expect("a pair").1);
    for cookie in [format!("Cookie: {cookie}\r\n"), String::new()] {
        let head = format!("GET /user/profile HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{cookie}");
        let used = ask(server.address, &format!("{head}Authorization: Bearer {half}\r\n\r\n")).expect("an answer");
        assert_eq!(used.status, if cookie.is_empty() { 401 } else { 200 });
        canary.answered("GET /user/profile", &used);
    }
    let new = json!({ "name": "a script", "ttlSeconds": 60 });
    let made = server.call("POST", "/token", Some(&owner.token), Some(&new)).json();
    let secret = made["token"].as_str().expect("a token");
    canary.secret("an access token", secret);
    canary.answered("GET /token", &server.call("GET", "/token", Some(secret), None));
    let revoked =
        server.call("DELETE", &format!("/token/{}", made["tokenId"].as_str().expect("an id")), Some(secret), None);
    canary.answered("DELETE /token", &revoked);
    let profile = call(canary, server, Some(owner), "GET /user/profile", None).json();
    let line = format!("PUT /user/{}", profile["data"]["id"].as_str().expect("an id"));
    for body in [
        json!({ "password": passwords[1], "currentPassword": passwords[2] }),
        json!({ "password": passwords[2], "currentPassword": passwords[1] }),
        json!({ "password": passwords[1], "currentPassword": passwords[2] }),
        json!({ "password": 17, "currentPassword": passwords[1] }),
    ] {
        call(canary, server, Some(owner), &line, Some(&body));
    }
}

/// Webhooks: created, rotated, read, tested, updated and deleted. Their secrets are needed later, so they are on disk, but sealed.
pub(super) fn webhooks(canary: &mut Canary, server: &Server, owner: &Owner) {
    let hooks = format!("/organization/{}/webhooks", owner.org);
    let new = json!({ "url": "https://a.example" });
    for keep in [false, true] {
        let made = server.call("POST", &hooks, Some(&owner.token), Some(&new)).json();
        let hook = format!("{hooks}/{}", made["data"]["id"].as_str().expect("an id"));
        let rotated = server.call("POST", &format!("{hook}/rotate-secret"), Some(&owner.token), None).json();
        for answer in [&made, &rotated] {
            let secret = answer["data"]["secret"].as_str().expect("a secret");
            canary.secret("a webhook's secret", secret);
            let secret = secret.trim_start_matches("whsec_");
            canary.secret("a webhook's secret in base64", secret);
            canary.secret("a webhook's secret in bytes", BASE64_STANDARD.decode(secret).expect("base64"));
        }
        for line in [
            format!("GET {hooks}"),
            format!("GET {hook}"),
            format!("POST {hook}/test"),
            format!("GET {hook}/deliveries"),
        ] {
            assert_eq!(call(canary, server, Some(owner), &line, None).status, 200, "{line}");
        }
        assert_eq!(call(canary, server, Some(owner), &format!("PUT {hook}"), Some(&new)).status, 200);
        assert_eq!(call(canary, server, Some(owner), &format!("POST {hook}/rotate-secret"), None).status, 409);
        if !keep {
            assert_eq!(call(canary, server, Some(owner), &format!("DELETE {hook}"), None).status, 200);
        }
    }
}

/// A part of the URL of each webhook that is really tried.
pub(super) const IN_A_URL: &str = "T024BE7LD/a-secret-in-a-path";

/// A receiver that gives this response to everything.
fn receiver(response: &'static str) -> SocketAddr {
    let bound = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = bound.local_addr().expect("an address");
    thread::spawn(move || {
        for mut stream in bound.incoming().flatten() {
            // The whole request arrives at once, or soon enough.
            let _ = stream.read(&mut [0; 16 * 1024]).and_then(|_| stream.write_all(response.as_bytes()));
        }
    });
    address
}

/// Deliveries that are really tried, with each kind of result.
pub(super) fn tries(server: &Server, owner: &Owner, log: &dyn Fn() -> String) {
    let hooks = format!("/organization/{}/webhooks", owner.org);
    let [good, down, gone, garbled] = [
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 60\r\n\r\n",
        "HTTP/1.1 410 Gone\r\n\r\n",
        "no HTTP\r\n\r\n",
    ]
    .map(receiver);
    let closed = ClosedPort::new();
    for target in [
        format!("http://{good}"),
        format!("http://localhost:{}", good.port()),
        format!("https://{good}"),
        format!("http://{down}"),
        format!("http://{gone}"),
        format!("http://{garbled}"),
        format!("http://{}", closed.address),
    ] {
        let new = json!({ "url": format!("{target}/{IN_A_URL}?token={IN_A_URL}"), "contexts": [5] });
        let made = server.call("POST", &hooks, Some(&owner.token), Some(&new));
        assert_eq!(made.status, 201, "{target}: {made:?}");
        let id = made.json()["data"]["id"].as_str().expect("an id").to_owned();
        assert_eq!(server.call_as(owner, "POST", &format!("{hooks}/{id}/test")).status, 200);
        eventually(&format!("a delivery to {target} was tried"), || {
            let log = log();
            let mut lines = log.lines().filter(|line| line.contains("a webhook delivery was attempted"));
            lines.any(|line| line.contains(&id)).then_some(())
        });
        assert_eq!(server.call_as(owner, "DELETE", &format!("{hooks}/{id}")).status, 200);
    }
}

/// Secrets for nodes: set, listed, fetched and deleted. Their texts are needed later, so they are on disk, but sealed; a
/// node gets them encrypted.
pub(super) fn secrets(canary: &mut Canary, server: &Server, owner: &Owner) {
    let (_, pem) = server.mint(owner);
    canary.private_key(&pem);
    let path = format!("/organization/{}/secrets", owner.org);
    for (number, name) in ["s3", "gcs", "old"].into_iter().enumerate() {
        let text = format!("SECRET_ACCESS_KEY={name}/a/text/of/a/secret\n");
        canary.secret("the text of a secret", &text);
        canary.secret("the text of a secret in base64", BASE64_STANDARD.encode(&text).trim_end_matches('='));
        let line = format!("PUT {path}/{name}");
        for body in [json!({ "text": "replaced, a text of a secret" }), json!({ "text": text })] {
            assert_eq!(call(canary, server, Some(owner), &line, Some(&body)).status, 200);
        }
        for refused in [json!({ "text": text, "region": "a|b" }), json!({ "text": [text] }), json!({ "txt": text })] {
            assert_eq!(call(canary, server, Some(owner), &line, Some(&refused)).status, 400);
        }
        let signed_at = now().millis() + i64::try_from(number).expect("few");
        let signed = registration(&owner.org, &pem, "203.0.113.70", signed_at);
        canary.signature(&signed);
        assert_eq!(call(canary, server, None, "POST /secrets", Some(&signed)).status, 200);
        assert_eq!(call(canary, server, None, "POST /secrets", Some(&signed)).status, 400);
    }
    canary.secret("a text that was replaced", "replaced, a text of a secret");
    assert_eq!(call(canary, server, Some(owner), &format!("GET {path}"), None).status, 200);
    assert_eq!(call(canary, server, Some(owner), &format!("DELETE {path}/old"), None).status, 200);
}

/// API keys: created, rotated, verified in both ways, used and deleted.
pub(super) fn api_keys(canary: &mut Canary, server: &Server, owner: &Owner) {
    let keys = format!("/api/organizations/{}/api-keys", owner.org);
    let key = json!({ "apiName": "a service", "hasExpireTime": false });
    let new = json!({ "listProjectsId": [], "roleId": 0, "userApiKey": key });
    let made = server.call("POST", &keys, Some(&owner.token), Some(&new)).json();
    let id = made["result"]["id"].as_i64().expect("an id");
    let overlap = json!({ "overlapSeconds": 60 });
    let rotated = server.call("POST", &format!("{keys}/{id}/rotate"), Some(&owner.token), Some(&overlap)).json();
    for answer in [&made, &rotated] {
        let secret = answer["result"]["apiKey"].as_str().expect("a key");
        canary.secret("an API key", secret);
        let body = json!({ "apiKey": secret, "projectId": secret, "role": 0 });
        let verified = call(canary, server, Some(owner), "POST /api/api-keys/verify", Some(&body));
        assert_eq!(verified.json()["result"]["code"], "WRONG_PROJECT");
        for line in ["GET /node", "GET /organization/users", "POST /api/api-keys/verify"] {
            let (method, path) = line.split_once(' ').expect("method and path");
            let by_key = server.call(method, path, Some(secret), Some(&json!({ "apiKey": secret })));
            canary.answered(line, &by_key);
        }
        let door = format!("/api/api-keys/verify?organization={}&project={secret}", owner.org);
        canary.answered("the door", &server.call("GET", &door, Some(secret), None));
    }
    call(canary, server, Some(owner), &format!("GET {keys}"), None);
    call(canary, server, Some(owner), &format!("DELETE {keys}/{id}"), None);
}
