//! Power cuts: acknowledged changes survive, deleted things stay deleted, and the audit log is intact.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use orgkeys::actions::audit;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::harness::{Answer, Home, Owner, Server, call, integrity, now, sqlite};
use crate::signing::sign;

const CYCLES: usize = 25;
const CLIENTS: usize = 8;

/// The expected state of a thing after everything that was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    There,
    /// Deleted by an administrator.
    Deleted,
    /// Unregistered, or a deleted key.
    Gone,
    /// Requested, but no response arrived.
    Open,
}

/// What one client knows about the server.
#[derive(Default)]
struct Client {
    name: usize,
    nodes: BTreeMap<String, Fate>,
    keys: BTreeMap<String, Fate>,
    /// Registrations that were accepted.
    used: Vec<Value>,
    /// The numbers of acknowledged changes, by action.
    acknowledged: BTreeMap<&'static str, i64>,
    unanswered: BTreeMap<&'static str, i64>,
    made: usize,
}

/// What all clients share.
struct Site {
    owner: Owner,
    /// The private key of the nodes.
    pem: String,
}

impl Site {
    fn registration(&self, ip: &str) -> Value {
        self.signed_at(ip, now().millis())
    }

    fn signed_at(&self, ip: &str, timestamp: i64) -> Value {
        let signature = sign(&self.pem, &format!("{ip}|eu|{timestamp}"));
        json!({
            "ip": ip, "region": "eu", "timestamp": timestamp, "signature": signature,
            "id_org": self.owner.org, "status": "active", "version": "1",
        })
    }
}

impl Client {
    /// Writes until the server is gone or the test stops it.
    fn work(&mut self, site: &Site, address: SocketAddr, stop: &AtomicBool, rng: &mut StdRng) {
        while !stop.load(Ordering::Relaxed) {
            let went_on = if self.name == 0 { self.keys(site, address) } else { self.nodes(site, address, rng) };
            if !went_on {
                return;
            }
        }
    }

    /// Creates a key, and deletes every second one.
    fn keys(&mut self, site: &Site, address: SocketAddr) -> bool {
        let path = format!("/organization/{}/key", site.owner.org);
        let Some(answer) = self.send(site, address, "org_key.create", "POST", &path, None) else { return false };
        let id = answer.header("x-key-id").expect("an id");
        self.keys.insert(id.clone(), Fate::There);
        self.made += 1;
        if self.made.is_multiple_of(2) {
            return true;
        }
        self.keys.insert(id.clone(), Fate::Open);
        let deleted = self.send(site, address, "org_key.delete", "DELETE", &format!("{path}/{id}"), None);
        deleted.map(|_| self.keys.insert(id, Fate::Gone)).is_some()
    }

    /// Registers a node; of three, one is then deleted and one unregistered.
    fn nodes(&mut self, site: &Site, address: SocketAddr, rng: &mut StdRng) -> bool {
        self.made += 1;
        let ip = format!("10.{}.{}.{}", self.name, self.made / 250, self.made % 250);
        let registered_at = now().millis();
        let body = site.signed_at(&ip, registered_at);
        self.nodes.insert(ip.clone(), Fate::Open);
        if self.send(site, address, "node.register", "POST", "/register", Some(&body)).is_none() {
            return false;
        }
        self.nodes.insert(ip.clone(), Fate::There);
        self.used.push(body);
        let (word, method, path, body, after) = match rng.random_range(0..3) {
            0 => {
                let path = format!("/organization/{}/node/{ip}", site.owner.org);
                ("node.delete", "DELETE", path, None, Fate::Deleted)
            }
            1 => {
                // The same millisecond would give the same signature.
                let body = site.signed_at(&ip, registered_at + 1);
                ("node.unregister", "POST", "/unregister".to_owned(), Some(body), Fate::Gone)
            }
            _ => return true,
        };
        self.nodes.insert(ip.clone(), Fate::Open);
        let done = self.send(site, address, word, method, &path, body.as_ref());
        done.map(|_| self.nodes.insert(ip, after)).is_some()
    }

