//! Measures in one run every performance figure that the design promises against its limit, and prints a table.
//!
//! `cargo bench` measures; `cargo bench -- --quick` only checks that everything builds and runs; a group name such as
//! `cargo bench -- writes` measures that group of rows alone. `cargo bench -- soak --seconds=600` soaks for ten
//! minutes.

mod api_keys;
mod crypto;
mod events;
mod http;
mod load;
mod logins;
mod machine;
mod program;
mod reads;
mod registrations;
mod report;
mod searches;
mod size;
mod soak;
mod streams;
mod webhooks;
mod writes;

use std::time::Duration;

use report::Row;

/// How much to measure.
#[derive(Clone, Copy)]
struct Scale {
    /// How long each rate is measured.
    time: Duration,
    /// How often each node registers after the first time.
    rounds: u32,
    /// Entries of the audit log that is verified and started on.
    entries: u32,
    /// Keys created over HTTP.
    keys: u32,
    /// API keys to load.
    api_keys: u32,
    /// How often the server is started.
    starts: u32,
    /// How often a measurement alternates with what it is compared with.
    turns: u32,
    /// How often to sign in, with a correct password and with a wrong one.
    logins: u32,
    /// Live streams that are open concurrently.
    streams: usize,
    /// How often each node registers while the streams are open.
    stream_rounds: u32,
    /// Deliveries pending to receivers that are down.
    pending: u32,
    /// How long the soak lasts.
    soak: Duration,
}

const FULL: Scale = Scale {
    time: Duration::from_secs(5),
    rounds: 8,
    entries: 1_000_000,
    keys: 40,
    api_keys: 100_000,
    starts: 5,
    turns: 5,
    logins: 200,
    streams: 500,
    stream_rounds: 5,
    pending: 10_000,
    soak: Duration::from_secs(30),
};

const QUICK: Scale = Scale {
    time: Duration::from_millis(300),
    rounds: 1,
    entries: 20_000,
    keys: 3,
    api_keys: 1_000,
    starts: 1,
    turns: 1,
    logins: 5,
    streams: 50,
    stream_rounds: 1,
    pending: 120,
    soak: Duration::from_secs(3),
};

/// Measures a group of rows.
type Group = fn(Scale) -> Vec<Row>;

/// The groups of rows by name, in the order of the table.
const GROUPS: [(&str, Group); 13] = [
    ("writes", writes::rows),
    ("verification", crypto::verification),
    ("reads", reads::rows),
    ("keys", crypto::keys),
    ("api_keys", api_keys::rows),
    ("logins", logins::rows),
    ("webhooks", webhooks::rows),
    ("audit", size::audit),
    ("connections", size::connections),
    ("streams", streams::rows),
    ("searches", searches::rows),
    ("events", events::rows),
    ("soak", soak::rows),
];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == reads::HELLO) {
        return reads::serve_hello();
    }
    if words.iter().any(|word| word == reads::HYPER) {
        return reads::serve_hyper();
    }
    let mut scale = if words.iter().any(|word| word == "--quick") { QUICK } else { FULL };
    if let Some(seconds) = words.iter().find_map(|word| word.strip_prefix("--seconds=")) {
        scale.soak = Duration::from_secs(seconds.parse().expect("--seconds takes a number"));
    }
    let chosen: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    orgkeys::server::listener::raise_descriptor_limit();
    println!("{}\n", machine::line());
    machine::warn();
    let groups = GROUPS.iter().filter(|(name, _)| chosen.is_empty() || chosen.iter().any(|word| name == word));
    let rows: Vec<Row> = groups.flat_map(|(_, measure)| measure(scale)).collect();
    report::print(&rows);
}
