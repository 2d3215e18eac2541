//! The log of a running server: which lines it writes, what they contain, and what they never contain.

mod journal;
mod outages;
mod refusals;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Home, Owner, Server, ask, eventually, now, objects, registration, sqlite};

/// The lines of the log with this message.
pub fn lines(home: &Home, message: &str) -> Vec<Value> {
    objects(&home.log()).into_iter().filter(|line| line["message"] == message).collect()
}

/// Waits until the log has this many lines with a message.
pub fn wait_for(home: &Home, message: &str, count: usize) -> Vec<Value> {
    let what = format!("{count} lines {message:?} in the log");
    eventually(&what, || Some(lines(home, message)).filter(|found| found.len() >= count))
}

/// The last line about an answered call of an operation.
fn last_answered(home: &Home, operation: &str) -> Value {
    let mut answered = lines(home, "answered").into_iter().filter(|line| line["operation"] == operation);
    answered.next_back().unwrap_or_else(|| panic!("no line of {operation}: {}", home.log()))
}

/// The status, the error code, and the caller's kind and id in a line.
fn told(line: &Value) -> (u64, Option<&str>, Option<&str>, Option<&str>) {
    let text = |name: &str| line.get(name).map(|value| value.as_str().expect("text"));
    (line["status"].as_u64().expect("a status"), text("errorCode"), text("callerKind"), text("callerId"))
}

