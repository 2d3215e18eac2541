//! `orgkeys` as a client on the server's own machine, where nothing is named: it calls the server by its unix socket, as its
//! administrator.

mod every_operation;
mod organizations;

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{
    Answer, Home, PATIENCE, Ran, answer_of, copy_program, eventually, objects, received, registration, run, spawn,
};

/// Opens a connection to the server's socket and sends these lines, each without its end, and a body.
fn send(home: &Home, lines: &[&str], body: &str) -> UnixStream {
    let mut stream = UnixStream::connect(home.path("orgkeys.db.sock")).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
    let head = format!("{}\r\nHost: localhost\r\nContent-Length: {}\r\n", lines.join("\r\n"), body.len());
    stream.write_all(format!("{head}Content-Type: application/json\r\n\r\n{body}").as_bytes()).expect("sent");
    stream
}

/// Sends one request over the server's socket, as any HTTP client could.
fn ask(home: &Home, line: &str, headers: &[&str], body: &str) -> Answer {
    let line = format!("{line} HTTP/1.1");
    answer_of(send(home, &[&[line.as_str(), "Connection: close"], headers].concat(), body)).expect("an answer")
}

/// The first value of the first line.
fn first(text: &str) -> String {
    text.split(['\t', '\n']).next().expect("a value").to_owned()
}

/// The entries of the audit log, from the file.
fn entries(home: &Home) -> Vec<Value> {
    objects(&home.done(&["audit", "export"]))
}

#[test]
fn the_servers_administrator_needs_no_url_and_no_token() {
    let home = Home::new();
    let (_server, owner) = home.first_start();
    let before = entries(&home).len();
    let me = home.done(&["whoami"]);
    let socket = home.path("orgkeys.db.sock");
    assert_eq!(me, format!("system\tOWNER\t{}\tunix:{}\t\n", owner.org, socket.display()));
    home.done(&["key", "create", "--out", "key.pem"]);
    let key = first(&home.done(&["key", "list"]));
    let body = home.done(&["sign", "--key", "key.pem", "--ip", "203.0.113.7", "--region", "eu-1"]);
    home.done(&["api", "registerNode", "--body", &body]);
    let node = first(&home.done(&["node", "list"]));
    home.done(&["node", "delete", &node]);
    home.done(&["node", "activate", &node]);
    home.done(&["user", "invite", "bob@example.org", "--name", "Bob", "--role", "OWNER", "--out", "invitation"]);
    home.done(&["user", "role", "bob@example.org", "ADMINISTRATOR"]);
    assert!(home.done(&["user", "list"]).contains("ADMINISTRATOR  bob@example.org"));
    let project = first(&home.done(&["project", "create", "Shop"]));
    assert!(home.done(&["project", "list"]).contains(&project));
    let bob = first(&home.done(&["user", "list", "-o", "tsv"]));
    home.done(&["api", "putProjectMember", "--projectId", &project, "--userId", &bob, "--role", "EDITOR"]);
    let made = ["api-key", "create", "--name", "Deploys", "--role", "USER", "--expires", "90d", "--out", "api-key"];
    home.done(&made);
    let api_key = first(&home.done(&["api-key", "list"]));
    home.done(&["api-key", "verify", "--key", "@api-key"]);
    home.done(&["api-key", "rotate", &api_key, "--overlap", "1h", "--out", "next"]);
    let hook = first(&home.done(&["webhook", "create", "https://hooks.example.org/x", "--out", "secret"]));
    home.done(&["webhook", "delete", &hook]);
    home.done(&["key", "delete", &key]);
    assert!(home.done(&["audit", "tail", "-n", "3"]).lines().count() == 3);
    assert!(home.done(&["audit", "list"]).lines().count() > 20);
    home.done(&["api", "getMetrics"]);
    // Everything was recorded as done by the system, from no address.
    let entries = entries(&home).split_off(before);
    let is_node = |entry: &Value| entry["action"] == "node.register" && entry["actorKind"] == "node";
    assert!(entries.len() > 20);
    for entry in entries.iter().filter(|entry| !is_node(entry)) {
        let actor = (entry["actorKind"].as_str(), entry["actorId"].as_str(), entry["actorName"].as_str());
        assert_eq!(actor, (Some("system"), Some("system"), Some("orgkeys")), "{entry}");
        assert_eq!((&entry["address"], &entry["outcome"]), (&Value::Null, &json!("done")), "{entry}");
    }
    assert!(home.log().contains("\"callerKind\":\"system\",\"callerId\":\"system\""), "{}", home.log());
    assert!(home.done(&["audit", "verify"]).starts_with("The audit log is intact"));
}

