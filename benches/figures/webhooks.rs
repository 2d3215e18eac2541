//! Webhooks whose receivers are down: what 10,000 pending deliveries cost those who call the API.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::Scale;
use crate::load::{self, Load};
use crate::program::{Program, Site};
use crate::registrations::{NODES, Signers};
use crate::report::{Row, ms};

const KEYS: usize = 5;

/// Webhooks of the organization: two to each kind of receiver. Each registration is a delivery to each.
const WEBHOOKS: u32 = 6;

/// A page of nodes, asked for with and without pending deliveries in turn; the best of each counts.
pub fn rows(scale: Scale) -> Vec<Row> {
    let (plain, busy) = (Site::new(), Site::new());
    let lists = [(&plain, false), (&busy, true)].map(|(site, webhooks)| prepare(site, webhooks, scale.pending));
    let mut loads: [Vec<Load>; 2] = [Vec::new(), Vec::new()];
    for _ in 0..scale.turns {
        for ((site, path), loads) in [&plain, &busy].into_iter().zip(&lists).zip(&mut loads) {
            let server = start(site);
            loads.push(load::repeat(&server, &server.request("GET", path), scale.time / 2));
        }
    }
    let best = |loads: &[Load], figure: fn(&Load) -> Duration| loads.iter().map(figure).min().unwrap_or_default();
    let row = |what, figure: fn(&Load) -> Duration, most: f64| {
        let [without, with] = loads.each_ref().map(|loads| best(loads, figure));
        let share = with.as_secs_f64() / without.as_secs_f64();
        let measured = format!("{} with, {} without: {:+.0} %", ms(with), ms(without), (share - 1.0) * 100.0);
        Row::new(what, measured, format!("<= +{:.0} %", (most - 1.0) * 100.0), share <= most)
    };
    vec![
        row(
            "median of `GET /organization/{orgId}/nodes` with 10,000 deliveries pending to dead receivers",
            |load| load.median,
            1.1,
        ),
        row("its p99", |load| load.p99, 1.5),
    ]
}

/// A server that may deliver to this machine.
fn start(site: &Site) -> Program {
    site.start_with(|command| {
        command.env("ORGKEYS_WEBHOOK_ALLOW", "127.0.0.0/8");
    })
}

/// Makes an organization with nodes and, if asked, webhooks that are told of each; gives the path of a page of them.
fn prepare(site: &Site, webhooks: bool, pending: u32) -> String {
    let server = start(site);
    let org = server.org.clone();
    let pems: Vec<String> = (0..KEYS).map(|_| server.mint(&org)).collect();
    if webhooks {
        let kinds = [refusing(), hanging(), failing()];
        for address in kinds.iter().cycle().take(WEBHOOKS as usize) {
            let body = format!("{{\"url\":\"http://{address}/hook\"}}");
            server.create(&format!("/organization/{org}/webhooks"), &body);
        }
    }
    let mut nodes = Signers::new(&org, &pems).requests(0..1).into_iter().take((pending / WEBHOOKS).min(NODES) as usize);
    load::run(&server, move || nodes.next());
    format!("/organization/{org}/nodes?take=10")
}

/// An address that listened a moment ago.
fn refusing() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|bound| bound.local_addr()).expect("a port")
}

/// Takes connections and says nothing.
fn hanging() -> SocketAddr {
    let mut held = Vec::new();
    serve(move |stream| held.push(stream))
}

/// Answers 500.
fn failing() -> SocketAddr {
    serve(|mut stream| {
        let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
        let _ = stream.read(&mut [0; 16 * 1_024]);
        let _ = stream.write_all(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n");
    })
}

/// Gives connections to `take`, until the program ends.
fn serve(mut take: impl FnMut(TcpStream) + Send + 'static) -> SocketAddr {
    let bound = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = bound.local_addr().expect("an address");
    thread::spawn(move || bound.incoming().flatten().for_each(&mut take));
    address
}
