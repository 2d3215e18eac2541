//! Registrations with distinct signatures, signed before the measurement starts.

use std::rc::Rc;
use std::thread;

use orgkeys::crypto::signing_key::SigningKey;
use orgkeys::server::clock;

use crate::http;

/// Nodes that register repeatedly.
pub const NODES: u32 = 2_000;

/// Signs the requests of the nodes of one organization.
pub struct Signers {
    org: String,
    keys: Vec<SigningKey>,
    /// The first signed timestamp, in Unix seconds; each round is a second later.
    begin: i64,
}

/// A signed message, with its parts.
#[derive(Clone)]
pub struct Signed {
    /// The node's address.
    pub ip: String,
    /// The timestamp in Unix seconds.
    pub timestamp: String,
    /// The signature, in base64.
    pub signature: String,
}

/// The region of every node.
pub const REGION: &str = "eu-central-1";

impl Signers {
    /// Signs with these private keys, in PKCS#1 PEM, each for the same number of nodes.
    pub fn new(org: &str, pems: &[String]) -> Self {
        let keys = pems.iter().map(|pem| signing_key(pem));
        Self { org: org.to_owned(), keys: keys.collect(), begin: clock::system().now().millis() / 1_000 }
    }

    /// Returns one round of messages: one per node.
    pub fn sign(&self, round: u32) -> Vec<Signed> {
        let timestamp = (self.begin + i64::from(round)).to_string();
        let keys = self.keys.iter().cycle();
        let one = |(node, key): (u32, &SigningKey)| {
            let ip = std::net::Ipv4Addr::from(0x0a00_0000 + node).to_string();
            let signature = key.sign(&format!("{ip}|{REGION}|{timestamp}")).expect("a signature");
            Signed { ip, timestamp: timestamp.clone(), signature }
        };
        (0..NODES).zip(keys).map(one).collect()
    }

    /// Returns the requests of these rounds in order, signed on two threads.
    pub fn requests(&self, rounds: std::ops::Range<u32>) -> Vec<Rc<[u8]>> {
        let sign = |from: u32| -> Vec<(u32, Vec<Vec<u8>>)> {
            let mine = rounds.clone().skip(from as usize).step_by(2);
            mine.map(|round| (round, self.sign(round).iter().map(|signed| self.request(signed)).collect())).collect()
        };
        let mut made = thread::scope(|scope| {
            let odd = scope.spawn(|| sign(1));
            let mut made = sign(0);
            made.extend(odd.join().expect("signed"));
            made
        });
        made.sort_by_key(|(round, _)| *round);
        made.into_iter().flat_map(|(_, requests)| requests).map(Rc::from).collect()
    }

    fn request(&self, signed: &Signed) -> Vec<u8> {
        request(&self.org, signed)
    }
}

/// A key of one organization that signs during the measurement.
pub struct Signer {
    org: String,
    key: SigningKey,
}

impl Signer {
    /// Signs with this private key, in PKCS#1 PEM.
    pub fn new(org: &str, pem: &str) -> Self {
        Self { org: org.to_owned(), key: signing_key(pem) }
    }

    /// Returns a node's request at this moment. Must not be called twice within a second for the same node.
    pub fn request_now(&self, node: u32) -> Vec<u8> {
        let timestamp = (clock::system().now().millis() / 1_000).to_string();
        let ip = std::net::Ipv4Addr::from(0x0a00_0000 + node).to_string();
        let signature = self.key.sign(&format!("{ip}|{REGION}|{timestamp}")).expect("a signature");
        request(&self.org, &Signed { ip, timestamp, signature })
    }
}

fn signing_key(pem: &str) -> SigningKey {
    SigningKey::from_pem(pem.as_bytes()).expect("a private key")
}

fn request(org: &str, Signed { ip, timestamp, signature }: &Signed) -> Vec<u8> {
    let body = format!(
        "{{\"ip\":\"{ip}\",\"region\":\"{REGION}\",\"timestamp\":{timestamp},\"signature\":\"{signature}\",\
             \"id_org\":\"{org}\",\"provider\":\"AWS\",\"status\":\"active\",\"version\":\"1.4.2\",\"nodeServices\":1}}"
    );
    http::post("/register", &[("host", "localhost")], &body)
}
