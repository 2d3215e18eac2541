//! All kinds of load at once for a while, to check that the server's write-ahead log, memory, descriptors and threads
//! stay bounded.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use orgkeys::domain::id::OrgId;
use rusqlite::Connection;

use crate::Scale;
use crate::events::{self, Log};
use crate::http::{self, Client};
use crate::machine::percentile;
use crate::program::{Program, Site};
use crate::report::{Row, mib, ms};

/// Clients that register, clients of one user who list their own events, and clients that read all lists.
const WRITERS: usize = 4;
const OWN: usize = 3;
const READERS: usize = 4;

/// How often to sample the server, and when to sample it once more after the end.
const EACH: Duration = Duration::from_millis(250);
const AFTER: Duration = Duration::from_secs(5);

/// What the server holds at a moment.
#[derive(Clone, Copy, Default)]
struct Held {
    /// KiB of the write-ahead log.
    wal: u32,
    /// KiB of memory.
    memory: u32,
    descriptors: u32,
    threads: u32,
}

/// How long the responses to a kind of client took, and how many requests were refused.
#[derive(Default)]
struct Answers {
    times: Vec<Duration>,
    refused: u32,
}

/// Twelve clients: the twelfth streams the log.
pub fn rows(scale: Scale) -> Vec<Row> {
    let site = Site::new();
    let first = site.start();
    let org = first.org.clone();
    drop(first);
    let log = events::fill(&site, OrgId::parse(&org).expect("an id"), scale.entries);
    let server = site.start();
    let lists = prepare(&site, &server, &log);
    let pem = server.mint(&org);
    let (stop, registered) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let [own, readers] = [const { Mutex::new(Answers { times: Vec::new(), refused: 0 }) }; 2];
    let own_events = [server.send_as(&log.token, "/systemevent", "{\"take\":20}")];
    let mut held = vec![look(&site, &server)];
    let began = Instant::now();
    thread::scope(|scope| {
        for number in 0..WRITERS {
            let (server, log, pem, stop, registered) = (&server, &log, &pem, &stop, &registered);
            scope.spawn(move || {
                let times = events::register(server, &log.org, pem, number, stop);
                registered.lock().expect("times").extend(times);
            });
        }
        for _ in 0..OWN {
            scope.spawn(|| list(&server, &own_events, 0, &stop, &own));
        }
        for number in 0..READERS {
            let (server, lists, stop, readers) = (&server, &lists, &stop, &readers);
            scope.spawn(move || list(server, lists, number * lists.len() / READERS, stop, readers));
        }
        scope.spawn(|| follow(&server, &log.org, &stop));
        while began.elapsed() < scale.soak {
            thread::sleep(EACH);
            held.push(look(&site, &server));
        }
        stop.store(true, Ordering::Relaxed);
    });
    let written = events::registered(registered.into_inner().expect("times"), began.elapsed());
    thread::sleep(AFTER);
    let after = look(&site, &server);
    let mut rows = vec![Row::baseline("soak: registrations", format!("{written}, for {} s", scale.soak.as_secs()))];
    rows.push(own.into_inner().expect("answers").row("soak: a user's own events"));
    rows.push(readers.into_inner().expect("answers").row("soak: every list in turn"));
    rows.extend(bounds(&held, after));
    rows
}

impl Answers {
    fn row(mut self, what: &'static str) -> Row {
        let (p99, median) = (percentile(&mut self.times, 99), percentile(&mut self.times, 50));
        let most = self.times.last().copied().unwrap_or_default();
        let (count, refused) = (self.times.len(), self.refused);
        let times = format!("{count} responses, median {}, p99 {}, at most {}", ms(median), ms(p99), ms(most));
        Row::new(what, format!("{times}; {refused} refused"), "none refused", refused == 0)
    }
}

/// What was held at the start, at most, at the end, and afterwards.
fn bounds(held: &[Held], after: Held) -> [Row; 4] {
    let figures = |figure: fn(&Held) -> u32| {
        let most = held.iter().map(figure).max().unwrap_or_default();
        (
            held.first().map(figure).unwrap_or_default(),
            most,
            held.last().map(figure).unwrap_or_default(),
            figure(&after),
        )
    };
    let text = |figure: fn(&Held) -> u32, show: fn(u32) -> String| {
        let (begin, most, end, after) = figures(figure);
        format!("{} at start, {} at most, {} at the end, {} 5 s later", show(begin), show(most), show(end), show(after))
    };
    let (_, most, _, left) = figures(|held| held.wal);
    let number = |count: u32| count.to_string();
    [
        Row::new(
            "soak: write-ahead log",
            text(|held| held.wal, mib),
            "< 64 MiB at most, < 8 MiB 5 s later",
            most < 64 * 1_024 && left < 8 * 1_024,
        ),
        Row::baseline("soak: memory", text(|held| held.memory, mib)),
        Row::baseline("soak: descriptors", text(|held| held.descriptors, number)),
        Row::baseline("soak: threads", text(|held| held.threads, number)),
    ]
}