#[test]
fn a_credential_that_is_given_is_the_one_that_counts() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let with = |token: &str, words: &[&str]| run(home.orgkeys(words).env("ORGKEYS_TOKEN", token));
    let me = with(&owner.token, &["whoami"]);
    assert!(me.code == Some(0) && me.stdout.contains("owner@localhost") && me.stdout.contains("unix:"), "{me:?}");
    let wrong = first(&home.done(&["token", "generate"]));
    for (token, code) in [("okp_wrong", "MALFORMED_TOKEN"), (&wrong, "INVALID_TOKEN"), ("oka_x", "MALFORMED_API_KEY")] {
        for words in [["key", "list"], ["user", "list"]] {
            let ran = with(token, &words);
            assert_eq!((ran.code, ran.stderr.contains(code)), (Some(3), true), "{ran:?}");
        }
    }
    for header in ["Authorization: Bearer", "Authorization: ", "X-Api-Key: ", "Authorization: Basic YTpi"] {
        let answer = ask(&home, &format!("GET /organization/{}/key", owner.org), &[header], "");
        assert_eq!(answer.status, 401, "{header}: {answer:?}");
    }
    // A role is not raised by the socket.
    home.done(&["user", "create", "--org", &owner.org, "--email", "eve@example.org", "--role", "USER"]);
    let token = first(&home.done(&["token", "create", "--user", "eve@example.org"]));
    assert_eq!(with(&token, &["key", "list"]).code, Some(4));
    let chosen = with(&owner.token, &["key", "list", "--org", &owner.org]);
    assert_eq!((chosen.code, chosen.stderr.contains("--org is for")), (Some(2), true), "{chosen:?}");
    // Over the network nobody is the administrator, whatever the headers are.
    let path = format!("/organization/{}/key", owner.org);
    let line = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Orgkeys-Organization: {}\r\n\r\n",
        owner.org
    );
    let refused = crate::harness::ask(server.address, &line).expect("an answer");
    assert_eq!(refused.refusal(), (401, "NO_CREDENTIAL".to_owned()));
    assert_eq!(server.call("GET", "/administrator", Some(&owner.token), None).status, 404);
    assert_eq!(ask(&home, "GET /administrator", &[], "").status, 200);
    assert_eq!(ask(&home, "POST /administrator", &[], "").status, 404);
}

#[test]
fn a_proxy_must_not_use_the_socket() {
    let home = Home::new();
    let (_server, owner) = home.first_start();
    let line = format!("GET /organization/{}/key", owner.org);
    assert_eq!(ask(&home, &line, &[], "").status, 200);
    for header in ["X-Forwarded-For: 203.0.113.7", "Forwarded: for=203.0.113.7", "Via: 1.1 proxy", "X-Real-IP: ::1"] {
        let refused = ask(&home, &line, &[header], "");
        assert_eq!(refused.refusal(), (403, "ACCESS_DENIED".to_owned()), "{header}");
        let refused = ask(&home, "POST /commands", &[header], "{}");
        let why = refused.json()["error"].as_str().unwrap_or_default().to_owned();
        assert!(refused.status == 403 && why.contains("let the proxy connect to"), "{header}: {refused:?}");
        let wrapped = ask(&home, "GET /api/api-keys", &[header], "").json();
        assert_eq!(wrapped["resultInfo"], "ACCESS_DENIED", "in the envelope of the path");
    }
}

#[test]
fn a_user_who_may_not_administer_the_server_is_refused_with_or_without_a_token() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root may run a command as another user");
        return;
    }
    let home = Home::new();
    let (server, owner) = home.first_start();
    copy_program(&home.path("orgkeys"));
    fs::set_permissions(home.path(""), Permissions::from_mode(0o755)).expect("a mode");
    let other = |words: &[&str], token: Option<&str>| -> Ran {
        let mut command = Command::new(home.path("orgkeys"));
        command.current_dir(home.path("")).env_clear().args(words).uid(65_534).gid(65_534);
        run(command.envs(token.map(|token| ("ORGKEYS_TOKEN", token))))
    };
    let closed = other(&["key", "list"], None);
    let says = closed.stderr.contains("is not open to you: run this command as root (sudo)");
    assert_eq!((closed.code, closed.stdout.as_str(), says), (Some(4), "", true), "{closed:?}");
    // Whoever can connect is still asked who they are.
    fs::set_permissions(home.path("orgkeys.db.sock"), Permissions::from_mode(0o666)).expect("a mode");
    for words in
        [&["key", "list"][..], &["key", "create"], &["whoami"], &["api", "getHealth"], &["audit", "tail", "-f"]]
    {
        for token in [None, Some(owner.token.as_str())] {
            let ran = other(words, token);
            let says = ran.stderr.contains("you are user 65534, but only root and user 0, which runs the server, may");
            assert_eq!((ran.code, says), (Some(4), true), "{words:?}: {ran:?}");
        }
    }
    assert_eq!(home.done(&["key", "list"]), "", "nothing was created");
    assert_eq!(server.call_as(&owner, "GET", "/user/profile").status, 200);
}

