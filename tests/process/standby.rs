//! A machine is lost while it works, and a second one continues from the newest backup that reached it: what is lost, and
//! what nodes, stream clients and webhook receivers notice.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use orgkeys::domain::time::Time;
use serde_json::{Value, json};

use crate::courier::{receiver, take};
use crate::harness::{Home, Owner, Server, call, eventually, now, received, registration, sqlite};
use crate::log::lines;

const INTERVAL: Duration = Duration::from_secs(1);

/// The time between two registrations: enough are lost, and processors are left for other tests.
const PAUSE: Duration = Duration::from_millis(5);

/// The number of keys beyond which the oldest is deleted.
const MOST_KEYS: usize = 5;

/// How late a busy machine may be.
const SLACK: Duration = Duration::from_secs(5);

/// A change that was acknowledged, and when.
struct Acknowledged<T> {
    at: Time,
    what: T,
}

/// A key that was created or deleted.
struct KeyChange {
    id: String,
    deleted: bool,
}

/// Registers nodes until the server is gone. Returns the accepted registrations.
fn register(at: SocketAddr, owner: &Owner, pem: &str, count: &AtomicUsize) -> Vec<Acknowledged<Value>> {
    let bodies = (0..).map(|n: u32| {
        let ip = format!("10.0.{}.{}", n / 250, n % 250);
        registration(&owner.org, pem, &ip, now().millis())
    });
    let accepted = bodies.map_while(|body| {
        let answer = call(at, "POST", "/register", None, Some(&body)).ok()?;
        assert_eq!(answer.status, 200, "{answer:?}");
        count.fetch_add(1, Ordering::Relaxed);
        let accepted = Acknowledged { at: now(), what: body };
        thread::sleep(PAUSE);
        Some(accepted)
    });
    accepted.collect()
}

/// Creates keys and deletes the oldest ones, until the server is gone.
fn change_keys(at: SocketAddr, owner: &Owner, count: &AtomicUsize) -> Vec<Acknowledged<KeyChange>> {
    let path = format!("/organization/{}/key", owner.org);
    let (mut done, mut keys) = (Vec::new(), VecDeque::new());
    loop {
        let doomed = if keys.len() > MOST_KEYS { keys.pop_front() } else { None };
        let (method, target) = match &doomed {
            Some(id) => ("DELETE", format!("{path}/{id}")),
            None => ("POST", path.clone()),
        };
        let Ok(answer) = call(at, method, &target, Some(&owner.token), None) else { return done };
        assert_eq!(answer.status, 200, "{answer:?}");
        count.fetch_add(1, Ordering::Relaxed);
        let what = match doomed {
            Some(id) => KeyChange { id, deleted: true },
            None => KeyChange { id: answer.header("x-key-id").expect("an id"), deleted: false },
        };
        if !what.deleted {
            keys.push_back(what.id.clone());
        }
        done.push(Acknowledged { at: now(), what });
    }
}

/// Follows all events until the server is gone. Returns the last id that arrived.
fn follow(at: SocketAddr, owner: &Owner) -> JoinHandle<i64> {
    let mut stream = TcpStream::connect(at).expect("a connection");
    let head = format!("GET /organization/{}/events/stream HTTP/1.1\r\nHost: localhost\r\n", owner.org);
    stream.write_all(format!("{head}Authorization: Bearer {}\r\n\r\n", owner.token).as_bytes()).expect("sent");
    thread::spawn(move || {
        let lines = BufReader::new(stream).lines().map_while(Result::ok);
        lines.filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).last().expect("an id")
    })
}

/// The newest backup that arrived, and the time in its name.
fn newest(arrived: &Path) -> (PathBuf, Time) {
    let paths = fs::read_dir(arrived).expect("a folder").map(|entry| entry.expect("an entry").path());
    let path = paths.filter(|path| path.extension().is_some_and(|end| end == "backup")).max().expect("a backup");
    let name = path.file_stem().expect("a name").to_str().expect("text");
    let (date, time) = name.trim_start_matches("orgkeys-").split_once('T').expect("a time");
    let at = Time::parse_rfc3339(&format!("{date}T{}:{}:{}", &time[..2], &time[2..4], &time[4..])).expect("a time");
    (path, at)
}

