//! Listings beside a long log: what a page costs compared with a short log, and system events while others write.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use orgkeys::crypto::secret::{self, SecretKind};
use orgkeys::domain::audit::{Actor, Draft};
use orgkeys::domain::event::{Change, Context, Event};
use orgkeys::domain::id::{NodeId, OrgId, OrgKeyId, ProjectId, UserId};
use orgkeys::domain::role::Role;
use orgkeys::domain::user::{Token, User};
use orgkeys::server::clock;
use orgkeys::store::{self, Options, Room, Store, StoreError};
use secrecy::ExposeSecret;

use crate::Scale;
use crate::http::Client;
use crate::machine::{self, percentile};
use crate::program::{Program, Site};
use crate::registrations::{NODES, Signer};
use crate::report::{Row, ms, rate};
use crate::writes::draft;

/// Entries per transaction.
const BATCH: u32 = 20_000;

/// Entries of the short log. Half of them match each filter, as many as are counted.
const SHORT: u32 = 20_200;

/// Clients that list events concurrently, and clients that register meanwhile.
const READERS: usize = 3;
const WRITERS: usize = 4;

/// The pause of a writer between two registrations, so that signing does not take up the cores.
const PAUSE: Duration = Duration::from_millis(5);

/// A log, and who reads it.
pub struct Log {
    /// The organization.
    pub org: OrgId,
    /// A user who sees only their own events, which are half of the log.
    pub user: UserId,
    /// The secret of that user's token.
    pub token: String,
    /// The project of that user's events.
    pub project: ProjectId,
    /// The object of that user's events.
    object: &'static str,
}

/// The median of each filter compared with a short log, and the times while others write.
pub fn rows(scale: Scale) -> Vec<Row> {
    let sites = [SHORT, scale.entries.max(SHORT)].map(|entries| {
        let site = Site::new();
        let org = site.start().org.clone();
        let log = fill(&site, OrgId::parse(&org).expect("an id"), entries);
        (site, log)
    });
    let quick = if scale.entries == 1_000_000 { "" } else { " (fewer entries in a quick run)" };
    let mut rows = Vec::from(compared(scale, &sites, quick));
    rows.extend(beside_writers(scale, &sites[1], quick));
    rows
}

