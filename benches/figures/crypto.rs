//! Signature verification and key generation, each compared with openssl on the same core in the same run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use orgkeys::crypto::rsa::{self, Verifier};
use orgkeys::crypto::signed_request::{Messages, decode_signature};
use orgkeys::server::clock;
use secrecy::ExposeSecret;

use crate::Scale;
use crate::machine::{self, OWN};
use crate::program::Site;
use crate::registrations::{REGION, Signers};
use crate::report::{Row, ms, rate};

const ORG: &str = "org-018d0b6a-5c80-7000-8000-000000000001";

/// Signatures that one core verifies, including base64 decoding, with the parsed key at hand.
pub fn verification(scale: Scale) -> Vec<Row> {
    const WHAT: &str = "signature verification, from base64 on, with a cached key";
    let mut verify = verifier();
    // Measured in turn, and the best run of each counts: other load on the machine only slows both down.
    let (mut ours, mut theirs) = (0.0, None);
    for _ in 0..scale.turns {
        ours = per_core_second(scale.time / 5, &mut verify).max(ours);
        theirs = machine::openssl_verifies().map(|rate| theirs.map_or(rate, |best: f64| best.max(rate)));
    }
    let met = ours >= 55_000.0;
    let mut rows = vec![Row::new(WHAT, rate(ours), ">= 55,000/s per core", met)];
    rows.push(match theirs {
        Some(theirs) => compare("the same, compared with `openssl speed rsa2048`", ours, theirs, 0.85),
        None => missing("the same, compared with `openssl speed rsa2048`", ours),
    });
    rows
}

/// Returns the processor time of one signature verification.
pub fn verification_time(time: Duration) -> Duration {
    Duration::from_secs_f64(1.0 / per_core_second(time, &mut verifier()))
}

/// Returns what verifies one signature after another.
fn verifier() -> impl FnMut() {
    let pair = rsa::generate(|| clock::system().rng()).expect("a key");
    let verifiers = [Arc::new(Verifier::new(&pair.public_der).expect("a public key"))];
    let signers = Signers::new(ORG, &[pair.private_pem.expose_secret().to_owned()]);
    let mut turn = signers.sign(0).into_iter().cycle();
    move || {
        let next = turn.next().expect("a message");
        let signature = decode_signature(&next.signature).expect("base64");
        let messages = Messages::new(&next.ip, REGION, &next.timestamp, ORG);
        assert!(messages.find_signer(&signature, &verifiers).is_some());
    }
}

/// Keys created over HTTP, one after the other, and keys that one core generates.
pub fn keys(scale: Scale) -> Vec<Row> {
    let site = Site::new();
    let server = site.start();
    let times = (0..scale.keys).map(|_| {
        let asked = Instant::now();
        server.mint(&server.org);
        asked.elapsed()
    });
    let median = machine::median(times.collect());
    drop(server);
    let mut generate = || drop(rsa::generate(|| clock::system().rng()).expect("a key"));
    // How long a key takes is random, so many are generated.
    let before = per_core_second(scale.time * 2, &mut generate);
    let theirs = machine::openssl_keys(scale.time * 8);
    let ours = f64::midpoint(before, per_core_second(scale.time * 2, &mut generate));
    let met = median < Duration::from_millis(100);
    let compared = "RSA-2048 keys generated per core, compared with `openssl genrsa`";
    vec![
        Row::new("create a key: `POST /organization/{idOrg}/key`", format!("median {}", ms(median)), "< 100 ms", met),
        theirs.map_or_else(|| missing(compared, ours), |theirs| compare(compared, ours, theirs, 3.0)),
    ]
}

/// Returns how often `work` runs per second of this thread's processor time.
fn per_core_second(time: Duration, work: &mut impl FnMut()) -> f64 {
    let own = || machine::cpu("/proc/thread-self/stat", OWN);
    let (before, started, mut done) = (own(), Instant::now(), 0.0);
    while started.elapsed() < time {
        work();
        done += 1.0;
    }
    done / own().saturating_sub(before).as_secs_f64().max(0.01)
}

fn compare(what: &'static str, ours: f64, theirs: f64, least: f64) -> Row {
    let times = ours / theirs;
    let limit = format!(">= {least} x its {}", rate(theirs));
    Row::new(what, format!("{times:.2} x ({})", rate(ours)), limit, times >= least)
}

fn missing(what: &'static str, ours: f64) -> Row {
    Row::alone(what, rate(ours), machine::NO_OPENSSL)
}