    fn send(
        &mut self,
        site: &Site,
        address: SocketAddr,
        word: &'static str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Option<Answer> {
        if let Ok(answer) = call(address, method, path, Some(&site.owner.token), body) {
            assert_eq!(answer.status, 200, "{word} {path}: {answer:?}");
            *self.acknowledged.entry(word).or_default() += 1;
            Some(answer)
        } else {
            *self.unanswered.entry(word).or_default() += 1;
            None
        }
    }
}

#[test]
fn acknowledged_changes_survive_25_kills_under_8_writing_clients() {
    let seed = std::env::var("ORGKEYS_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| now().millis().unsigned_abs());
    eprintln!("ORGKEYS_TEST_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let home = Home::new();
    let (server, owner) = home.first_start();
    let (first_key, pem) = server.key(&owner);
    let site = Arc::new(Site { owner, pem });
    let mut clients: Vec<Client> = (0..CLIENTS).map(|name| Client { name, ..Client::default() }).collect();
    clients[0].keys.insert(first_key, Fate::There);
    clients[0].acknowledged.insert("org_key.create", 1);
    drop(server);
    // From exec to ready.
    let mut starts = Vec::new();
    for cycle in 0..CYCLES {
        let started = Instant::now();
        let server = home.start_with(&mut home.serve(&["--max", "100"]));
        assert_eq!(server.call("GET", "/ready", None, None).status, 200, "seed {seed}, cycle {cycle}");
        starts.push(started.elapsed());
        check(&home, &server, &site, &mut clients, &format!("seed {seed}, cycle {cycle}"));
        delete_keys(&server, &site, &mut clients[0]);
        let moment = Duration::from_micros(rng.random_range(0..120_000));
        clients = load(&site, server, clients, moment, &mut rng);
    }
    starts.sort();
    let (median, slowest) = (starts[CYCLES / 2], starts[CYCLES - 1]);
    eprintln!("from exec to ready: median {median:?}, at most {slowest:?}");
    let server = home.start();
    check(&home, &server, &site, &mut clients, &format!("seed {seed}, the end"));
    let used: usize = clients.iter().map(|client| client.used.len()).sum();
    eprintln!("{used} registrations");
    assert!(used > CYCLES, "seed {seed}: only {used} registrations were accepted in all");
}

/// Lets every client write until the server is killed at `moment`.
fn load(site: &Arc<Site>, server: Server, clients: Vec<Client>, moment: Duration, rng: &mut StdRng) -> Vec<Client> {
    let (address, stop) = (server.address, Arc::new(AtomicBool::new(false)));
    let running: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            let (site, stop, mut rng) = (Arc::clone(site), Arc::clone(&stop), StdRng::seed_from_u64(rng.random()));
            thread::spawn(move || {
                client.work(&site, address, &stop, &mut rng);
                client
            })
        })
        .collect();
    thread::sleep(moment);
    server.kill();
    stop.store(true, Ordering::Relaxed);
    running.into_iter().map(|client| client.join().expect("a client")).collect()
}

/// Keeps the number of keys small: each one is tried for every signature.
fn delete_keys(server: &Server, site: &Site, client: &mut Client) {
    // The first key signs for the nodes.
    for (id, fate) in client.keys.iter_mut().skip(1).filter(|(_, fate)| **fate == Fate::There) {
        let answer = server.call_as(&site.owner, "DELETE", &format!("/organization/{}/key/{id}", site.owner.org));
        assert_eq!(answer.status, 200, "{answer:?}");
        *client.acknowledged.entry("org_key.delete").or_default() += 1;
        *fate = Fate::Gone;
    }
}

