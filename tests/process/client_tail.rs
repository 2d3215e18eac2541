//! `orgkeys audit tail -f`: follows the event stream over a restart of the server, and misses nothing.

use std::process::Child;
use std::sync::mpsc::Receiver;

use serde_json::Value;

use crate::client::{client, done};
use crate::harness::{Home, Owner, Server, received, run, spawn};

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
