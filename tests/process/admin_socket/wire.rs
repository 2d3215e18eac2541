//! What other programs send to the socket: everything but a command of this version is refused.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use crate::harness::{Answer, Home, answer_of};

/// Sends raw bytes and reads the response.
fn ask(home: &Home, request: &[u8]) -> Answer {
    let mut stream = UnixStream::connect(home.path("orgkeys.db.sock")).expect("a connection");
    stream.write_all(request).expect("sent");
    answer_of(stream).expect("an answer")
}

fn post(home: &Home, path: &str, body: &[u8]) -> Answer {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    ask(home, &[head.as_bytes(), body].concat())
}

/// Sends a command of this version.
fn command(home: &Home, command: &Value) -> Answer {
    let body = json!({ "version": env!("CARGO_PKG_VERSION"), "command": command });
    post(home, "/commands", body.to_string().as_bytes())
}

#[test]
fn a_program_of_another_version_is_told_what_to_do() {
    let home = Home::new();
    let (_server, _) = home.first_start();
    let body = json!({ "version": "99.0.0", "command": { "change": { "unheardOf": {} } } });
    let answer = post(&home, "/commands", body.to_string().as_bytes());
    assert_eq!(answer.status, 400, "{answer:?}");
    let why = answer.json()["error"].as_str().expect("a reason").to_owned();
    let expected = format!("but the running server is orgkeys {}: use the server's program", env!("CARGO_PKG_VERSION"));
    assert!(why.starts_with("this program is orgkeys 99.0.0, ") && why.contains(&expected), "{why}");
}

#[test]
fn a_command_must_be_known_and_of_a_limited_size() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let list = json!({ "list": { "users": { "org": owner.org } } });
    let answer = command(&home, &list);
    assert_eq!((answer.status, &answer.json()["answer"]["users"][0]["email"]), (200, &json!("owner@localhost")));
    assert_eq!(post(&home, "/commands/", b"{}").status, 404);
    for wrong in [json!({ "list": { "everything": {} } }), json!({ "list": { "orgs": null, "users": {} } }), json!(7)] {
        assert_eq!(command(&home, &wrong).status, 400, "{wrong}");
    }
    for garbage in [&b""[..], b"{", b"\xff\xfe", b"[]", b"null"] {
        assert_eq!(post(&home, "/commands", garbage).status, 400, "{garbage:?}");
    }
    // The limit, on both sides.
    let size = json!({ "version": env!("CARGO_PKG_VERSION"), "command": list }).to_string().len();
    for (length, status) in [(16 * 1_024, 200), (16 * 1_024 + 1, 400)] {
        let body =
            json!({ "version": env!("CARGO_PKG_VERSION"), "command": list }).to_string() + &" ".repeat(length - size);
        assert_eq!(post(&home, "/commands", body.as_bytes()).status, status, "{length}");
    }
    assert_eq!(ask(&home, b"nonsense\r\n\r\n").status, 400);
    assert_eq!(server.call_as(&owner, "GET", "/user/profile").status, 200);
    home.done(&["org", "create", "--name", "acme"]);
}

#[test]
fn silent_connections_keep_neither_the_server_nor_its_stop_waiting() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let silent: Vec<_> =
        (0..8).map(|_| UnixStream::connect(home.path("orgkeys.db.sock")).expect("a connection")).collect();
    assert_eq!(server.call_as(&owner, "GET", "/user/profile").status, 200);
    server.signal(rustix::process::Signal::TERM);
    let (code, _) = server.ended();
    assert_eq!(code, Some(0));
    for mut stream in silent {
        // The end, or an error.
        assert!(!matches!(stream.read(&mut [0]), Ok(1..)));
    }
    assert!(!home.path("orgkeys.db.sock").exists());
}
