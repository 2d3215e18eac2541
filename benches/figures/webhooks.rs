//! Webhooks whose receivers are down: what 10,000 pending deliveries cost callers of the API.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;

use crate::Scale;
use crate::load::{self, Load};
use crate::program::{Program, Site};
use crate::registrations::{NODES, Signers};
use crate::report::{Row, ms};

const KEYS: usize = 5;

/// The responses of receivers that are reachable.
const ANSWERS: [&str; 4] = ["500 Internal Server Error", "302 Found", "410 Gone", "429 Too Many Requests"];

/// Webhooks: two for each kind of receiver. Those that hang belong to another organization, because they would occupy
/// the places of the others.
const WEBHOOKS: u32 = 12;

/// Reads a page of nodes in turn with and without pending deliveries; the best run of each counts.
pub fn rows(scale: Scale) -> Vec<Row> {
    let (plain, busy) = (Site::new(), Site::new());
    let lists = [(&plain, false), (&busy, true)].map(|(site, webhooks)| prepare(site, webhooks));
    let (mut loads, mut settled): ([Vec<Load>; 2], _) = ([Vec::new(), Vec::new()], Vec::new());
    for _ in 0..scale.turns {
        make_due(&busy, scale.pending / WEBHOOKS);
        for ((site, path), loads) in [&plain, &busy].into_iter().zip(&lists).zip(&mut loads) {
            let server = start(site);
            loads.push(load::repeat(&server, &server.request("GET", path), scale.time / 2));
        }
        settled.push(tries(&busy));
    }
    let fewest = settled.into_iter().min().unwrap_or_default();
    let best = |loads: &[Load], figure: fn(&Load) -> Duration| loads.iter().map(figure).min().unwrap_or_default();
    let row = |what, figure: fn(&Load) -> Duration, most: f64| {
        let [without, with] = loads.each_ref().map(|loads| best(loads, figure));
        let share = with.as_secs_f64() / without.as_secs_f64();
        let measured = format!("{} with, {} without: {:+.0} %", ms(with), ms(without), (share - 1.0) * 100.0);
        let measured = format!("{measured}; at least {fewest} attempts settled meanwhile");
        Row::new(what, measured, format!("<= +{:.0} %", (most - 1.0) * 100.0), share <= most && fewest > 0)
    };
    vec![
        row(
            "median of `GET /organization/{orgId}/nodes` with 10,000 deliveries pending to dead receivers",
            |load| load.median,
            1.1,
        ),
        row("p99 of the same", |load| load.p99, 1.5),
    ]
}

/// Starts a server that may deliver to this machine.
fn start(site: &Site) -> Program {
    site.start_with(|command| {
        command.env("ORGKEYS_WEBHOOK_ALLOW", "127.0.0.0/8");
    })
}

/// Creates an organization with nodes and, if requested, webhooks; returns the path of a page of nodes.
fn prepare(site: &Site, webhooks: bool) -> String {
    let server = start(site);
    let org = server.org.clone();
    let pems: Vec<String> = (0..KEYS).map(|_| server.mint(&org)).collect();
    let mut nodes = Signers::new(&org, &pems).requests(0..1).into_iter().take(NODES as usize);
    load::run(&server, move || nodes.next());
    if webhooks {
        let make = |address: &SocketAddr| {
            server.create(&format!("/organization/{org}/webhooks"), &format!("{{\"url\":\"http://{address}/hook\"}}"));
        };
        [hanging(), hanging()].iter().for_each(make);
        let sql = "INSERT INTO org (id, name, created_at) VALUES (zeroblob(16), 'slow', 0);
            INSERT INTO audit SELECT -1, zeroblob(16), 1, at, actor_kind, actor_id, actor_name, action, context, context_id,
                project, change, outcome, address, request_id, detail, prev_hash, hash FROM audit LIMIT 1;
            UPDATE webhook SET org = zeroblob(16)";
        change(site, sql);
        let answering = ANSWERS.map(|status| [answering(status), answering(status)]);
        [refusing(), refusing()].iter().chain(answering.as_flattened()).for_each(make);
    }
    format!("/organization/{org}/nodes?take=10")
}

/// Makes this many deliveries to each webhook due now, as if none had been attempted.
fn make_due(site: &Site, each: u32) {
    let sql = format!(
        "DELETE FROM delivery;
         UPDATE webhook SET disabled = NULL, last_failed = NULL;
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {each})
         INSERT INTO delivery (id, webhook, event, state, due_at, attempts, created_at)
         SELECT randomblob(16), webhook.id, audit.id, 'pending', at, 0, at
         FROM webhook, n, (SELECT id, at FROM audit WHERE action = 'webhook.create' LIMIT 1) AS audit"
    );
    change(site, &sql);
}

/// Returns how many attempts were settled since then, including those that counted for several deliveries.
fn tries(site: &Site) -> u32 {
    let conn = Connection::open(site.database()).expect("the file");
    conn.query_row("SELECT sum(attempts) FROM delivery", [], |row| row.get(0)).expect("a number")
}

/// Changes the database, with or without a running server.
fn change(site: &Site, sql: &str) {
    let conn = Connection::open(site.database()).expect("the file");
    conn.busy_timeout(Duration::from_secs(30)).expect("a timeout");
    conn.execute_batch(sql).expect("changed");
}

/// Returns an address that no longer listens.
fn refusing() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|bound| bound.local_addr()).expect("a port")
}

/// Accepts connections and sends nothing.
fn hanging() -> SocketAddr {
    let mut held = Vec::new();
    serve(move |stream| held.push(stream))
}

/// Responds with this status.
fn answering(status: &'static str) -> SocketAddr {
    serve(move |mut stream| {
        let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
        let _ = stream.read(&mut [0; 16 * 1_024]);
        let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
    })
}

/// Passes connections to `take`, until the program ends.
fn serve(mut take: impl FnMut(TcpStream) + Send + 'static) -> SocketAddr {
    let bound = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = bound.local_addr().expect("an address");
    thread::spawn(move || bound.incoming().flatten().for_each(&mut take));
    address
}
