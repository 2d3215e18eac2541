//! Secrets appear only in the response that shows them, whatever was done and however much is logged.

mod operations;

use std::collections::BTreeMap;
use std::fs;

use aho_corasick::AhoCorasick;
use base64::prelude::{BASE64_STANDARD, Engine};
use rsa::PrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::traits::PrivateKeyParts;
use serde_json::{Value, json};

use crate::harness::{Answer, Home, Owner, Server, ask, now, registration, run};

/// The secrets to look for, by what they are, and everything that was observed, by where.
#[derive(Default)]
struct Canary {
    secrets: BTreeMap<String, Vec<u8>>,
    places: Vec<(String, Vec<u8>)>,
}

impl Canary {
    fn secret(&mut self, what: &str, secret: impl AsRef<[u8]>) {
        assert!(secret.as_ref().len() >= 16, "{what} is too short to be looked for");
        self.secrets.insert(format!("{what} ({})", self.secrets.len()), secret.as_ref().to_vec());
    }

    /// The private parts of a key, as text and as bytes. The first lines hold the public modulus.
    fn private_key(&mut self, pem: &str) {
        for line in pem.lines().filter(|line| line.len() == 64).skip(6) {
            self.secret("a line of a private key", line);
        }
        let key = PrivateKey::from_pkcs1_pem(pem).expect("a key");
        self.secret("a private exponent", key.d().to_be_bytes());
        for prime in key.primes() {
            self.secret("a prime", prime.to_be_bytes());
        }
    }

    fn signature(&mut self, body: &Value) {
        let text = body["signature"].as_str().expect("a signature");
        self.secret("a signature", text);
        self.secret("a decoded signature", BASE64_STANDARD.decode(text).expect("base64"));
    }

    fn saw(&mut self, place: &str, contents: impl AsRef<[u8]>) {
        self.places.push((place.to_owned(), contents.as_ref().to_vec()));
    }

    fn answered(&mut self, place: &str, answer: &Answer) {
        self.saw(place, &answer.head);
        self.saw(place, &answer.body);
    }

    /// Every file in a folder.
    fn saw_files(&mut self, home: &Home, when: &str) {
        for name in home.files().into_iter().filter(|name| name != "orgkeys.db.sock") {
            self.saw(&format!("{name} {when}"), fs::read(home.path(&name)).expect("bytes"));
        }
    }

    /// Looks for the URLs of webhooks, which often contain a secret of the receiver. They are in the database, in its
    /// backups, and in the responses to those who may see the webhooks.
    fn look_for_urls(&self) {
        for (place, contents) in &self.places {
            let may_have_it = place.contains(".db") || place.contains("/webhooks");
            let contents = String::from_utf8_lossy(contents);
            assert!(
                may_have_it || !contents.contains(operations::IN_A_URL),
                "a webhook's URL is in {place}: {contents}"
            );
        }
    }

    fn look(&self) {
        let (whats, secrets): (Vec<_>, Vec<_>) = self.secrets.iter().unzip();
        let any = AhoCorasick::new(secrets).expect("an automaton");
        for (place, contents) in &self.places {
            if let Some(found) = any.find(contents) {
                let before = String::from_utf8_lossy(&contents[found.start().saturating_sub(300)..found.start()]);
                panic!("{} is in {place} after: {before}", whats[found.pattern()]);
            }
        }
    }
}

/// Calls, and records the response as observed.
fn call(canary: &mut Canary, server: &Server, owner: Option<&Owner>, line: &str, body: Option<&Value>) -> Answer {
    let (method, path) = line.split_once(' ').expect("method and path");
    let answer = server.call(method, path, owner.map(|owner| owner.token.as_str()), body);
    canary.answered(line, &answer);
    answer
}