fn has(arrived: &Path, ending: &str) -> usize {
    let Ok(entries) = fs::read_dir(arrived) else { return 0 };
    entries
        .filter(|entry| entry.as_ref().expect("an entry").path().extension().is_some_and(|end| end == ending))
        .count()
}

/// Creates a webhook, and returns the path of its deliveries.
fn subscribe(server: &Server, owner: &Owner, to: SocketAddr, context: u32) -> String {
    let (path, body) = (
        format!("/organization/{}/webhooks", owner.org),
        json!({ "url": format!("http://{to}/"), "contexts": [context] }),
    );
    let made = server.call("POST", &path, Some(&owner.token), Some(&body)).json();
    format!("{path}/{}/deliveries", made["data"]["id"].as_str().unwrap_or_else(|| panic!("{made}")))
}

fn list(server: &Server, owner: &Owner, path: &str) -> Vec<Value> {
    let answer = server.call_as(owner, "GET", path).json();
    answer["data"].as_array().unwrap_or_else(|| panic!("{path}: {answer}")).clone()
}

/// A server at work on a machine that is about to be lost, with what is known of it elsewhere.
struct LostMachine {
    owner: Owner,
    pem: String,
    /// The deliveries of a webhook whose receiver has not answered yet, and the receiver.
    unanswered: (String, Value, TcpListener),
    registered: Vec<Acknowledged<Value>>,
    keys: Vec<Acknowledged<KeyChange>>,
    /// The last id on the event stream.
    last_id: i64,
    /// When the machine was gone.
    at: Time,
    /// The longest time that one backup took.
    took: Duration,
}

/// Runs a server under load that writes its backups to `standby`, and loses it while it writes one.
fn lose_a_machine(standby: &Home, live: SocketAddr) -> LostMachine {
    let (home, arrived) = (Home::new(), standby.path("arrived"));
    let dir = arrived.to_str().expect("text");
    let flags = ["--webhook-allow", "127.0.0.0/8", "--backup-dir", dir, "--backup-interval", "1s", "--max", "100"];
    let server = home.start_with(&mut home.serve(&flags));
    let owner = server.owner();
    // No backup contains it: it was copied once.
    fs::copy(home.path("orgkeys.db.key"), standby.path("orgkeys.db.key")).expect("copied");
    let (_, pem) = server.key(&owner);
    subscribe(&server, &owner, live, 10);
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let deliveries = subscribe(&server, &owner, silent.local_addr().expect("an address"), 0);
    let project = format!("/api/organizations/{}/projects", owner.org);
    assert_eq!(server.call("POST", &project, Some(&owner.token), Some(&json!({ "name": "a" }))).status, 201);
    let pending = list(&server, &owner, &deliveries).pop().expect("a delivery");
    assert_eq!(pending["state"], "pending", "{pending}");
    let last_id = follow(server.address, &owner);
    let counts = [Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0))];
    let registering = {
        let (at, owner, pem, count) = (server.address, owner.clone(), pem.clone(), Arc::clone(&counts[0]));
        thread::spawn(move || register(at, &owner, &pem, &count))
    };
    let changing = {
        let (at, owner, count) = (server.address, owner.clone(), Arc::clone(&counts[1]));
        thread::spawn(move || change_keys(at, &owner, &count))
    };
    eventually("work is done", || counts.iter().all(|count| count.load(Ordering::Relaxed) > 20).then_some(()));
    let made = has(&arrived, "backup");
    eventually("two backups under load", || (has(&arrived, "backup") >= made + 2).then_some(()));
    // The worst moment: nearly all work since the last backup is in none.
    eventually("a backup begins", || (has(&arrived, "orgkeys-draft") > 0).then_some(()));
    server.kill();
    let at = now();
    let took = lines(&home, "a backup was made and verified").iter().filter_map(|line| line["ms"].as_u64()).max();
    LostMachine {
        owner,
        pem,
        unanswered: (deliveries, pending, silent),
        registered: registering.join().expect("nodes"),
        keys: changing.join().expect("keys"),
        last_id: last_id.join().expect("a stream"),
        at,
        took: Duration::from_millis(took.expect("a backup")),
    }
}

