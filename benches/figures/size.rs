//! Durations and sizes: verifying the audit log, starting on it, memory use, and the executable.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use orgkeys::domain::event::Event;
use orgkeys::domain::id::{Ids, NodeId, OrgId, OrgKeyId};
use orgkeys::server::clock;
use orgkeys::store::{self, Options, Room, Store, StoreError};

use crate::Scale;
use crate::http::Client;
use crate::machine::median;
use crate::program::{self, ORGKEYS, Site};
use crate::report::{Row, mib, ms};
use crate::writes::draft;

/// Entries per transaction.
const BATCH: u32 = 20_000;

/// Connections that are open and idle.
const IDLE: usize = 2_000;

/// The timeout of each step.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a long audit log costs: to verify, and to start on.
pub fn audit(scale: Scale) -> Vec<Row> {
    let site = Site::new();
    let org = site.start().org.clone();
    fill(&site, OrgId::parse(&org).expect("an id"), scale.entries);
    let (took, peak) = verify(&site);
    let idle = site.start();
    let memory = idle.kib("VmRSS");
    drop(idle);
    let started = median((0..scale.starts).map(|_| site.start().started_in).collect());
    let bytes = std::fs::metadata(ORGKEYS).expect("the program").len();
    let kib = u32::try_from(bytes / 1_024).expect("a size");
    let met = took < Duration::from_secs(10) && peak < 64 * 1_024;
    let megabytes = format!("{:.1} MB", f64::from(kib) * 1_024.0 / 1e6);
    let entries = if scale.entries == 1_000_000 { "" } else { " (fewer entries in a quick run)" };
    vec![
        Row::new(
            "`orgkeys audit verify`, 1,000,000 entries",
            format!("{:.1} s, {} at most{entries}", took.as_secs_f64(), mib(peak)),
            "< 10 s, < 64 MiB",
            met,
        ),
        Row::new(
            "start to ready, 1,000,000 entries",
            format!("median {}{entries}", ms(started)),
            "< 300 ms",
            started < Duration::from_millis(300),
        ),
        Row::new("memory after the start", mib(memory), "< 30 MiB", memory < 30 * 1_024),
        Row::new("size of the program", megabytes, "< 25 MB", bytes < 25_000_000),
    ]
}

/// The memory of a server with many idle connections, each of which has sent one request.
pub fn connections(_: Scale) -> Vec<Row> {
    let site = Site::new();
    let server = site.start();
    let before = server.descriptors();
    let request = server.request("GET", "/health");
    let called_once = |_| {
        let mut client = Client::new(server.address);
        assert_eq!(client.ask(&request).status, 200);
        client
    };
    let open: Vec<Client> = (0..IDLE).map(called_once).collect();
    assert!(server.descriptors() >= before + IDLE, "the server has closed some of the connections");
    let memory = server.kib("VmRSS");
    drop(open);
    vec![Row::new("memory under 2,000 idle connections", mib(memory), "< 120 MiB", memory < 120 * 1_024)]
}

/// Writes this many entries of registrations, in large transactions.
pub fn fill(site: &Site, org: OrgId, entries: u32) {
    let store = Store::open(&Options { path: site.database(), readers: 1, room: Room::new(64 << 20, 0) });
    let store = store.expect("a store");
    for from in (0..entries).step_by(BATCH as usize) {
        let batch = from..entries.min(from + BATCH);
        let env = clock::system();
        let written = store.write(move |tx| {
            let (ids, now, mut rng) = (Ids::default(), env.now(), env.rng());
            let (node, key): (NodeId, OrgKeyId) = (ids.next(now, &mut rng), ids.next(now, &mut rng));
            for number in batch {
                let event = Event::NodeRegistered { node, key, new: number == 0, message: "ip|region|timestamp" };
                let ip = std::net::Ipv4Addr::from(0x0a00_0000 + number % 2_000).to_string();
                store::audit::append(tx, &draft(org, now.millis(), &event, ip))?;
            }
            Ok::<_, StoreError>(())
        });
        written.wait().expect("written");
    }
}

/// Runs `orgkeys audit verify`; returns its duration and peak memory.
fn verify(site: &Site) -> (Duration, u32) {
    let started = Instant::now();
    let mut command = Command::new(ORGKEYS);
    command.args(["audit", "verify", "--database"]).arg(site.database());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("it starts");
    let mut peak = 0;
    let status = loop {
        peak = peak.max(program::kib(child.id(), "VmHWM").unwrap_or(0));
        if let Some(status) = child.try_wait().expect("its end") {
            break status;
        }
        assert!(started.elapsed() < PATIENCE, "it does not end");
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(status.success(), "the audit log is not whole");
    (started.elapsed(), peak)
}
