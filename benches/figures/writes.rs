//! Durable audited writes: registrations over HTTP, and the same writes without HTTP.

use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use orgkeys::crypto::{rsa, signed_request::Signature};
use orgkeys::domain::audit::{Actor, Draft};
use orgkeys::domain::event::{Change, Context, Event};
use orgkeys::domain::id::{Ids, NodeId, OrgId, OrgKeyId};
use orgkeys::domain::node::{Node, NodeProfile, Services};
use orgkeys::domain::org::{About, Org};
use orgkeys::domain::org_key::OrgKey;
use orgkeys::server::clock;
use orgkeys::store::{self, Options, Room, Store, StoreError, WriteTx};

use crate::http::Client;
use crate::load::{self, CONNECTIONS};
use crate::machine::{self, OWN};
use crate::program::{Program, Site};
use crate::registrations::{NODES, REGION, Signers};
use crate::report::{Row, over_parts, rate};
use crate::{Scale, crypto, reads};

const KEYS: usize = 5;

/// Registrations over HTTP, compared with the limit and with the writer alone.
pub fn rows(scale: Scale) -> Vec<Row> {
    let site = Site::new();
    let server = site.start();
    let org = server.org.clone();
    let pems: Vec<String> = (0..KEYS).map(|_| server.mint(&org)).collect();
    let signers = Signers::new(&org, &pems);
    // In the first round every node is new; the measured registrations are refreshes.
    let mut first = signers.requests(0..1).into_iter();
    load::run(&server, move || first.next());
    // Measured in turn, and the middle run of each counts: other load on the machine slows all alike.
    let hello = reads::hello();
    let (mut loads, mut alones, mut hellos) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..scale.turns {
        let from = 1 + turn * scale.rounds;
        let mut again = signers.requests(from..from + scale.rounds).into_iter();
        loads.push(load::run(&server, move || again.next()));
        alones.push(writer_alone(CONNECTIONS, scale.time / scale.turns));
        hellos.push(load::repeat(&hello, &hello.request("GET", "/hello"), scale.time / scale.turns));
    }
    let load = load::middle(loads);
    let alone = middle(alones);
    let parts = [
        ("the writer", alone.cpu),
        ("a verification", crypto::verification_time(scale.time / 5)),
        ("an empty route", load::middle(hellos).cpu),
    ];
    let last = 1 + scale.turns * scale.rounds;
    let (one, commit) = (one_client(&server, &signers.requests(last..last + 1)), writer_alone(1, scale.time / 5));
    let met = load.rate >= 8_000.0 && load.p99 < Duration::from_millis(40);
    let share = 100.0 * load.rate / alone.rate;
    vec![
        Row::new(
            "durable audited writes: `POST /register`, 64 connections",
            load.text(),
            ">= 8,000/s, p99 < 40 ms",
            met,
        ),
        Row::baseline("the same writes without HTTP, 64 threads", rate(alone.rate)),
        Row::new("HTTP rate, compared with the writer alone", format!("{share:.0} %"), ">= 50 %", share >= 50.0),
        over_parts("processor time of a registration, over its parts", load.cpu, &parts, 1.3),
        over_parts(
            "one client: `POST /register`, over one commit of the writer",
            one,
            &[("a commit", commit.took)],
            1.5,
        ),
    ]
}

/// Returns the median time of a response to one client that sends these requests one after the other.
fn one_client(server: &Program, requests: &[Rc<[u8]>]) -> Duration {
    let mut client = Client::new(server.address);
    let times = requests.iter().map(|request| {
        let answer = client.ask(request);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.took
    });
    machine::median(times.collect())
}

/// What the store contains before the measurement starts.
#[derive(Clone, Copy)]
struct Known {
    org: OrgId,
    key: OrgKeyId,
}

/// The writer without HTTP.
pub struct Alone {
    /// Writes per second.
    pub rate: f64,
    /// Processor time per write.
    pub cpu: Duration,
    /// How long a thread waits for a write, on average.
    pub took: Duration,
}