/// Every operation once, with success and failure; responses that show a secret are not recorded.
fn everything(canary: &mut Canary, server: &Server, owner: &Owner, log: &dyn Fn() -> String) {
    let org = &owner.org;
    let (key, pem) = server.mint(owner);
    canary.private_key(&pem);
    let shown = server.call_as(owner, "POST", &format!("/organization/{org}/key?format=json")).json();
    canary.private_key(shown["data"]["privateKey"].as_str().expect("a key"));
    let good = registration(org, &pem, "203.0.113.7", now().millis());
    let wrong = registration(org, &pem, "203.0.113.8", 1_705_314_600);
    let mut bad = registration(org, &pem, "203.0.113.9", now().millis());
    bad["region"] = json!("another");
    let leave = registration(org, &pem, "203.0.113.7", now().millis() + 1);
    let again = registration(org, &pem, "203.0.113.7", now().millis() + 2);
    for body in [&good, &wrong, &bad, &leave, &again] {
        canary.signature(body);
    }
    for (line, body, status) in [
        ("POST /register", &good, 200),
        ("POST /register", &good, 400),
        ("POST /register", &wrong, 400),
        ("POST /register", &bad, 400),
        ("POST /unregister", &good, 400),
        ("POST /unregister", &leave, 200),
        ("POST /register", &again, 200),
    ] {
        assert_eq!(call(canary, server, None, line, Some(body)).status, status, "{line} {body}");
    }
    for (line, status) in [
        ("GET /".to_owned(), 200),
        ("GET /health".to_owned(), 200),
        ("GET /ready".to_owned(), 200),
        ("GET /openapi.json".to_owned(), 200),
        ("GET /docs".to_owned(), 0),
        ("GET /console/".to_owned(), 200),
        ("GET /user/profile".to_owned(), 200),
        (format!("GET /organization/{org}/key"), 200),
        (format!("GET /organization/{org}/nodes"), 200),
        ("GET /node?nodeServices=1".to_owned(), 200),
        (format!("DELETE /organization/{org}/node/203.0.113.7"), 200),
        (format!("POST /organization/{org}/node/203.0.113.7/activate"), 200),
        (format!("DELETE /organization/{org}/key/{key}"), 200),
        (format!("DELETE /organization/{org}/key"), 200),
        ("GET /nowhere".to_owned(), 404),
        ("PATCH /register".to_owned(), 405),
        ("GET /metrics".to_owned(), 200),
    ] {
        let answer = call(canary, server, Some(owner), &line, None);
        assert!(status == 0 || answer.status == status, "{line}: {answer:?}");
    }
    operations::users(canary, server, owner);
    operations::api_keys(canary, server, owner);
    operations::webhooks(canary, server, owner);
    operations::tries(server, owner, log);
    operations::secrets(canary, server, owner);
    let events = call(canary, server, Some(owner), "POST /systemevent", Some(&json!({ "take": 100 }))).json();
    let id = &events["events"][0]["id"];
    for method in ["POST", "DELETE"] {
        let line = format!("{method} /systemevent/read");
        assert_eq!(call(canary, server, Some(owner), &line, Some(&json!({ "id": id }))).status, 200);
    }
}