fn look(site: &Site, server: &Program) -> Held {
    let mut wal = site.database().into_os_string();
    wal.push("-wal");
    let bytes = std::fs::metadata(PathBuf::from(wal)).map_or(0, |meta| meta.len());
    Held {
        wal: u32::try_from(bytes / 1_024).expect("a size"),
        memory: server.kib("VmRSS"),
        descriptors: u32::try_from(server.descriptors()).expect("a number"),
        threads: server.threads(),
    }
}

/// Creates something of everything that is listed, much of it ended long ago; returns a request for each list.
fn prepare(site: &Site, server: &Program, log: &Log) -> Vec<Vec<u8>> {
    let org = log.org;
    server.create(&format!("/api/organizations/{org}/projects"), r#"{"name":"listed"}"#);
    server.create(&format!("/organization/{org}/webhooks"), r#"{"url":"https://example.org/","disabled":true}"#);
    let field = |path: &str, name: &str| {
        let (_, body) = server.call("GET", path);
        let value: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        find(&value, name).unwrap_or_else(|| panic!("no {name} in {body}"))
    };
    let project = field(&format!("/api/organizations/{org}/projects"), "publicId");
    let webhook = field(&format!("/organization/{org}/webhooks"), "id");
    let conn = Connection::open(site.database()).expect("the file");
    conn.busy_timeout(Duration::from_secs(30)).expect("a timeout");
    conn.execute_batch(ENDED).expect("what has ended");
    let gets = [
        "/token".to_owned(),
        "/organization/users?take=100".to_owned(),
        format!("/organization/{org}/key"),
        format!("/organization/{org}/nodes?take=100"),
        "/node?take=100".to_owned(),
        format!("/api/organizations/{org}/projects"),
        format!("/api/organizations/{org}/api-keys?take=100"),
        format!("/api/projects/{project}/api-keys?take=100"),
        format!("/organization/{org}/audit?limit=100"),
        format!("/organization/{org}/audit/head"),
        format!("/organization/{org}/webhooks"),
        format!("/organization/{org}/webhooks/{webhook}/deliveries?take=100"),
        format!("/organization/{org}/webhooks/{webhook}/deliveries?state=delivered&take=100"),
    ];
    let wanted = ["{}", "{\"event\":1}", "{\"context\":6,\"skip\":10000}", "{\"showUnread\":true}"];
    let posts = wanted.map(|wanted| server.send("/systemevent", wanted));
    gets.iter().map(|path| server.request("GET", path)).chain(posts).collect()
}

/// Ended sessions, deleted users, and finished deliveries.
const ENDED: &str = "
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
    INSERT INTO token (id, person, digest, created_at, expires_at, revoked_at, refresh_until)
    SELECT randomblob(16), person.id, randomblob(32), created_at, created_at, created_at, created_at FROM person, n;
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
    INSERT INTO person (id, org, email, email_key, name, last_name, role, validated, created_at, deleted_at,
        deleted_by)
    SELECT randomblob(16), org.id, i || '@example.org', i || '@example.org', '', '', 0, 1, 0, 0, 255 FROM org, n;
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 11000)
    INSERT INTO delivery (id, webhook, event, state, due_at, attempts, created_at, ended_at)
    SELECT randomblob(16), webhook.id, (SELECT max(id) FROM audit), iif(i > 10000, 'delivered', 'failed'), 0, 1, 0, 0
    FROM webhook, n;
";

/// Returns the first text with this name in a response.
fn find(value: &serde_json::Value, name: &str) -> Option<String> {
    match value {
        serde_json::Value::Object(fields) => match fields.get(name) {
            Some(serde_json::Value::String(text)) => Some(text.clone()),
            _ => fields.values().find_map(|field| find(field, name)),
        },
        serde_json::Value::Array(items) => items.iter().find_map(|item| find(item, name)),
        _ => None,
    }
}

/// Requests the lists in turn, starting with the given one, until it is told to stop.
fn list(server: &Program, lists: &[Vec<u8>], first: usize, stop: &AtomicBool, answers: &Mutex<Answers>) {
    let (mut client, mut own) = (Client::new(server.address), Answers::default());
    for request in lists.iter().cycle().skip(first) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let answer = client.ask(request);
        own.times.push(answer.took);
        if answer.status != 200 {
            own.refused += 1;
            println!("  {}", answer.text().lines().next().unwrap_or_default());
        }
    }
    let mut all = answers.lock().expect("answers");
    all.times.append(&mut own.times);
    all.refused += own.refused;
}

/// Streams the log from its start, as fast as it arrives, until it is told to stop.
fn follow(server: &Program, org: &OrgId, stop: &AtomicBool) {
    let path = format!("/organization/{org}/events/stream?after=0");
    let mut stream = http::send(server.address, &server.request("GET", &path));
    stream.set_read_timeout(Some(EACH)).expect("a timeout");
    let mut buffer = vec![0; 64 * 1_024];
    while !stop.load(Ordering::Relaxed) {
        // Silence for a while is a timeout, not the end.
        assert_ne!(stream.read(&mut buffer).ok(), Some(0), "the stream ended early");
    }
}