/// Compares the server's state with what the clients know.
fn check(home: &Home, server: &Server, site: &Site, clients: &mut [Client], when: &str) {
    assert_eq!(integrity(&home.database), "ok", "{when}");
    audit::verify(&home.database, &[]).unwrap_or_else(|error| panic!("{when}: {error}"));
    let nodes = listed_nodes(server, &site.owner);
    let keys = listed_keys(server, &site.owner);
    for client in clients.iter_mut() {
        for (ip, fate) in &mut client.nodes {
            settle(fate, nodes.contains(ip), &format!("{when}: node {ip}"));
        }
        for (id, fate) in &mut client.keys {
            settle(fate, keys.contains(id), &format!("{when}: key {id}"));
        }
        // A lost tail would lose the last acknowledged one.
        for (body, path) in client.used.last().into_iter().flat_map(|body| [(body, "/register"), (body, "/unregister")])
        {
            let answer = server.call("POST", path, None, Some(body));
            assert_eq!(answer.refusal(), (400, "SIGNATURE_REPLAYED".to_owned()), "{when}: {body}");
        }
        let deleted = client.nodes.iter().rev().find(|(_, fate)| **fate == Fate::Deleted);
        if let Some((ip, _)) = deleted {
            let answer = server.call("POST", "/register", None, Some(&site.registration(ip)));
            assert_eq!(answer.refusal(), (400, "NODE_DELETED".to_owned()), "{when}: {ip}");
        }
    }
    for (word, acknowledged) in sum(clients, |client| &client.acknowledged) {
        let sql = "SELECT count(*) FROM audit WHERE action = ?1 AND outcome = 'done'";
        let recorded: i64 = sqlite(&home.database).query_row(sql, [word], |row| row.get(0)).expect("a count");
        let open = sum(clients, |client| &client.unanswered).get(word).copied().unwrap_or(0);
        let range = acknowledged..=acknowledged + open;
        assert!(range.contains(&recorded), "{when}: {recorded} entries of {word}, {range:?} were made");
    }
    let orphans = "SELECT (SELECT count(*) FROM node) - (SELECT count(DISTINCT context_id) FROM audit WHERE action = 'node.register')
        + (SELECT count(DISTINCT context_id) FROM audit WHERE action = 'node.unregister')";
    let orphans: i64 = sqlite(&home.database).query_row(orphans, [], |row| row.get(0)).expect("a count");
    assert_eq!(orphans, 0, "{when}: nodes without their entry, or entries without their node");
}

/// Checks the state of a thing; one without a response keeps the state found.
fn settle(fate: &mut Fate, is_there: bool, what: &str) {
    match *fate {
        Fate::There => assert!(is_there, "{what} was acknowledged and is not there"),
        Fate::Deleted | Fate::Gone => assert!(!is_there, "{what} was deleted and is there again"),
        Fate::Open if is_there => *fate = Fate::There,
        // Deleted or unregistered: in both cases it must not come back.
        Fate::Open => *fate = Fate::Gone,
    }
}

fn sum(clients: &[Client], counts: fn(&Client) -> &BTreeMap<&'static str, i64>) -> BTreeMap<&'static str, i64> {
    let mut total = BTreeMap::new();
    for (word, count) in clients.iter().flat_map(counts) {
        *total.entry(*word).or_default() += count;
    }
    total
}

fn listed_nodes(server: &Server, owner: &Owner) -> BTreeSet<String> {
    let mut ips = BTreeSet::new();
    for page in 0..1_000 {
        let path = format!("/organization/{}/nodes?take=1000&skip={}", owner.org, page * 1_000);
        let answer = server.call_as(owner, "GET", &path).json();
        let data = answer["data"].as_array().expect("nodes").clone();
        ips.extend(data.iter().map(|node| node["ip"].as_str().expect("an address").to_owned()));
        if data.len() < 1_000 {
            break;
        }
    }
    ips
}

fn listed_keys(server: &Server, owner: &Owner) -> BTreeSet<String> {
    let answer = server.call_as(owner, "GET", &format!("/organization/{}/key", owner.org)).json();
    let data = answer["data"].as_array().expect("keys");
    data.iter().map(|key| key["id"].as_str().expect("an id").to_owned()).collect()
}