#[test]
fn a_tail_follows_by_the_socket_over_a_restart() {
    let home = Home::new();
    let server = home.start();
    let mut tail = home.orgkeys(&["audit", "tail", "-f", "-n", "0", "-o", "tsv", "--columns", "about"]);
    let (mut child, lines) = spawn(&mut tail, &home.path("tail.log"));
    let log = home.path("stderr.log");
    let log = || fs::read_to_string(&log).unwrap_or_default();
    let opened = || log().contains("\"operation\":\"streamEvents\"").then_some(());
    eventually("the stream opens", opened);
    let before = first(&home.done(&["project", "create", "before"]));
    assert_eq!(received("an event", &lines), before);
    assert_eq!(server.stop().0, Some(0), "the stream does not keep the server");
    let _server = home.start();
    let after = first(&home.done(&["project", "create", "after"]));
    eventually("the event after the restart", || (received("an event", &lines) == after).then_some(()));
    child.kill().and_then(|()| child.wait()).expect("ended");
}

#[test]
fn streams_and_silent_connections_keep_neither_commands_nor_calls_waiting() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let line = format!("GET /organization/{}/events/stream HTTP/1.1", owner.org);
    let mut streams: Vec<BufReader<UnixStream>> = Vec::new();
    for number in 1..=21 {
        let mut stream = BufReader::new(send(&home, &[&line, "Connection: close"], ""));
        let mut status = String::new();
        stream.read_line(&mut status).expect("a status");
        let expected = if number <= 20 { "HTTP/1.1 200 OK\r\n" } else { "HTTP/1.1 429 Too Many Requests\r\n" };
        assert_eq!(status, expected, "{number}");
        streams.push(stream);
    }
    let silent: Vec<_> =
        (0..20).map(|_| UnixStream::connect(home.path("orgkeys.db.sock")).expect("a connection")).collect();
    assert_eq!(home.done(&["org", "list"]).lines().count(), 1);
    assert_eq!(home.done(&["key", "list"]), "");
    assert_eq!(server.call_as(&owner, "GET", "/user/profile").status, 200);
    // Beyond 64 connections, the next one waits until one closes.
    let more: Vec<_> =
        (0..44).map(|_| UnixStream::connect(home.path("orgkeys.db.sock")).expect("a connection")).collect();
    let mut waiting = send(&home, &["GET /health HTTP/1.1", "Connection: close"], "");
    waiting.set_read_timeout(Some(Duration::from_millis(200))).expect("a deadline");
    assert!(waiting.read(&mut [0]).is_err(), "it is answered");
    drop(more);
    waiting.set_read_timeout(Some(PATIENCE)).expect("a deadline");
    assert_eq!(answer_of(waiting).expect("an answer").status, 200);
    assert_eq!(server.stop().0, Some(0));
    for mut stream in streams.into_iter().map(BufReader::into_inner).chain(silent) {
        let mut rest = Vec::new();
        stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
        stream.read_to_end(&mut rest).expect("the server ends it");
    }
}

#[test]
fn limits_by_network_and_by_credential_do_not_concern_the_socket() {
    let home = Home::new();
    let limits = ["--refused-rate", "1", "--refused-burst", "1", "--caller-rate", "1", "--org-rate", "1"];
    let mut serve = home.orgkeys(&[&["serve", "--listen", "127.0.0.1:0"][..], &limits].concat());
    let server = home.start_with(&mut serve);
    let owner = server.owner();
    home.done(&["key", "create", "--out", "key.pem"]);
    let pem = fs::read_to_string(home.path("key.pem")).expect("a key");
    let stale = registration(&owner.org, &pem, "203.0.113.7", 1_700_000_000).to_string();
    for _ in 0..40 {
        assert_eq!(ask(&home, "POST /register", &[], &stale).status, 400, "never 429");
        assert_eq!(ask(&home, &format!("GET /organization/{}/key", owner.org), &[], "").status, 200);
    }
    // The refusals are counted all the same, and nobody else's limit was touched.
    let over_tcp = server.call("POST", "/register", None, Some(&serde_json::from_str(&stale).expect("JSON")));
    assert_eq!(over_tcp.status, 400);
    assert_eq!(server.stop().0, Some(0));
    let refused = entries(&home).into_iter().filter(|entry| entry["outcome"] == "refused").collect::<Vec<_>>();
    assert!(
        refused.iter().any(|entry| entry["detail"].as_str().is_some_and(|detail| detail.contains("40"))),
        "{refused:?}"
    );
}
