//! Streams with rare matches: what they cost other callers, and how long one takes alone.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use orgkeys::domain::id::OrgId;

use crate::Scale;
use crate::http;
use crate::load::{self, Load};
use crate::program::{Program, Site};
use crate::registrations::Signers;
use crate::report::{Row, ms};
use crate::size;

/// Concurrent streams: as many as one credential may have open.
const STREAMS: usize = 20;

/// Reads a page of nodes in turn with and without streams that search a long log; the best run of each counts.
pub fn rows(scale: Scale) -> Vec<Row> {
    let site = Site::new();
    let server = site.start();
    let org = server.org.clone();
    let pems = [server.mint(&org)];
    let mut nodes = Signers::new(&org, &pems).requests(0..1).into_iter().take(10);
    load::run(&server, move || nodes.next());
    drop(server);
    size::fill(&site, OrgId::parse(&org).expect("an id"), scale.entries);
    let quick = if scale.entries == 1_000_000 { "" } else { " (fewer entries in a quick run)" };
    let path = format!("/organization/{org}/nodes?take=10");
    let mut loads: [Vec<Load>; 2] = [Vec::new(), Vec::new()];
    for _ in 0..scale.turns {
        for (streams, loads) in [0, STREAMS].into_iter().zip(&mut loads) {
            // A new server each time, because a server does not notice immediately that a reader has left.
            let server = site.start();
            let open: Vec<_> = (0..streams).map(|_| follow(&server, &org, "context=13")).collect();
            loads.push(load::repeat(&server, &server.request("GET", &path), scale.time / 2));
            drop(open);
        }
    }
    let [without, with] = loads.map(|loads| loads.iter().map(|load| load.median).min().unwrap_or_default());
    let share = with.as_secs_f64() / without.as_secs_f64();
    let measured = format!("{} with, {} without: {:+.0} %{quick}", ms(with), ms(without), (share - 1.0) * 100.0);
    let alone = alone(&site, &org);
    vec![
        Row::new(
            "median of `GET /organization/{orgId}/nodes` with 20 streams that search 1,000,000 entries without a match",
            measured,
            "<= +25 %",
            share <= 1.25,
        ),
        Row::new(
            "one stream alone, until it finds the last of 1,000,000 entries",
            format!("{}{quick}", ms(alone)),
            "< 10 s",
            alone < Duration::from_secs(10),
        ),
    ]
}

/// Opens a stream from the start of the log.
fn follow(server: &Program, org: &str, filter: &str) -> BufReader<TcpStream> {
    let path = format!("/organization/{org}/events/stream?after=0&{filter}");
    let mut reader = BufReader::new(http::send(server.address, &server.request("GET", &path)));
    until(&mut reader, "id: ");
    reader
}

/// Returns how long a stream takes to find the one matching event, at the end of the log.
fn alone(site: &Site, org: &str) -> Duration {
    let server = site.start();
    server.create(&format!("/api/organizations/{org}/projects"), r#"{"name":"last"}"#);
    let began = Instant::now();
    let mut reader = follow(&server, org, "context=0");
    until(&mut reader, "data: ");
    began.elapsed()
}

/// Reads up to a line with this prefix.
fn until(reader: &mut impl BufRead, beginning: &str) {
    let mut line = String::new();
    while !line.starts_with(beginning) {
        line.clear();
        assert_ne!(reader.read_line(&mut line).expect("more"), 0, "the stream ended early");
    }
}