/// What the second machine has of the acknowledged work. Everything from before the backup must be there. Returns the times
/// of the lost changes, and how many deleted keys are back.
fn compare(server: &Server, owner: &Owner, machine: &LostMachine, state: Time) -> (Vec<Time>, usize) {
    let nodes: Vec<Value> = (0..)
        .map(|page| list(server, owner, &format!("/organization/{}/nodes?take=1000&skip={}", owner.org, page * 1_000)))
        .take_while(|nodes| !nodes.is_empty())
        .flatten()
        .map(|node| node["ip"].clone())
        .collect();
    let keys: Vec<Value> =
        list(server, owner, &format!("/organization/{}/key", owner.org)).iter().map(|key| key["id"].clone()).collect();
    let (mut lost, mut back) = (Vec::new(), 0);
    for Acknowledged { at, what } in &machine.registered {
        let is_there = nodes.contains(&what["ip"]);
        assert!(is_there || *at >= state, "{} was registered before the backup and is missing", what["ip"]);
        lost.extend((!is_there).then_some(*at));
    }
    for (n, Acknowledged { at, what: KeyChange { id, deleted } }) in machine.keys.iter().enumerate() {
        let is_gone_later = machine.keys[n..].iter().any(|later| later.what.id == *id && later.what.deleted);
        let is_there = keys.iter().any(|key| key == id);
        let is_lost = if *deleted { is_there } else { !is_there && !is_gone_later };
        assert!(!is_lost || *at >= state, "the change of {id} was acknowledged before the backup and is lost");
        lost.extend(is_lost.then_some(*at));
        back += usize::from(is_lost && *deleted);
    }
    (lost, back)
}

