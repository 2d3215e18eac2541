//! What other programs send to the socket: everything but a command of this version is refused.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use serde_json::{Value, json};

use crate::harness::{Answer, Home, PATIENCE, answer_of, eventually};

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

/// Sends a command of this version, on a connection that could be used again: it is the server that closes it.
fn command(home: &Home, command: &Value) -> Answer {
    let body = json!({ "version": env!("CARGO_PKG_VERSION"), "command": command }).to_string();
    let head = format!("POST /commands HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    let answer = ask(home, &[head.as_bytes(), body.as_bytes()].concat());
    assert_eq!(answer.header("connection").as_deref(), Some("close"), "{answer:?}");
    answer
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
fn a_command_that_has_begun_is_answered_during_the_stop() {
    let home = Home::new();
    let (server, _) = home.first_start();
    let body = json!({ "version": env!("CARGO_PKG_VERSION"), "command": { "list": "orgs" } }).to_string();
    let mut stream = UnixStream::connect(home.path("orgkeys.db.sock")).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
    let head = "POST /commands HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: ";
    stream.write_all(format!("{head}{}\r\n\r\n", body.len()).as_bytes()).expect("sent");
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).expect("a word");
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    server.signal(rustix::process::Signal::TERM);
    eventually("the socket is gone", || (!home.path("orgkeys.db.sock").exists()).then_some(()));
    stream.write_all(body.as_bytes()).expect("sent");
    let answer = answer_of(stream).expect("an answer");
    assert_eq!((answer.status, answer.json()["answer"]["orgs"].as_array().map(Vec::len)), (200, Some(1)), "{answer:?}");
    assert_eq!(server.ended().0, Some(0));
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

/// A process that listens on the socket of the server, and answers every connection with these bytes.
fn impostor(home: &Home, answer: &'static [u8]) {
    let socket = home.path("orgkeys.db.sock");
    let _ = fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).expect("a socket");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let _ = stream.read(&mut [0; 4_096]);
            let _ = stream.write_all(answer);
        }
    });
}

#[test]
fn a_process_on_the_socket_that_is_not_orgkeys_is_told_of_and_nothing_is_done_beside_it() {
    let home = Home::new();
    assert_eq!(home.first_start().0.stop().0, Some(0));
    let before = home.done(&["audit", "export"]);
    let foreign = format!("is not orgkeys {}: restart the server with this version", env!("CARGO_PKG_VERSION"));
    let doubt = "did not answer (";
    for (answer, says) in [
        (&b"HTTP/1.1 200 OK\r\n\r\n<html>Welcome</html>"[..], foreign.as_str()),
        (b"HTTP/1.1 200 OK\r\n\r\n{\"answer\":{\"unheardOf\":[]}}", &foreign),
        (b"220 mail.example.org\r\n", &foreign),
        (b"HTTP/1.1 200 OK\r\n\r\n", &foreign),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n{\"error\":\"not today\"}", "orgkeys: not today"),
        (b"", doubt),
    ] {
        impostor(&home, answer);
        for words in [&["org", "create", "--name", "acme"][..], &["org", "list"], &["token", "list"]] {
            let ran = home.run(words);
            assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.contains(says)), (Some(1), "", true), "{ran:?}");
            let may_be_done = ran.stderr.contains("It may have executed the command all the same");
            assert_eq!(may_be_done, says == doubt, "{ran:?}");
        }
    }
    assert_eq!(home.done(&["audit", "export"]), before);
}
