//! Live streams: many readers during many writes, until all have received everything, and what that costs in memory.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use orgkeys::crypto::rsa;
use orgkeys::crypto::secret::{self, SecretKind};
use orgkeys::domain::api_key::{ApiKeySettings, Window};
use orgkeys::domain::event::Event;
use orgkeys::domain::id::OrgId;
use orgkeys::domain::org::{About, Org};
use orgkeys::domain::org_key::OrgKey;
use orgkeys::domain::role::Role;
use orgkeys::server::clock;
use orgkeys::store::{self, Options, Room, Store, StoreError};
use secrecy::ExposeSecret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::Scale;
use crate::http;
use crate::load;
use crate::program::Site;
use crate::registrations::{NODES, Signers};
use crate::report::{Row, mib, ms};
use crate::writes::draft;

/// Organizations with streams: each may have 200.
const ORGS: usize = 3;

/// Streams that one credential may have open.
const EACH: usize = 20;

/// An organization with streams.
struct Watched {
    org: OrgId,
    /// The private key of the organization's key.
    pem: String,
    /// The secrets of API keys with the role ADMINISTRATOR.
    secrets: Vec<String>,
}

/// The time until every reader has received every event of its organization, and the memory that the server used for
/// it.
pub fn rows(scale: Scale) -> Vec<Row> {
    let site = Site::new();
    drop(site.start());
    let watched: Vec<_> = (0..ORGS).map(|_| fill(&site, scale.streams.div_ceil(ORGS * EACH))).collect();
    let server = site.start();
    let events = (scale.stream_rounds * NODES) as usize;
    let requests = watched.iter().flat_map(|watched| {
        Signers::new(&watched.org.to_string(), std::slice::from_ref(&watched.pem)).requests(0..scale.stream_rounds)
    });
    let mut requests = requests.collect::<Vec<_>>().into_iter();
    let asked: Vec<Vec<u8>> = (0..scale.streams)
        .map(|number| {
            let Watched { org, secrets, .. } = &watched[number % ORGS];
            let key = &secrets[number / ORGS / EACH];
            let operation = format!("GET /organization/{org}/events/stream?context=9");
            http::request(&operation, &[("host", "a"), ("x-api-key", key)])
        })
        .collect();
    let (opened, all_open) = mpsc::channel();
    let address = server.address;
    let reading = thread::spawn(move || read(address, asked, events, &opened));
    all_open.recv().expect("all are open");
    let (before, cpu) = (server.kib("VmRSS"), server.cpu());
    let began = Instant::now();
    let writing = load::run(&server, move || requests.next());
    let written = began.elapsed();
    reading.join().expect("every reader sees every event, each once and in order");
    let (took, cpu) = (began.elapsed(), server.cpu().saturating_sub(cpu));
    let grown = server.kib("VmHWM").saturating_sub(before);
    let quick = if scale.streams < 500 { " (fewer in a quick run)" } else { "" };
    vec![
        Row::new(
            "500 live streams of 3 organizations, 10,000 events each: until every stream has received every event",
            format!("{}, {} of a core{quick}", ms(took), ms(cpu)),
            "< 60 s",
            took < Duration::from_mins(1),
        ),
        Row::baseline("the same events written meanwhile", format!("in {}: {}", ms(written), writing.text())),
        Row::new("memory that the streams add", format!("{}{quick}", mib(grown)), "< 128 MiB", grown < 128 * 1_024),
    ]
}

/// Creates an organization with this many API keys.
fn fill(site: &Site, api_keys: usize) -> Watched {
    let store = Store::open(&Options { path: site.database(), readers: 1, room: Room::new(64 << 20, 0) });
    let written = store.expect("a store").write(move |tx| {
        let env = clock::system();
        let (at, mut rng) = (env.now(), env.rng());
        let org: OrgId = env.id();
        store::org::insert(tx, &Org { id: org, name: "watched".to_owned(), created_at: at, about: About::default() })?;
        // A store with an organization without an audit entry does not open.
        store::audit::append(tx, &draft(org, at.millis(), &Event::OrgCreated { org }, "bench".to_owned()))?;
        let pair = rsa::generate(|| env.rng()).expect("a key");
        let key = OrgKey::new(env.id(), org, pair.public_der, at);
        store::org_key::insert(tx, &key, 1)?;
        let (window, role) = (Window { start: at, end: None }, Role::Administrator);
        let terms = ApiKeySettings { name: "a reader".to_owned(), note: String::new(), role, window, disabled: false };
        let mut secrets = Vec::new();
        for _ in 0..api_keys {
            let secret = SecretKind::ApiKey.fresh(&mut rng);
            let digest = SecretKind::ApiKey.digest(secret.expose_secret()).expect("a digest");
            let mask = secret::mask(&secret);
            let new = store::api_key::New { org, terms: &terms, digest: &digest, mask: &mask, at, by: None };
            store::api_key::insert(tx, &new, None)?;
            secrets.push(secret.expose_secret().to_owned());
        }
        Ok::<_, StoreError>(Watched { org, pem: pair.private_pem.expose_secret().to_owned(), secrets })
    });
    written.wait().expect("written")
}

/// Reads this many events on each of the streams that `requests` open, all on this thread; reports when all are open.
fn read(address: SocketAddr, requests: Vec<Vec<u8>>, events: usize, opened: &mpsc::Sender<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
    runtime.block_on(LocalSet::new().run_until(async {
        let mut readers = Vec::new();
        for request in requests {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            stream.write_all(&request).await.expect("sent");
            let mut first = [0; 12];
            stream.read_exact(&mut first).await.expect("an answer");
            assert_eq!(&first, b"HTTP/1.1 200");
            readers.push(tokio::task::spawn_local(follow(stream, events)));
        }
        opened.send(()).expect("somebody waits for it");
        for reader in readers {
            reader.await.expect("a reader");
        }
    }));
}

/// Reads this many events, each with a greater id than the one before.
async fn follow(mut stream: TcpStream, events: usize) {
    let (mut buffer, mut filled) = (vec![0; 64 * 1_024], 0);
    let (mut count, mut last, mut next) = (0, 0_i64, 0_i64);
    while count < events {
        let read = stream.read(&mut buffer[filled..]).await.expect("more");
        assert_ne!(read, 0, "the stream ended early");
        filled += read;
        let whole = buffer[..filled].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in buffer[..whole].split(|byte| *byte == b'\n') {
            if let Some(id) = line.strip_prefix(b"id: ") {
                next = std::str::from_utf8(id).expect("text").parse().expect("a number");
            } else if line.starts_with(b"data: ") {
                assert!(next > last, "{next} after {last}");
                (count, last) = (count + 1, next);
            }
        }
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
    }
    assert_eq!(count, events);
}