#[test]
fn one_line_tells_of_the_start_and_one_of_the_stop() {
    let home = Home::new();
    let secret = home.done(&["token", "generate"]).trim().to_owned();
    for (organizations, (signal, name)) in (1..).zip([(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT")]) {
        let mut serve = home.serve(&["--audit-days", "30", "--log-format", "json", "--idle-timeout", "75s"]);
        let server = home.start_with(serve.env("ORGKEYS_METRICS_TOKEN", &secret));
        let started = lines(&home, "the server has started").pop().expect("a line before the server listens");
        assert_eq!(
            (&started["version"], &started["address"], &started["tls"], &started["organizations"]),
            (
                &json!(env!("CARGO_PKG_VERSION")),
                &json!(server.address.to_string()),
                &json!(false),
                &json!(organizations)
            )
        );
        let database = std::fs::canonicalize(&home.database).expect("a path");
        assert_eq!(started["database"], json!(database.display().to_string()));
        // What is set to its default is not mentioned.
        let settings = "audit_days listen caller_rate org_rate signed_rate refused_rate log_format metrics_token";
        assert_eq!(started["settings"], settings);
        server.signal(signal);
        assert_eq!(server.ended().0, Some(0));
        let stopped = lines(&home, "the server has stopped").pop().expect("a line");
        assert_eq!(stopped["signal"], name);
        assert!(stopped["ranSeconds"].as_u64().is_some_and(|seconds| seconds < 600), "{stopped}");
        assert!(stopped["stopMs"].as_u64().is_some_and(|millis| millis < 600_000), "{stopped}");
        for count in
            ["requestsFinished", "requestsCutOff", "webhookAttemptsFinished", "webhookAttemptsAborted", "failedJobs"]
        {
            assert_eq!(stopped[count], 0, "{count}");
        }
        home.done(&["org", "create", "--name", "Another"]);
    }
    assert_eq!((lines(&home, "the server has started").len(), lines(&home, "the server has stopped").len()), (2, 2));
    assert!(!home.log().contains(&secret), "{}", home.log());
}

#[test]
fn the_log_has_the_level_that_is_set_and_names_modules_from_debug_on() {
    for (level, has_line, has_target) in [("warn", false, false), ("info", true, false), ("debug", true, true)] {
        let home = Home::new();
        assert_eq!(home.start_with(&mut home.serve(&["--log", level])).stop().0, Some(0));
        let line = lines(&home, "the server has started").pop();
        let target = line.as_ref().is_some_and(|line| line.get("target").is_some());
        assert_eq!((line.is_some(), target), (has_line, has_target), "{level}: {}", home.log());
    }
}

#[test]
fn a_server_that_is_open_to_the_network_in_the_clear_says_so() {
    let warning =
        "tokens cross the network unencrypted: set tls_cert and tls_key, or run the server behind a TLS proxy";
    for (listen, count) in [("127.0.0.1:0", 0), ("0.0.0.0:0", 1)] {
        let home = Home::new();
        let server = home.start_with(&mut home.orgkeys(&["serve", "--listen", listen]));
        let link = format!("Open http://127.0.0.1:{}/console/#setup=", server.address.port());
        assert!(server.shown.contains(&link), "{}", server.shown);
        assert_eq!((server.stop().0, lines(&home, warning).len()), (Some(0), count), "{listen}");
    }
}

#[test]
fn an_answered_call_tells_its_error_code_and_its_caller() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let profile = server.call_as(&owner, "GET", "/user/profile").json();
    let user = profile["data"]["id"].as_str().expect("an id");
    assert_eq!(told(&last_answered(&home, "getProfile")), (200, None, Some("user"), Some(user)));
    assert_eq!(server.call("GET", "/user/profile", None, None).status, 401);
    assert_eq!(told(&last_answered(&home, "getProfile")), (401, Some("NO_CREDENTIAL"), None, None));
    let foreign = "/organization/org-0197a000-0000-7000-8000-000000000000/key";
    assert_eq!(server.call_as(&owner, "GET", foreign).status, 403);
    assert_eq!(
        told(&last_answered(&home, "listOrganizationKeys")),
        (403, Some("ACCESS_DENIED"), Some("user"), Some(user))
    );
    assert_eq!(server.call_as(&owner, "GET", "/nowhere").status, 404);
    assert_eq!(told(&last_answered(&home, "none")), (404, Some("NO_SUCH_PATH"), None, None));

    assert_eq!(last_answered(&home, "none")["method"], "GET");
    let head =
        format!("{} /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", owner.token.to_uppercase());
    assert_eq!(ask(server.address, &head).expect("an answer").status, 404);
    assert_eq!(last_answered(&home, "none")["method"], "other", "a method may be any text");
    internal_error(&home, &server, &owner);

    let (secret, id) = api_key(&server, &owner, 0);
    assert_eq!(server.call("GET", "/node", Some(&secret), None).status, 200);
    assert_eq!(told(&last_answered(&home, "findNodes")), (200, None, Some("api_key"), Some(id.as_str())));

    sessions(&home, &server, &owner, user);
    nodes(&home, &server, &owner);
    for line in lines(&home, "answered") {
        let millis = line["ms"].as_f64().expect("a number").to_string();
        assert!(millis.split_once('.').is_none_or(|(_, decimals)| decimals.len() <= 2), "{line}");
    }
    for secret in [&secret, &owner.token] {
        assert!(!home.log().contains(secret.as_str()), "{}", home.log());
    }
}

/// The cause of an internal error is in the log, under the id that the client is told.
fn internal_error(home: &Home, server: &Server, owner: &Owner) {
    let beside = sqlite(&home.database);
    beside.execute_batch("ALTER TABLE audit RENAME TO lost").expect("renamed");
    let head = format!(
        "GET /user/profile HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Request-Id: to-look-up\r\n\
         Authorization: Bearer {}\r\n\r\n",
        owner.token
    );
    let answer = ask(server.address, &head).expect("an answer");
    beside.execute_batch("ALTER TABLE lost RENAME TO audit").expect("renamed");
    assert_eq!(answer.refusal(), (500, "INTERNAL_ERROR".to_owned()));
    let line = lines(home, "internal error").pop().expect("a line");
    assert_eq!((&line["level"], &line["id"]), (&json!("ERROR"), &json!("to-look-up")));
    assert!(line["cause"].as_str().is_some_and(|cause| cause.contains("audit")), "{line}");
    assert!(!answer.body.windows(5).any(|part| part == b"audit"), "the client is not told");
}

/// Creates an API key. Returns its secret and its id.
fn api_key(server: &Server, owner: &Owner, role: u8) -> (String, String) {
    let key = json!({ "apiName": "a service", "hasExpireTime": false });
    let new = json!({ "listProjectsId": [], "roleId": role, "userApiKey": key });
    let path = format!("/api/organizations/{}/api-keys", owner.org);
    let made = server.call("POST", &path, Some(&owner.token), Some(&new)).json();
    let secret = made["result"]["apiKey"].as_str().expect("a secret").to_owned();
    (secret, made["result"]["id"].to_string())
}

/// Whoever proves to be somebody without a token is named, too: by a password and by a refresh token.
fn sessions(home: &Home, server: &Server, owner: &Owner, user: &str) {
    let password = json!({ "password": "a cat on 3 roofs" });
    assert_eq!(server.call("PUT", &format!("/user/{user}"), Some(&owner.token), Some(&password)).status, 200);
    let login = |password: &str| {
        let body = json!({ "email": "owner@localhost", "password": password });
        server.call("POST", "/user/login", None, Some(&body))
    };
    assert_eq!(login("a cat on 4 roofs").status, 401);
    assert_eq!(told(&last_answered(home, "loginUser")), (401, Some("INVALID_CREDENTIALS"), None, None));
    let begun = login("a cat on 3 roofs").json();
    assert_eq!(told(&last_answered(home, "loginUser")), (200, None, Some("user"), Some(user)));
    let refresh = json!({ "refreshToken": begun["refreshToken"] });
    assert_eq!(server.call("POST", "/user/refresh", None, Some(&refresh)).status, 200);
    assert_eq!(told(&last_answered(home, "refreshSession")), (200, None, Some("user"), Some(user)));
}

/// A node is named once its signature was verified.
fn nodes(home: &Home, server: &Server, owner: &Owner) {
    let (_, pem) = server.key(owner);
    let at = now().millis();
    let register = |pem: &str, at: i64| {
        let body = registration(&owner.org, pem, "203.0.113.7", at);
        server.call("POST", "/register", None, Some(&body))
    };
    let registered = register(&pem, at).json();
    let node = registered["data"]["id"].as_str().expect("an id");
    let called = || last_answered(home, "registerNode");
    assert_eq!(told(&called()), (200, None, Some("node"), Some(node)));
    assert_eq!(register(&pem, at + 1).status, 200);
    assert_eq!(told(&called()), (200, None, Some("node"), Some(node)));
    assert_eq!(register(&pem, at + 1).status, 400);
    assert_eq!(told(&called()), (400, Some("SIGNATURE_REPLAYED"), None, None));
    assert_eq!(server.call_as(owner, "DELETE", &format!("/organization/{}/node/{node}", owner.org)).status, 200);
    assert_eq!(register(&pem, at + 2).status, 400);
    assert_eq!(told(&called()), (400, Some("NODE_DELETED"), Some("node"), Some(node)));
    let body = registration(&owner.org, &pem, "203.0.113.7", at + 4);
    assert_eq!(server.call("POST", "/unregister", None, Some(&body)).status, 400);
    let unregistered = last_answered(home, "unregisterNode");
    assert_eq!(told(&unregistered), (400, Some("NODE_DELETED"), Some("node"), Some(node)));
    assert_eq!(server.call_as(owner, "DELETE", &format!("/organization/{}/key", owner.org)).status, 200);
    assert_eq!(register(&pem, at + 3).status, 400);
    assert_eq!(told(&called()), (400, Some("NO_KEYS"), None, None));
}
