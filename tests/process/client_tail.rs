//! `orgkeys audit tail -f`: follows the event stream over a restart of the server, and misses nothing.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Child;
use std::sync::mpsc::Receiver;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::{client, done};
use crate::harness::{Home, Owner, Server, accepted, received, run, spawn};

/// A process that follows.
struct Tail {
    child: Child,
    lines: Receiver<String>,
}

impl Tail {
    fn start(home: &Home, server: &Server, owner: &Owner, words: &[&str]) -> Self {
        let words = [&["audit", "tail", "-f", "-o", "jsonl"], words].concat();
        let (child, lines) = spawn(&mut client(home, server, &owner.token, &words), &home.path("tail.log"));
        Self { child, lines }
    }

    /// What the next event is about.
    fn next(&self) -> String {
        let line = received("an event", &self.lines);
        let event: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        event["contextId"].as_str().expect("an id").to_owned()
    }
}

/// Creates a project. Returns its id.
fn project(home: &Home, server: &Server, owner: &Owner) -> String {
    let made = done(home, server, owner, &["project", "create", "Shop"]);
    made.split('\t').next().expect("an id").to_owned()
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_tail_resumes_over_a_restart_without_a_gap() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let address = server.address.to_string();
    let before = project(&home, &server, &owner);
    let tail = Tail::start(&home, &server, &owner, &["-n", "1"]);
    assert_eq!(tail.next(), before);
    let during = project(&home, &server, &owner);
    assert_eq!(tail.next(), during);
    assert_eq!(server.stop().0, Some(0));
    let again = || home.start_with(&mut home.orgkeys(&["serve", "--listen", &address]));
    let server = again();
    let after = project(&home, &server, &owner);
    assert_eq!(tail.next(), after);
    server.kill();
    let server = again();
    let last = project(&home, &server, &owner);
    assert_eq!(tail.next(), last, "after a crash");
    let log = std::fs::read_to_string(home.path("tail.log")).expect("a log");
    assert_eq!(log.matches("Reconnecting").count(), 2, "once for each outage: {log}");
    assert_eq!(log.matches("connected again").count(), 2, "{log}");
}

#[test]
fn a_tail_begins_where_it_is_told() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let made: Vec<String> = (0..3).map(|_| project(&home, &server, &owner)).collect();
    let shown = |words: &[&str], count: usize| {
        let tail = Tail::start(&home, &server, &owner, words);
        (0..count).map(|_| tail.next()).collect::<Vec<_>>()
    };
    assert_eq!(shown(&["-n", "2"], 2), made[1..]);
    let past = done(&home, &server, &owner, &["audit", "tail", "-n", "2"]);
    let ids: Vec<&str> = past.lines().map(|line| line.split('\t').next().expect("an id")).collect();
    assert_eq!(ids.len(), 2, "{past}");
    assert_eq!(shown(&["--after", ids[0]], 1), made[2..]);
    let tail = Tail::start(&home, &server, &owner, &["-n", "2"]);
    assert_eq!([tail.next(), tail.next()], made[1..]);
    let new = project(&home, &server, &owner);
    assert_eq!(tail.next(), new, "nothing is shown twice");
    drop(tail);
    let nothing = run(&mut client(&home, &server, &owner.token, &["audit", "tail", "-f", "--after", "999999"]));
    assert_eq!(nothing.code, Some(1), "an event that does not exist: {nothing:?}");
    for words in [
        &["audit", "tail", "-f", "-o", "json"][..],
        &["audit", "tail", "--after", "1"],
        &["audit", "tail", "-n", "101"],
    ] {
        assert_eq!(run(&mut client(&home, &server, &owner.token, words)).code, Some(2), "{words:?}");
    }
}