#[test]
fn a_standby_loses_at_most_the_interval_and_the_time_of_one_backup() {
    let (standby, (live, told)) = (Home::new(), receiver());
    let machine = lose_a_machine(&standby, live);
    let arrived = standby.path("arrived");
    let (file, state) = newest(&arrived);
    let file = file.to_str().expect("text");
    // What the receiver got from the lost machine.
    let known: Vec<Value> = told.try_iter().map(|(_, body)| serde_json::from_slice(&body).expect("JSON")).collect();
    let restored: Value = serde_json::from_str(&standby.done(&["restore", file, "--json"])).expect("JSON");
    assert!(restored["tokensEnded"].as_u64() >= Some(1), "{restored}");
    let token = standby.done(&["token", "create", "--user", "owner@localhost"]);
    let owner = Owner { token: token.lines().next().expect("a token").to_owned(), ..machine.owner.clone() };
    // As if the wait before the next attempt of the pending delivery were over.
    let conn = sqlite(&standby.database);
    conn.execute_batch("UPDATE delivery SET due_at = 0 WHERE state = 'pending'").expect("due");
    conn.close().expect("closed");
    let flags =
        ["--webhook-allow", "127.0.0.0/8", "--backup-dir", "arrived", "--backup-interval", "1s", "--max", "100"];
    let server = standby.start_with(&mut standby.serve(&flags));

    let (lost, back) = compare(&server, &owner, &machine, state);
    // A client may note the time of a response when the machine is gone already.
    let age = |at: Time| Duration::from_millis(u64::try_from(machine.at.millis() - at.millis()).unwrap_or_default());
    let oldest = lost.iter().min().map_or(Duration::ZERO, |at| age(*at));
    let all = machine.registered.len() + machine.keys.len();
    println!(
        "of {all} acknowledged changes, {} were lost: the work of the last {:.3} s (a backup every {} s, which took at most \
         {:.3} s); {back} deleted keys are back",
        lost.len(),
        oldest.as_secs_f64(),
        INTERVAL.as_secs(),
        machine.took.as_secs_f64()
    );
    assert!(oldest <= age(state), "something from before the backup was lost");
    assert!(age(state) <= INTERVAL + machine.took + SLACK, "the newest backup was {:?} old", age(state));

    // Every chain is intact, and continues the backup.
    let heads: Vec<String> = restored["newHeads"].as_array().expect("heads").iter().map(Value::to_string).collect();
    let heads = standby.write("heads", heads.join("\n"));
    let verified = standby.done(&["audit", "verify", "--head", heads.to_str().expect("text")]);
    println!("{}", verified.trim_end());
    assert!(verified.starts_with("The audit log is intact: "), "{verified}");

    // No signature from before is accepted, whether its use was lost or not, and the node is told why.
    let (earliest, latest) = (machine.registered.iter().take(20), machine.registered.iter().rev().take(40));
    for (Acknowledged { what, .. }, path) in
        earliest.chain(latest).flat_map(|one| [(one, "/register"), (one, "/unregister")])
    {
        let refused = server.call("POST", path, None, Some(what));
        assert_eq!(refused.refusal(), (400, "TIMESTAMP_TOO_OLD".to_owned()), "{path} {what}");
    }
    let fresh = registration(&owner.org, &machine.pem, "10.9.9.9", now().millis());
    let refused = server.call("POST", "/register", None, Some(&fresh));
    let advice = refused.json()["errorMessage"].as_str().expect("advice").to_owned();
    let until = restored["signedAfter"].as_str().expect("a time");
    assert!(
        advice.contains(&format!("refuses timestamps before {until}")) && advice.ends_with(": sign again then"),
        "{advice}"
    );
    assert_eq!(server.call_as(&machine.owner, "GET", "/user/profile").refusal(), (401, "TOKEN_REVOKED".to_owned()));

    // A stream client resumes after an event that the second machine never had, and the ids show the gap.
    let (key, _) = server.key(&owner);
    let event = server.followed(&owner, machine.last_id);
    let event: Value = serde_json::from_str(event.trim_start_matches("data: ")).expect("JSON");
    let id = event["id"].as_i64().expect("an id");
    assert!(id > machine.last_id + 500_000_000, "{id} follows {}", machine.last_id);

    // A webhook receiver gets what goes on, in a chain that continues the backup: `seq` may repeat, with another hash.
    let next = eventually("the event of the new key", || {
        let (_, body) = received("an event", &told);
        let payload: Value = serde_json::from_slice(&body).expect("JSON");
        (payload["contextId"] == key.as_str()).then_some(payload)
    });
    assert!(next["id"].as_i64() >= Some(id), "{next}");
    let head = restored["newHeads"].as_array().expect("heads").iter().find(|head| head["org"] == owner.org.as_str());
    let seq = next["seq"].as_i64().expect("a number");
    assert!(seq > head.expect("a head")["seq"].as_i64().expect("a number"), "{next}");
    assert!(standby.done(&["audit", "export"]).contains(next["hash"].as_str().expect("a hash")), "{next}");
    assert!(known.iter().all(|before| before["hash"] != next["hash"] && before["id"] != next["id"]), "{next}");

    // A delivery that was pending is sent again, with the id that it had.
    let (deliveries, pending, silent) = &machine.unanswered;
    let (tell, answered) = channel();
    let silent = silent.try_clone().expect("a listener");
    thread::spawn(move || silent.incoming().flatten().filter_map(|stream| take(&stream, &tell)).count());
    eventually("the pending delivery is delivered", || {
        list(&server, &owner, deliveries)
            .iter()
            .any(|one| one["id"] == pending["id"] && one["state"] == "delivered")
            .then_some(())
    });
    assert_eq!(answered.try_iter().last().map(|(id, _)| json!(id)), Some(pending["id"].clone()));

    // The draft of the lost machine was no backup, and is removed by the next one.
    eventually("the second machine makes backups", || (newest(&arrived).1 > machine.at).then_some(()));
    eventually("the draft of the lost machine is removed", || (has(&arrived, "orgkeys-draft") == 0).then_some(()));
    assert_eq!(server.stop().0, Some(0));
}
