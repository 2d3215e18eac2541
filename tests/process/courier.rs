//! The courier and power cuts: every event arrives despite kills of the server, and repeats have the same id.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use orgkeys::server::clock::system_seed;
use serde_json::{Value, json};

use crate::harness::{self, Home, Server, call, sqlite};

/// How many times the server is killed.
const ROUNDS: usize = 6;

/// A delivery as received: its id and its body.
pub type Received = (String, Vec<u8>);

/// A receiver that reports each delivery before it responds, so that the server can be killed in between.
pub fn receiver() -> (SocketAddr, Receiver<Received>) {
    let bound = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = bound.local_addr().expect("an address");
    let (tell, told) = channel();
    thread::spawn(move || {
        for stream in bound.incoming().flatten() {
            let tell = tell.clone();
            thread::spawn(move || take(&stream, &tell));
        }
    });
    (address, told)
}

/// Reads one delivery; an interrupted one does not count.
pub fn take(mut stream: &TcpStream, tell: &Sender<Received>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut id, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end().split_once(": ") {
            Some(("webhook-id", value)) => id = Some(value.to_owned()),
            Some(("content-length", value)) => length = value.parse().ok()?,
            _ if line == "\r\n" => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    tell.send((id?, body)).ok()?;
    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").ok()
}

fn start(home: &Home) -> Server {
    home.start_with(&mut home.serve(&["--webhook-allow", "127.0.0.0/8"]))
}

/// Notes a delivery, and checks that the same id always comes with the same body.
fn note(received: &mut BTreeMap<String, (Vec<u8>, usize)>, (id, body): Received) {
    let known = received.entry(id).or_insert_with(|| (body.clone(), 0));
    assert_eq!(known.0, body, "a repeat has the same body");
    known.1 += 1;
}

#[test]
fn every_event_arrives_even_if_the_server_is_killed_repeatedly() {
    let (home, (address, told)) = (Home::new(), receiver());
    let mut server = start(&home);
    let owner = server.owner();
    let hook = json!({ "url": format!("http://{address}/hook"), "contexts": [0] });
    let hooks = format!("/organization/{}/webhooks", owner.org);
    assert_eq!(server.call("POST", &hooks, Some(&owner.token), Some(&hook)).status, 201);
    let projects = format!("/api/organizations/{}/projects", owner.org);
    let (mut received, mut acknowledged) = (BTreeMap::new(), 0);
    // At random moments: the server is killed after this many more deliveries.
    for (_, instant) in (0..ROUNDS).zip(system_seed()) {
        let (path, token, at) = (projects.clone(), owner.token.clone(), server.address);
        let client = thread::spawn(move || {
            let body = json!({ "name": "a" });
            let answers = std::iter::repeat_with(|| call(at, "POST", &path, Some(&token), Some(&body)));
            answers.map_while(Result::ok).filter(|answer| answer.status == 201).count()
        });
        for _ in 0..=instant % 64 {
            note(&mut received, harness::received("the courier continues", &told));
        }
        server.kill();
        acknowledged += client.join().expect("a client");
        server = start(&home);
    }
    let events = {
        let conn = sqlite(&home.database);
        let mut statement = conn.prepare("SELECT id FROM audit WHERE action = 'project.create'").expect("a statement");
        let ids = statement.query_map([], |row| row.get::<_, i64>(0)).expect("rows");
        ids.map(|id| id.expect("an id")).collect::<BTreeSet<_>>()
    };
    assert!(events.len() >= acknowledged && acknowledged > ROUNDS, "{acknowledged} of {}", events.len());
    while received.len() < events.len() {
        note(&mut received, harness::received("the missing deliveries arrive", &told));
    }
    let id = |body: &[u8]| serde_json::from_slice::<Value>(body).expect("JSON")["id"].as_i64().expect("an id");
    let arrived: BTreeSet<i64> = received.values().map(|(body, _)| id(body)).collect();
    assert_eq!((&arrived, received.len()), (&events, events.len()), "each event has one id");
    let repeats: usize = received.values().map(|(_, times)| times - 1).sum();
    assert!(repeats <= ROUNDS * 4, "{repeats} repeats: only deliveries in flight at a kill may repeat");
}