/// The filters, each with whether the owner uses it. Each matches half of the log, except for those that match all of
/// it.
fn filters(log: &Log) -> [(&'static str, bool, String); 9] {
    let Log { user, project, object, .. } = log;
    let owner = |name, filter: &str| (name, true, format!("{{{filter}\"take\":20}}"));
    [
        ("own events", false, "{\"take\":20}".to_owned()),
        owner("no filter", ""),
        owner("a wide time", "\"from_timestamp\":\"2024-01-01T00:00:00Z\","),
        owner("userId", &format!("\"userId\":\"{user}\",")),
        owner("contextId", &format!("\"contextId\":\"{object}\",")),
        owner("context", "\"context\":6,"),
        owner("event", "\"event\":0,"),
        owner("workspaceId", &format!("\"workspaceId\":\"{project}\",")),
        owner("showUnread", "\"showUnread\":true,"),
    ]
}

/// Every other listing, by its path.
fn listings(org: &OrgId) -> [(&'static str, String); 11] {
    [
        ("users", "/organization/users".to_owned()),
        ("keys", format!("/organization/{org}/key")),
        ("nodes", format!("/organization/{org}/nodes")),
        ("findNodes", "/node".to_owned()),
        ("tokens", "/token".to_owned()),
        ("projects", format!("/api/organizations/{org}/projects")),
        ("API keys", format!("/api/organizations/{org}/api-keys")),
        ("webhooks", format!("/organization/{org}/webhooks")),
        ("the audit log's first page", format!("/organization/{org}/audit")),
        ("an audit log's later page", format!("/organization/{org}/audit?after=15000")),
        ("the audit log's head", format!("/organization/{org}/audit/head")),
    ]
}

/// Measures system events with each filter and every other listing on both logs. Reports the worst ratio of each.
fn compared(scale: Scale, sites: &[(Site, Log); 2], quick: &str) -> [Row; 2] {
    let servers = sites.each_ref().map(|(site, _)| site.start());
    let events = filters(&sites[0].1)
        .into_iter()
        .enumerate()
        .map(|(number, (name, ..))| (name, [0, 1].map(|side| request(&servers[side], &sites[side].1, number))));
    let lists = listings(&sites[0].1.org).into_iter().enumerate().map(|(number, (name, _))| {
        (name, [0, 1].map(|side| servers[side].request("GET", &listings(&sites[side].1.org)[number].1)))
    });
    [
        worst(
            "median of `POST /systemevent` at 1,000,000 entries, compared with 20,200, worst of 9 filters",
            &events.collect::<Vec<_>>(),
            (scale, &servers, quick),
        ),
        worst(
            "median of every other listing at 1,000,000 entries, compared with 20,200, worst of 11",
            &lists.collect::<Vec<_>>(),
            (scale, &servers, quick),
        ),
    ]
}

/// Measures the medians of requests to two servers, alternating, on one connection each. Reports the worst ratio.
fn worst(
    what: &'static str,
    requests: &[(&'static str, [Vec<u8>; 2])],
    (scale, servers, quick): (Scale, &[Program; 2], &str),
) -> Row {
    let mut clients = servers.each_ref().map(|server| Client::new(server.address));
    let shares = requests.iter().map(|(name, requests)| {
        let mut times = [const { Vec::new() }; 2];
        let end = Instant::now() + scale.time / 2;
        while Instant::now() < end {
            for side in 0..2 {
                let answer = clients[side].ask(&requests[side]);
                assert_eq!(answer.status, 200, "{}", answer.text());
                times[side].push(answer.took);
            }
        }
        let [short, long] = times.map(machine::median);
        println!("  {name}: median {} in {SHORT} entries, {} in the long log", ms(short), ms(long));
        (long.as_secs_f64() / short.as_secs_f64(), *name, short, long)
    });
    let worst = shares.max_by(|a, b| a.0.total_cmp(&b.0));
    let (share, name, short, long) = worst.expect("a request");
    let measured = format!("{share:.2} x, {name}: {} and {}{quick}", ms(long), ms(short));
    Row::new(what, measured, "<= 1.2 x", share <= 1.2)
}

/// Measures the times of several readers with each filter while nodes register.
fn beside_writers(scale: Scale, (site, log): &(Site, Log), quick: &str) -> [Row; 2] {
    let server = site.start();
    let pem = server.mint(&log.org.to_string());
    let stop = AtomicBool::new(false);
    let (mut worst, mut written) = (None, Vec::new());
    let began = Instant::now();
    thread::scope(|scope| {
        let (server, pem, stop) = (&server, &pem, &stop);
        let writers: Vec<_> =
            (0..WRITERS).map(|number| scope.spawn(move || register(server, &log.org, pem, number, stop))).collect();
        for (number, (name, ..)) in filters(log).into_iter().enumerate() {
            let request = request(server, log, number);
            let mut times = beside_each_other(server, &request, scale.time / 2);
            let (p99, median) = (percentile(&mut times, 99), percentile(&mut times, 50));
            println!("  {name}: median {}, p99 {} of {} beside writers", ms(median), ms(p99), times.len());
            worst = worst.max(Some((p99, median, name)));
        }
        stop.store(true, Ordering::Relaxed);
        written = writers.into_iter().flat_map(|writer| writer.join().expect("a writer")).collect();
    });
    let (p99, median, name) = worst.expect("a filter");
    [
        Row::new(
            "`POST /systemevent` at 1,000,000 entries, 3 clients while 4 others register, worst of 9 filters",
            format!("p99 {}, median {}, {name}{quick}", ms(p99), ms(median)),
            "p99 <= 25 ms",
            p99 <= Duration::from_millis(25),
        ),
        Row::baseline("registrations meanwhile", registered(written, began.elapsed())),
    ]
}

fn request(server: &Program, log: &Log, number: usize) -> Vec<u8> {
    let (_, by_owner, json) = &filters(log)[number];
    if *by_owner { server.send("/systemevent", json) } else { server.send_as(&log.token, "/systemevent", json) }
}

/// Lists with several clients for this long; returns how long each response took.
fn beside_each_other(server: &Program, request: &[u8], time: Duration) -> Vec<Duration> {
    thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(|| list(server, request, time))).collect();
        readers.into_iter().flat_map(|reader| reader.join().expect("a reader")).collect()
    })
}

fn list(server: &Program, request: &[u8], time: Duration) -> Vec<Duration> {
    let (mut client, mut times, end) = (Client::new(server.address), Vec::new(), Instant::now() + time);
    while Instant::now() < end {
        let answer = client.ask(request);
        assert_eq!(answer.status, 200, "{}", answer.text());
        times.push(answer.took);
    }
    times
}

/// Registers nodes of its own until it is told to stop; returns how long each took.
pub fn register(server: &Program, org: &OrgId, pem: &str, number: usize, stop: &AtomicBool) -> Vec<Duration> {
    let signer = Signer::new(&org.to_string(), pem);
    let (mut client, mut times) = (Client::new(server.address), Vec::new());
    let first = u32::try_from(number).expect("a number") * NODES;
    for node in (0..NODES).cycle().take_while(|_| !stop.load(Ordering::Relaxed)) {
        let answer = client.ask(&signer.request_now(first + node));
        assert_eq!(answer.status, 200, "{}", answer.text());
        times.push(answer.took);
        thread::sleep(PAUSE);
    }
    times
}

/// Describes the rate of registrations and how long they took.
pub fn registered(mut times: Vec<Duration>, took: Duration) -> String {
    let (p99, median) = (percentile(&mut times, 99), percentile(&mut times, 50));
    let count = f64::from(u32::try_from(times.len()).expect("a number"));
    format!("{}, median {}, p99 {}", rate(count / took.as_secs_f64()), ms(median), ms(p99))
}

/// Writes a log whose entries are from the last hours: every other one is a registration by one of many nodes, the rest
/// are of one user.
pub fn fill(site: &Site, org: OrgId, entries: u32) -> Log {
    let store = Store::open(&Options { path: site.database(), readers: 1, room: Room::new(64 << 20, 0) });
    let (store, env) = (store.expect("a store"), clock::system());
    let project: ProjectId = env.id();
    let (user, token) = store.write(move |tx| add_user(tx, org)).wait().expect("a person");
    let nodes: Vec<NodeId> = (0..NODES).map(|_| env.id()).collect();
    let (key, object, begin): (OrgKeyId, _, _) = (env.id(), "1", env.now().millis() - i64::from(entries) * 40);
    for from in (0..entries).step_by(BATCH as usize) {
        let (batch, nodes) = (from..entries.min(from + BATCH), nodes.clone());
        let written = store.write(move |tx| {
            for number in batch {
                let at = begin + i64::from(number) * 40;
                let entry = if number % 2 == 0 {
                    let node = nodes[(number as usize * 7_919) % nodes.len()];
                    let event = Event::NodeRegistered { node, key, new: false, message: "ip|region|timestamp" };
                    draft(org, at, &event, "10.0.0.1".to_owned())
                } else {
                    by_person(org, at, user, project, object)
                };
                store::audit::append(tx, &entry)?;
            }
            Ok::<_, StoreError>(())
        });
        written.wait().expect("written");
    }
    Log { org, user, token, project, object }
}

fn by_person(org: OrgId, at: i64, user: UserId, project: ProjectId, object: &str) -> Draft {
    Draft {
        org: Some(org),
        at,
        actor: Actor { kind: "user", id: user.to_string(), name: None },
        action: "api_key.create",
        context: Some(Context::ApiKey.number()),
        project: Some(project.to_string()),
        change: Some(Change::Created.number()),
        outcome: "done",
        address: Some("127.0.0.1".to_owned()),
        request_id: Some("018d0b6a-5c80-7000-8000-000000000005".to_owned()),
        detail: None,
        context_id: Some(object.to_owned()),
    }
}

/// Adds a user who sees only their own events; returns the secret of the user's token.
fn add_user(tx: &store::WriteTx<'_>, org: OrgId) -> Result<(UserId, String), StoreError> {
    let env = clock::system();
    let (id, now): (UserId, _) = (env.id(), env.now());
    let (email, name) = ("user@example.org".to_owned(), "User".to_owned());
    let user =
        User { id, org, email, name, last_name: String::new(), role: Role::User, validated: true, deleted_at: None };
    store::user::insert(tx, &user, None, now)?;
    let secret = SecretKind::AccessToken.fresh(&mut env.rng());
    let digest = secret::SecretKind::AccessToken.digest(secret.expose_secret()).expect("a digest");
    let token = Token {
        id: env.id(),
        user: id,
        name: None,
        created_at: now,
        expires_at: None,
        revoked_at: None,
        last_used: None,
    };
    store::token::insert(tx, &token, &digest)?;
    Ok((id, secret.expose_secret().to_owned()))
}
