//! Shutdown: requests that have begun are finished, the log is checkpointed, and no client can delay it for long.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{Answer, Home, Owner, Server, answer, eventually, integrity, sqlite};
use crate::log::lines;

/// A request without its last byte, after the server has asked for the body.
fn half_a_request(server: &Server, owner: &Owner) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).expect("connected");
    let token = &owner.token;
    write!(
        stream,
        "POST /systemevent HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    )
    .expect("sent");
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).expect("a word");
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"{").expect("sent");
    stream
}

/// How many requests the server finished and how many it cut off at its stop, by its log.
fn requests_at_stop(home: &Home) -> (u64, u64) {
    let stopped = lines(home, "the server has stopped").pop().expect("a line");
    let count = |name: &str| stopped[name].as_u64().expect("a count");
    (count("requestsFinished"), count("requestsCutOff"))
}

#[test]
fn both_signals_stop_the_server_with_exit_code_0_and_a_checkpoint() {
    for signal in [Signal::TERM, Signal::INT] {
        let home = Home::new();
        let (server, owner) = home.first_start();
        server.key(&owner);
        assert!(home.path("orgkeys.db-wal").metadata().expect("a log").len() > 0);
        server.signal(signal);
        assert_eq!(server.ended(), (Some(0), String::new()), "{signal:?}");
        assert_eq!(
            home.files(),
            ["orgkeys.db", "orgkeys.db.key", "orgkeys.db.lock", "orgkeys.db.reserve", "stderr.log"],
            "{signal:?}"
        );
        assert_eq!(integrity(&home.database), "ok");
        assert_eq!(home.done(&["audit", "verify"]), "The audit log is intact: 4 entries in 1 chain\n");
    }
}

#[test]
fn a_request_that_has_begun_is_answered_during_shutdown() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let mut stream = half_a_request(&server, &owner);
    server.signal(Signal::TERM);
    // Refused connections show that the shutdown has begun.
    eventually("it accepts no connections", || TcpStream::connect(server.address).err());
    stream.write_all(b"}").expect("sent");
    let Answer { status, body, .. } = answer(stream).expect("an answer");
    assert_eq!((status, body.starts_with(b"{\"events\":[")), (200, true));
    assert_eq!(server.ended().0, Some(0));
    assert_eq!(requests_at_stop(&home), (1, 0));
    assert!(home.done(&["audit", "export"]).contains("event.list"));
}

#[test]
fn idle_connections_do_not_delay_shutdown() {
    let home = Home::new();
    // With the usual 10 s for requests that have begun; idle connections are not waited for.
    let (server, _) = home.first_start();
    let idle: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address).expect("connected");
            write!(stream, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
            stream.read_exact(&mut [0; 12]).expect("an answer");
            stream
        })
        .collect();
    let began = Instant::now();
    assert_eq!(server.stop().0, Some(0));
    assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
    drop(idle);
    assert!(!home.log().contains("did not finish within stop_timeout"));
}

#[test]
fn stalled_connections_are_closed_after_stop_timeout() {
    let home = Home::new();
    let server = home.start_with(&mut home.serve(&["--stop-timeout", "300ms"]));
    let owner = server.owner();
    let silent = TcpStream::connect(server.address).expect("connected");
    let mut half = TcpStream::connect(server.address).expect("connected");
    write!(half, "GET /health HTTP/1.1\r\nHost: loc").expect("sent");
    let body = half_a_request(&server, &owner);
    let began = Instant::now();
    assert_eq!(server.stop().0, Some(0));
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(8), "it took {took:?}");
    drop((silent, half, body));
    assert!(home.log().contains("some connections did not finish within stop_timeout"), "{}", home.log());
    assert_eq!(requests_at_stop(&home), (0, 1), "a head that has not arrived is no request");
    assert_eq!(home.files(), ["orgkeys.db", "orgkeys.db.key", "orgkeys.db.lock", "orgkeys.db.reserve", "stderr.log"]);
}

#[test]
fn refusal_counts_are_recorded_at_a_clean_shutdown() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let (_, pem) = server.key(&owner);
    for _ in 0..3 {
        let body = crate::harness::registration(&owner.org, &pem, "203.0.113.7", 1_705_314_600);
        let refused = server.call("POST", "/register", None, Some(&body));
        assert_eq!(refused.refusal(), (400, "TIMESTAMP_TOO_OLD".to_owned()));
    }
    assert!(!home.done(&["audit", "export"]).contains("node.refused"));
    assert_eq!(server.stop().0, Some(0));
    let export = home.done(&["audit", "export"]);
    let entries = export.lines().filter(|line| line.contains("node.refused"));
    // One entry per minute; three calls may span two.
    let counts = entries.map(|line| {
        let entry: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let detail: serde_json::Value = serde_json::from_str(entry["detail"].as_str().expect("text")).expect("JSON");
        assert_eq!((&detail["errorCode"], &detail["network"]), (&"TIMESTAMP_TOO_OLD".into(), &"127.0.0.1".into()));
        detail["count"].as_u64().expect("a count")
    });
    assert_eq!(counts.sum::<u64>(), 3);
}

/// Sends a recorded call, and returns once its entry waits for the writer, which `holder` blocks.
fn waiting(server: &Server, owner: &Owner, holder: &rusqlite::Connection) -> TcpStream {
    holder.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    let mut stream = TcpStream::connect(server.address).expect("connected");
    let token = &owner.token;
    write!(
        stream,
        "GET /user/profile HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: departed\r\nAuthorization: Bearer {token}\r\n\r\n"
    )
    .expect("sent");
    let waits = || metrics(server).contains("\norgkeys_writer_waiting 1\n").then_some(());
    eventually("the call waits for the writer", waits);
    stream
}

fn metrics(server: &Server) -> String {
    String::from_utf8(server.call("GET", "/metrics", None, None).body).expect("text")
}

/// The log line of the abandoned request: its operation and status.
fn line(home: &Home) -> Option<(String, u64)> {
    let log = home.log();
    let line = log.lines().find(|line| line.contains("\"departed\""))?;
    let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
    Some((line["operation"].as_str().expect("an operation").to_owned(), line["status"].as_u64().expect("a status")))
}

#[test]
fn a_request_whose_client_disconnected_is_logged_counted_and_recorded() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let holder = sqlite(&home.database);
    let client = waiting(&server, &owner, &holder);
    drop(client);
    holder.execute_batch("COMMIT").expect("committed");
    let counted = "orgkeys_requests_total{operation=\"getProfile\",status=\"200\"} 1\n";
    eventually("the request is counted", || metrics(&server).contains(counted).then_some(()));
    assert_eq!(server.stop().0, Some(0));
    assert_eq!(line(&home), Some(("getProfile".to_owned(), 200)), "{}", home.log());
    assert!(home.done(&["audit", "export"]).contains("\"departed\""));
}

#[test]
fn a_request_abandoned_by_a_shutdown_is_logged_and_recorded() {
    let home = Home::new();
    let server = home.start_with(&mut home.serve(&["--stop-timeout", "100ms"]));
    let owner = server.owner();
    let holder = sqlite(&home.database);
    let mut client = waiting(&server, &owner, &holder);
    server.signal(Signal::TERM);
    let mut given = String::new();
    let _ = client.read_to_string(&mut given);
    assert_eq!(given, "");
    holder.execute_batch("COMMIT").expect("committed");
    assert_eq!(server.ended().0, Some(0));
    assert_eq!(line(&home), Some(("none".to_owned(), 499)), "{}", home.log());
    assert!(home.done(&["audit", "export"]).contains("\"departed\""), "its entry is kept");
}