/// A server that answers one connection after the other: with a refusal, or with a stream that it ends or leaves open.
/// Returns the heads of the requests, each with the time since the first.
fn scripted(listener: TcpListener, answers: Vec<(&'static str, bool)>) -> JoinHandle<Vec<(String, Duration)>> {
    thread::spawn(move || {
        let (mut heads, mut open, mut began) = (Vec::new(), Vec::new(), None);
        for (answer, ends) in answers {
            let mut stream = accepted(&listener);
            let mut request = [0; 4_096];
            let read = stream.read(&mut request).expect("a request");
            let began = *began.get_or_insert_with(Instant::now);
            heads.push((String::from_utf8_lossy(&request[..read]).into_owned(), began.elapsed()));
            stream.write_all(answer.as_bytes()).expect("sent");
            if !ends {
                open.push(stream);
            }
        }
        heads
    })
}

#[test]
fn a_tail_goes_on_after_whatever_ended_its_stream() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let full = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n\
        \r\n{\"message\":\"Full\",\"errorCode\":\"TOO_MANY_STREAMS\"}";
    // It is there, so it is waited for from the beginning.
    let busy = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0\r\n\r\n";
    let began = Instant::now();
    let asked = scripted(
        listener,
        vec![
            ("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"data\":{\"orgId\":\"org-1\"}}", true),
            (busy, true),
            ("HTTP/1.1 200 OK\r\n\r\nretry: 1\nid: 4\n\nid: 5\ndata: {\"id\":5}\n\nid: 6\n\n", true),
            (full, true),
            (
                "HTTP/1.1 200 OK\r\n\r\nid: 7\ndata: {\"id\":7}\n\nid: 8\nevent: end\ndata: {\"message\":\"Moved away\"}\n\n",
                false,
            ),
            ("", true),
            ("HTTP/1.1 200 OK\r\n\r\nid: 9\ndata: {\"id\":9}\n\ndata: {\"id\":10", true),
            ("HTTP/1.1 404 Not Found\r\n\r\n{\"message\":\"Gone\",\"errorCode\":\"NO_EVENT\"}", true),
        ],
    );
    let mut tail = home.orgkeys(&["audit", "tail", "-f", "-n", "0", "-o", "jsonl", "--url", &url]);
    let ran = run(tail.env("ORGKEYS_TOKEN", "okp_x"));
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(5), "{\"id\":5}\n{\"id\":7}\n{\"id\":9}\n"), "{ran:?}");
    let told: Vec<&str> = ran.stderr.lines().collect();
    let (lost, back) = ("orgkeys: the server closed the stream. Reconnecting", "orgkeys: connected again");
    let expected = [back, lost, back, "orgkeys: Moved away. Reconnecting", back, lost];
    assert_eq!((&told[1..7], told.len()), (&expected[..], 8), "{ran:?}");
    assert!(told[0].contains("status 429") && told[0].ends_with("; try again in 0 s. Reconnecting"), "{ran:?}");
    assert!(told[7].contains("Gone (NO_EVENT, status 404)"), "{ran:?}");
    let asked = asked.join().expect("asked");
    let last_ids: Vec<Option<&str>> = asked
        .iter()
        .map(|(head, _)| {
            head.lines().find_map(|line| line.to_lowercase().starts_with("last-event-id: ").then(|| &line[15..]))
        })
        .collect();
    assert_eq!(last_ids, [None, None, None, Some("6"), Some("6"), Some("8"), Some("8"), Some("9")]);
    assert!(asked[4].1.saturating_sub(asked[3].1) >= Duration::from_secs(1), "it waits as long as the server asks");
    // With the waits that it has by itself, this takes ten seconds.
    assert!(began.elapsed() < Duration::from_secs(8), "the stream says how long to wait: {:?}", began.elapsed());
}

#[test]
fn a_tail_that_never_connected_gives_up() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let mut command = client(&home, &server, &owner.token, &["audit", "tail", "-f", "-n", "0"]);
    assert_eq!(server.stop().0, Some(0));
    assert_eq!(run(&mut command).code, Some(8));
    let server = home.start();
    let wrong = run(&mut client(&home, &server, "okp_wrong", &["audit", "tail", "-f"]));
    assert_eq!(wrong.code, Some(3), "{wrong:?}");
}