/// Secrets where none belongs: in paths, parameters, fields of other types and headers of other formats.
fn misplaced(canary: &mut Canary, server: &Server, owner: &Owner, lost: &str) {
    let org = &owner.org;
    for line in [
        format!("GET /{lost}"),
        format!("GET /api/{lost}"),
        format!("GET /docs/{lost}"),
        format!("GET /console/{lost}"),
        format!("GET /organization/{lost}/key"),
        format!("GET /organization/{lost}/nodes"),
        format!("DELETE /organization/{org}/key/{lost}"),
        format!("DELETE /organization/{org}/node/{lost}"),
        format!("POST /organization/{org}/node/{lost}/activate"),
        format!("POST /organization/{org}/key?format={lost}"),
        format!("GET /organization/{org}/nodes?take={lost}&skip={lost}"),
        format!("GET /node?nodeServices={lost}"),
        format!("GET /user/profile?token={lost}&access_token={lost}"),
        format!("POST /systemevent/read?ids={lost}"),
        format!("GET /metrics?token={lost}"),
        format!("DELETE /token/{lost}"),
    ] {
        call(canary, server, Some(owner), &line, None);
        call(canary, server, None, &line, None);
    }
    let node = |field: &str, value: Value| {
        let mut body = json!({
            "ip": "203.0.113.7", "region": "eu", "timestamp": 1_705_314_600, "signature": "A".repeat(344), "id_org": org,
            "status": "active", "version": "1",
        });
        body[field] = value;
        body
    };
    for (line, body) in [
        ("POST /register", node("signature", json!(lost))),
        ("POST /register", node("signature", json!([lost]))),
        ("POST /register", node("ip", json!([lost]))),
        ("POST /register", node("ip", json!({ lost: lost }))),
        ("POST /register", node("timestamp", json!(lost))),
        ("POST /register", node("timestamp", json!({ "token": lost }))),
        ("POST /register", node("provider", json!(lost))),
        ("POST /register", node("id_org", json!(lost))),
        ("POST /register", node("org_id", json!(lost))),
        ("POST /register", node("nodeServices", json!(lost))),
        ("POST /register", node("status", json!(lost))),
        ("POST /register", node(lost, json!(lost))),
        ("POST /unregister", node("timestamp", json!(lost))),
        ("POST /register", json!(lost)),
        ("POST /register", json!([lost])),
        ("POST /systemevent", json!({ "from_timestamp": lost })),
        ("POST /systemevent", json!({ "take": lost })),
        ("POST /systemevent", json!({ "contextId": lost, "userId": lost, "workspaceId": lost })),
        ("POST /systemevent/read", json!({ "ids": [lost] })),
        ("POST /systemevent/read", json!({ "id": lost })),
        ("POST /user/login", json!({ "email": lost, "password": lost, "deviceInfo": [lost] })),
        ("POST /user/login", json!({ "email": [lost], "password": lost })),
        ("POST /user/login", json!({ "email": "", "password": lost })),
        ("POST /user/refresh", json!({ "refreshToken": lost })),
        ("POST /user/refresh", json!({ "refreshToken": lost, "refresh_token": [lost] })),
        ("POST /user/logout", json!({ "refresh_token": lost })),
    ] {
        call(canary, server, Some(owner), line, Some(&body));
    }
    for header in [
        format!("Authorization: {lost}"),
        format!("Authorization: Bearer{lost}"),
        format!("Authorization: Basic {lost}"),
        format!("Authorization: Bearer {lost} {lost}"),
        format!("Authorization: Bearer \"{lost}\""),
        format!("Authorization: Bearer {lost}\r\nAuthorization: Bearer {lost}"),
        format!("Authorization: Bearer {lost}\r\nx-api-key: {lost}"),
        format!("x-api-key: {lost}"),
        format!("Cookie: token={lost}"),
        format!("X-Forwarded-For: {lost}"),
        format!("X-Request-Id: {lost}"),
        format!("Origin: https://{lost}"),
        format!("Accept: {lost}\r\nContent-Type: {lost}"),
        format!("Content-Type: application/json\r\nTransfer-Encoding: {lost}"),
        lost.to_owned(),
        format!("Content-Length: {lost}"),
    ] {
        let request = format!("GET /user/profile HTTP/1.1\r\nHost: {lost}\r\nConnection: close\r\n{header}\r\n\r\n");
        let answer = ask(server.address, &request).expect("an answer");
        assert!((400..500).contains(&answer.status), "{header}: {answer:?}");
        canary.answered(&header, &answer);
    }
    let broken = format!(
        "POST /register HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 48\r\n\r\n{{\"ip\":\"{lost}"
    );
    canary.answered("a body that is cut", &ask(server.address, &broken).expect("an answer"));
    let method = format!("{lost} / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    canary.answered("a method", &ask(server.address, &method).expect("an answer"));
}

/// A run of the whole program with everything logged.
fn whole_run(log_format: &str) {
    let (home, mut canary) = (Home::new(), Canary::default());
    let metrics_token = home.done(&["token", "generate"]).trim().to_owned();
    let lost = home.done(&["token", "generate"]).trim().to_owned();
    let start = || {
        let mut serve =
            home.serve(&["--log-format", log_format, "--request-timeout", "2s", "--webhook-allow", "127.0.0.0/8"]);
        home.start_with(serve.env("ORGKEYS_LOG", "trace").env("ORGKEYS_METRICS_TOKEN", &metrics_token))
    };
    let server = start();
    let owner = server.owner();
    canary.secret("the metrics token", &metrics_token);
    canary.secret("a token that was mislaid", &lost);
    canary.secret("the owner's token", &owner.token);
    everything(&mut canary, &server, &owner, &|| home.log());
    operations::sessions(&mut canary, &home, &server);
    misplaced(&mut canary, &server, &owner, &lost);
    // With a valid token more of a request is read.
    misplaced(&mut canary, &server, &owner, &owner.token.clone());
    for words in [["token", "create"], ["user", "reset-password"]] {
        let made = home.done(&[&words[..], &["--user", "owner@localhost", "--json"]].concat());
        let made: Value = serde_json::from_str(&made).expect("JSON");
        canary.secret("a secret of a command beside the server", made["token"].as_str().expect("a secret"));
    }
    canary.saw("backup", home.done(&["backup", "copy.db"]));
    canary.saw_files(&home, "while it runs");
    let (code, printed) = server.stop();
    assert_eq!(code, Some(0));
    canary.saw("standard output", printed);
    let made: Value =
        serde_json::from_str(&home.done(&["token", "create", "--user", "owner@localhost", "--json"])).expect("JSON");
    canary.secret("a token of the command line", made["token"].as_str().expect("a token"));
    for words in [
        &["token", "list"][..],
        &["token", "list", "--json"],
        &["token", "revoke", &lost],
        &["user", "list", "--org", &lost],
        &["token", "create", "--user", &lost],
        &["token", "create", "--user", "owner@localhost", "--ttl", &lost],
        &["org", "list"],
        &["audit", "export"],
        &["audit", "verify", "--head", "copy.db"],
        &["restore", "copy.db"],
        &["healthcheck", "--listen", "127.0.0.1:1"],
    ] {
        let ran = run(home.orgkeys(words).env("ORGKEYS_LOG", "trace").env("ORGKEYS_METRICS_TOKEN", &metrics_token));
        canary.saw(&words.join(" "), ran.stdout);
        canary.saw(&words.join(" "), ran.stderr);
    }
    let mut config = home.orgkeys(&["config"]);
    let config = run(config.env("ORGKEYS_METRICS_TOKEN", &metrics_token).env("ORGKEYS_MAX", &lost));
    canary.saw("config", config.stdout);
    canary.saw("config", config.stderr);
    let server = start();
    canary.saw("the notice of a second start", &server.shown);
    server.kill();
    canary.saw_files(&home, "after a kill");
    let log = home.log();
    assert!(log.contains("answered") && log.lines().count() > 50, "little was logged: {log}");
    for line in ["the server has started", "the server has stopped", "refused at a reverse proxy"] {
        assert!(log.contains(line), "{line} was not logged: {log}");
    }
    for field in ["errorCode", "callerKind", "callerId"] {
        assert!(log.contains(field), "{field} was not logged: {log}");
    }
    canary.saw("the log", log);
    canary.look_for_urls();
    canary.look();
}

#[test]
fn secrets_appear_only_in_their_one_response_with_a_json_log() {
    whole_run("json");
}

#[test]
fn secrets_appear_only_in_their_one_response_with_a_text_log() {
    whole_run("text");
}

#[test]
fn the_search_finds_a_known_secret() {
    let mut canary = Canary::default();
    canary.secret("a secret", "0123456789abcdef");
    canary.saw("a place", "x0123456789abcdefx");
    assert!(std::panic::catch_unwind(|| canary.look()).is_err());
}
