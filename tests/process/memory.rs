//! Secrets in memory: shortly after the response that needed a secret, the process no longer holds it.

mod canaries;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use base64::prelude::{BASE64_STANDARD, Engine};
use rsa::PrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::EncodePrivateKey;
use serde_json::{Value, json};

use self::canaries::Canaries;
use crate::harness::{Answer, Home, Owner, Server, now, registration, run};
use crate::missing::has;

/// How long a secret may stay in memory after its response.
const SOON: Duration = Duration::from_secs(3);

/// The time between two searches, which keep a processor busy.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection to the server, with TLS or without.
struct Line {
    read: BufReader<Box<dyn Read>>,
    write: Box<dyn Write>,
    tls: Option<Child>,
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(child) = &mut self.tls {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Line {
    fn open(address: SocketAddr, tls: bool) -> Self {
        if !tls {
            let stream = TcpStream::connect(address).expect("a connection");
            stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a deadline");
            let write = Box::new(stream.try_clone().expect("a clone"));
            return Self { read: BufReader::new(Box::new(stream)), write, tls: None };
        }
        let mut client = Command::new("openssl");
        client.args(["s_client", "-quiet", "-connect", &address.to_string()]).stdin(Stdio::piped());
        let mut child = client.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("openssl");
        let (read, write) = (child.stdout.take().expect("a pipe"), child.stdin.take().expect("a pipe"));
        Self { read: BufReader::new(Box::new(read)), write: Box::new(write), tls: Some(child) }
    }

    fn call(&mut self, head: &str, token: Option<&str>, body: &str, close: bool) -> Answer {
        let bearer = token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
        let close = if close { "Connection: close\r\n" } else { "" };
        let length = body.len();
        let request = format!(
            "{head} HTTP/1.1\r\nHost: localhost\r\n{close}{bearer}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.write.write_all(request.as_bytes()).and_then(|()| self.write.flush()).expect("sent");
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.read.read_line(&mut head).expect("a line") > 0, "no answer to {request}");
        }
        let status = head[9..12].parse().expect("a status");
        let mut answer = Answer { status, head: head.trim_end().to_owned(), body: Vec::new() };
        let length = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        answer.body.resize(length, 0);
        self.read.read_exact(&mut answer.body).expect("a body");
        answer
    }
}

/// The calls of a test, on connections that stay open on the client's side.
struct Calls {
    address: SocketAddr,
    tls: bool,
    close: bool,
    lines: Vec<Line>,
    canaries: Canaries,
    name: &'static str,
}

impl Calls {
    fn call(&mut self, head: &str, token: Option<&str>, body: &Value, status: u16) -> Answer {
        self.call_raw(head, token, &body.to_string(), status)
    }

    fn call_raw(&mut self, head: &str, token: Option<&str>, body: &str, status: u16) -> Answer {
        let mut line = Line::open(self.address, self.tls);
        let answer = line.call(head, token, body, self.close);
        assert_eq!(answer.status, status, "{head} {body}: {answer:?}");
        self.lines.push(line);
        answer
    }

    fn secret(&mut self, what: &str, secret: impl AsRef<[u8]>) {
        self.canaries.add(&format!("{} ({})", what, self.name), secret);
    }

    /// A fresh password, and the same with JSON escapes.
    fn password(&mut self, what: &str) -> (String, String) {
        let password = format!("pw-{}-{what}-\u{1F600}-{}-k9Zq", self.name, std::process::id());
        let escaped = password.replace('\u{1F600}', "\\ud83d\\ude00");
        self.secret(what, &password);
        self.secret(&format!("{what}, as it was escaped"), &escaped);
        (password, escaped)
    }

    fn keys(&mut self, owner: &Owner) {
        let path = format!("/organization/{}/key", owner.org);
        let made = self.call_raw(&format!("POST {path}"), Some(&owner.token), "", 200);
        let pem = String::from_utf8(made.body).expect("text");
        self.canaries.add_key(&format!("a key as PEM ({})", self.name), &pem);
        let made = self.call_raw(&format!("POST {path}?format=json"), Some(&owner.token), "", 200).json();
        let pem = made["data"]["privateKey"].as_str().expect("a key");
        self.canaries.add_key(&format!("a key as JSON ({})", self.name), pem);
        self.call_raw(&format!("DELETE {path}"), Some(&owner.token), "", 200);
    }