/// Returns the run with the middle rate.
pub fn middle(mut alones: Vec<Alone>) -> Alone {
    alones.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    let middle = alones.len() / 2;
    alones.swap_remove(middle)
}

/// Lets this many threads write what registrations write.
pub fn writer_alone(threads: usize, time: Duration) -> Alone {
    let site = Site::new();
    let room = Room::new(64 << 20, 0);
    let store = Store::open(&Options { path: site.database(), readers: 1, room }).expect("a store");
    let known = store.write(prepare).wait().expect("prepared");
    let (number, end) = (AtomicU32::new(0), Instant::now() + time);
    let own = || machine::cpu("/proc/self/stat", OWN);
    let (before, started) = (own(), Instant::now());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while Instant::now() < end {
                    let number = number.fetch_add(1, Ordering::Relaxed);
                    store.write(move |tx| refresh(tx, known, number)).wait().expect("written");
                }
            });
        }
    });
    let (took, count) = (started.elapsed(), number.into_inner().max(1));
    Alone {
        rate: f64::from(count) / took.as_secs_f64(),
        cpu: own().saturating_sub(before) / count,
        took: took * u32::try_from(threads).expect("a number") / count,
    }
}

fn profile(node: u32) -> NodeProfile {
    NodeProfile {
        ip: Ipv4Addr::from(0x0a00_0000 + node % NODES).to_string(),
        region: REGION.to_owned(),
        provider: "AWS".to_owned(),
        status: "active".to_owned(),
        version: "1.4.2".to_owned(),
        services: Services::parse(1).expect("services"),
    }
}

fn prepare(tx: &WriteTx<'_>) -> Result<Known, StoreError> {
    let (env, ids) = (clock::system(), Ids::default());
    let (now, mut rng) = (env.now(), env.rng());
    let org: OrgId = ids.next(now, &mut rng);
    store::org::insert(tx, &Org { id: org, name: "alone".to_owned(), created_at: now, about: About::default() })?;
    let pair = rsa::generate(|| env.rng()).expect("a key");
    let key = OrgKey::new(ids.next(now, &mut rng), org, pair.public_der, now);
    store::org_key::insert(tx, &key, 1)?;
    for node in 0..NODES {
        let id: NodeId = ids.next(now, &mut rng);
        let (profile, key) = (profile(node), Some(key.id));
        store::node::insert(tx, &Node { id, org, profile, key, last_contact: now, deleted_at: None }, NODES)?;
    }
    Ok(Known { org, key: key.id })
}

/// What a registration does in the writer's transaction.
fn refresh(tx: &WriteTx<'_>, Known { org, key }: Known, number: u32) -> Result<(), StoreError> {
    let (now, mut bytes) = (clock::system().now(), [0; 256]);
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    let signature = Signature::new(&bytes).expect("a signature");
    let profile = profile(number);
    store::used_signature::remove_old(tx, now)?;
    assert!(store::org_key::end(tx, org, key)?.is_some() && store::used_signature::insert(tx, &signature, now)?);
    let node = store::node::find_by_ip(tx, org, &profile.ip)?.expect("a known node").id;
    store::node::refresh(tx, node, &profile, key, now)?;
    let event = Event::NodeRegistered { node, key, new: false, message: "ip|region|timestamp" };
    store::audit::append(tx, &draft(org, now.millis(), &event, profile.ip)).map(drop)
}

/// Builds the audit log entry of a registration.
pub fn draft(org: OrgId, at: i64, event: &Event, ip: String) -> Draft {
    let facts = event.audit_record();
    Draft {
        org: Some(org),
        at,
        actor: Actor { kind: "node", id: facts.context_id.clone().unwrap_or_default(), name: Some(ip) },
        action: facts.action,
        context: facts.context.map(Context::number),
        project: None,
        change: facts.change.map(Change::number),
        outcome: facts.outcome(),
        address: Some("127.0.0.1".to_owned()),
        request_id: Some("018d0b6a-5c80-7000-8000-000000000005".to_owned()),
        detail: facts.detail.map(|detail| detail.to_string()),
        context_id: facts.context_id,
    }
}