    fn people(&mut self, owner: &Owner) {
        let email = format!("ada.{}@example.org", self.name);
        let (first, sent) = self.password("the password of a new account");
        let body = format!(r#"{{"email": "{email}", "firstName": "A", "lastName": "", "password": "{sent}"}}"#);
        self.call_raw("POST /organization/users", Some(&owner.token), &body, 201);
        let (_, sent) = self.password("a wrong password");
        self.call_raw("POST /user/login", None, &format!(r#"{{"email": "{email}", "password": "{sent}"}}"#), 401);
        let begun = self.call("POST /user/login", None, &json!({ "email": email, "password": first }), 200).json();
        let (second, sent) = self.password("a new password");
        let head = format!("PUT /user/{}", begun["user"]["id"].as_str().expect("an id"));
        let token = begun["accessToken"].as_str().expect("a token").to_owned();
        self.secret("the access token of a login", &token);
        self.call_raw(&head, Some(&token), &format!(r#"{{"password": "{sent}", "currentPassword": "{first}"}}"#), 200);
        self.call_raw(&head, Some(&token), &format!(r#"{{"password": 7, "currentPassword": "{second}"}}"#), 400);
        let refresh = begun["refreshToken"].as_str().expect("a token").to_owned();
        let renewed = self.call("POST /user/refresh", None, &json!({ "refreshToken": refresh }), 200).json();
        self.secret("a refresh token", &refresh);
        let (token, refresh) =
            (renewed["accessToken"].as_str().expect("a token"), renewed["refreshToken"].as_str().expect("a token"));
        self.secret("the access token of a renewal", token);
        self.secret("a renewed refresh token", refresh);
        self.call("POST /user/logout", None, &json!({ "refresh_token": refresh }), 200);
    }

    fn invitations(&mut self, owner: &Owner) {
        let email = format!("eve.{}@example.org", self.name);
        let new = json!({ "email": email, "firstName": "E", "lastName": "", "sendInvite": true });
        let made = self.call("POST /organization/users", Some(&owner.token), &new, 201).json();
        let invitation = made["invitationToken"].as_str().expect("a token").to_owned();
        self.secret("an invitation", &invitation);
        let new = json!({ "name": "a script", "ttlSeconds": 60 });
        let made = self.call("POST /token", Some(&owner.token), &new, 201).json();
        self.secret("a created access token", made["token"].as_str().expect("a token"));
        let (_, sent) = self.password("the password of an invitation");
        self.call_raw(
            "POST /user/verify-email",
            None,
            &format!(r#"{{"token": "{invitation}", "password": "{sent}"}}"#),
            200,
        );
    }

    fn services(&mut self, owner: &Owner) {
        let hook = json!({ "url": "https://a.example" });
        let hooks = format!("/organization/{}/webhooks", owner.org);
        let made = self.call(&format!("POST {hooks}"), Some(&owner.token), &hook, 201).json();
        let secret = made["data"]["secret"].as_str().expect("a secret").trim_start_matches("whsec_").to_owned();
        self.secret("a webhook's secret", &secret);
        self.secret("a webhook's secret in bytes", BASE64_STANDARD.decode(&secret).expect("base64"));
        let keys = format!("/api/organizations/{}/api-keys", owner.org);
        let key = json!({ "apiName": "a service", "hasExpireTime": false });
        let new = json!({ "listProjectsId": [], "roleId": 0, "userApiKey": key });
        let made = self.call(&format!("POST {keys}"), Some(&owner.token), &new, 201).json();
        self.secret("an API key", made["result"]["apiKey"].as_str().expect("a key"));
    }

    /// Secrets for nodes: the texts, and the key of each encrypted answer.
    fn bundles(&mut self, owner: &Owner) {
        let made = self.call_raw(&format!("POST /organization/{}/key", owner.org), Some(&owner.token), "", 200);
        let pem = String::from_utf8(made.body).expect("text");
        let text = format!("a text of a secret ({}, {})", self.name, std::process::id()).repeat(20);
        self.secret("the text of a secret", &text);
        let head = format!("PUT /organization/{}/secrets/s3", owner.org);
        self.call(&head, Some(&owner.token), &json!({ "text": text }), 200);
        self.call(&head, Some(&owner.token), &json!({ "text": text, "region": "" }), 400);
        let signed = registration(&owner.org, &pem, "203.0.113.7", now().millis());
        let told = self.call("POST /secrets", None, &signed, 200).json();
        for name in ["s3", "gcs"] {
            let envelope: Value =
                serde_json::from_str(told[format!("env_{name}_enc")].as_str().expect("a text")).expect("JSON");
            let wrapped = BASE64_STANDARD.decode(envelope["key"].as_str().expect("base64")).expect("base64");
            self.secret(&format!("the key of {name}"), unwrapped(&pem, &wrapped));
        }
        self.call_raw(&format!("DELETE /organization/{}/key", owner.org), Some(&owner.token), "", 200);
    }
}

/// Decrypts a key with a private key.
fn unwrapped(pem: &str, wrapped: &[u8]) -> Vec<u8> {
    let der = PrivateKey::from_pkcs1_pem(pem).expect("a key").to_pkcs8_der().expect("a key");
    let private = PrivateDecryptingKey::from_pkcs8(der.as_bytes()).expect("a key");
    let private = OaepPrivateDecryptingKey::new(private).expect("a key");
    let mut room = vec![0; private.min_output_size()];
    private.decrypt(&OAEP_SHA256_MGF1SHA256, wrapped, &mut room, None).expect("the key").to_vec()
}

fn certificate(home: &Home) {
    let mut openssl = Command::new("openssl");
    openssl.current_dir(home.path("")).args(["req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=localhost"]);
    let ran = run(openssl.args(["-days", "2", "-keyout", "key.pem", "-out", "cert.pem"]));
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

/// Whether this process may read the memory of another: the server permits it only to root.
fn may_look(server: &Server) -> bool {
    let allowed = Canaries::default().found_in(server.pid().as_raw_nonzero().get().cast_unsigned()).is_some();
    if !allowed {
        println!("skipped: only root may read another process's memory");
    }
    allowed
}

fn nothing_stays(tls: bool) {
    let home = Home::new();
    let bootstrap = home.done(&["token", "generate"]).trim().to_owned();
    let file = home.write("bootstrap", &bootstrap);
    let mut serve = home.serve(&[]);
    serve.env("ORGKEYS_BOOTSTRAP_TOKEN_FILE", file);
    if tls {
        certificate(&home);
        serve.args(["--tls-cert", "cert.pem", "--tls-key", "key.pem"]);
    }
    let server = home.start_with(&mut serve);
    if !may_look(&server) {
        return;
    }
    let process = server.pid().as_raw_nonzero().get().cast_unsigned();
    let mut at_start = Canaries::default();
    at_start.add("the bootstrap token", &bootstrap);
    let found = at_start.found_in(process).expect("its memory");
    assert!(found.is_empty(), "after the start: {found:?}");

    let mut lines = Vec::new();
    let mut canaries = Canaries::default();
    let org = {
        let mut line = Line::open(server.address, tls);
        line.call("GET /user/profile", Some(&bootstrap), "", true).json()["data"]["orgId"]
            .as_str()
            .expect("an id")
            .to_owned()
    };
    let owner = Owner { org, token: bootstrap };
    for (name, close) in [("closed", true), ("kept", false)] {
        let mut calls =
            Calls { address: server.address, tls, close, lines: Vec::new(), canaries: Canaries::default(), name };
        calls.keys(&owner);
        calls.people(&owner);
        calls.invitations(&owner);
        calls.services(&owner);
        calls.bundles(&owner);
        lines.append(&mut calls.lines);
        canaries.0.append(&mut calls.canaries.0);
    }
    for (what, words, name) in [
        ("a token of a command", ["token", "create", "--user"], "token"),
        ("an invitation of a command", ["user", "reset-password", "--user"], "token"),
        ("an invitation of a new owner", ["org", "create", "--name"], "owner"),
    ] {
        let owner = if name == "owner" { &["--owner", "ida@example.org"][..] } else { &[] };
        let printed = home.done(&[&words[..], &["owner@localhost", "--json"], owner].concat());
        let made: Value = serde_json::from_str(&printed).expect("JSON");
        let secret = if name == "owner" { &made["owner"]["invitationToken"] } else { &made["token"] };
        canaries.add(what, secret.as_str().expect("a secret"));
    }
    assert!(canaries.0.len() >= 20);
    let answered = Instant::now();
    loop {
        // A search takes time; what counts is when it started.
        let waited = answered.elapsed();
        let found = canaries.found_in(process).expect("its memory");
        if found.is_empty() {
            break;
        }
        assert!(waited < SOON, "{} of {}: {found:#?}", found.len(), canaries.0.len());
        thread::sleep(PAUSE);
    }
    drop(lines);
}

#[test]
fn no_secret_of_a_request_or_response_stays_in_memory() {
    nothing_stays(false);
}

#[test]
fn no_secret_of_a_request_or_response_stays_in_memory_with_tls() {
    if has("openssl") {
        nothing_stays(true);
    }
}

#[test]
fn the_search_finds_a_known_secret() {
    let secret = format!("a secret of {}", std::process::id()).repeat(2);
    let mut canaries = Canaries::default();
    canaries.add("a secret", &secret);
    let found = canaries.found_in(std::process::id()).expect("one's own memory");
    assert!(!found.is_empty());
}
