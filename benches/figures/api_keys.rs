//! Verification of API keys for a reverse proxy, with many keys loaded, compared with the framework's minimal response.

use orgkeys::crypto::secret::{self, SecretKind};
use orgkeys::domain::api_key::{ApiKeySettings, Window};
use orgkeys::domain::id::OrgId;
use orgkeys::domain::role::Role;
use orgkeys::server::clock;
use orgkeys::store::{self, Options, Room, Store, StoreError};
use secrecy::ExposeSecret;

use crate::Scale;
use crate::http;
use crate::load;
use crate::program::Site;
use crate::reads;
use crate::report::Row;

/// Keys per transaction.
const BATCH: u32 = 10_000;

/// Verification compared with the hello route, and what the keys cost in memory and at startup.
pub fn rows(scale: Scale) -> Vec<Row> {
    let site = Site::new();
    let server = site.start();
    let (org, empty) = (server.org.clone(), server.kib("VmRSS"));
    drop(server);
    let key = fill(&site, OrgId::parse(&org).expect("an id"), scale.api_keys);
    let server = site.start();
    let (started_in, memory) = (server.started_in, server.kib("VmRSS").saturating_sub(empty));
    let headers = [("host", &*server.address.to_string()), ("x-api-key", &key)];
    let request = http::request(&format!("GET /api/api-keys/verify?organization={org}"), &headers);
    let (hello, hyper) = (reads::hello(), reads::hyper());
    // Measured in turn, and the middle run of each counts: other load on the machine slows both alike.
    let (mut ours, mut least, mut raw) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..scale.turns {
        ours.push(load::repeat(&server, &request, scale.time / 2));
        least.push(load::repeat(&hello, &hello.request("GET", "/hello"), scale.time / 2));
        raw.push(load::repeat(&hyper, &hyper.request("GET", "/hello"), scale.time / 2));
    }
    let [ours, least, raw] = [ours, least, raw].map(load::middle);
    let (share, raw_share) = (100.0 * ours.rate / least.rate, 100.0 * ours.rate / raw.rate);
    let (fast, mib) = (ours.p99.as_millis() < 8, f64::from(memory) / 1_024.0);
    let count = scale.api_keys;
    vec![
        Row::new(
            "verify an API key: `GET /api/api-keys/verify`, 64 connections",
            format!("{} ({count} keys loaded)", ours.text()),
            "p99 < 8 ms",
            fast,
        ),
        Row::baseline("a poem-openapi hello route, alternating with it", least.text()),
        Row::new("verification, compared with the hello route", format!("{share:.0} %"), ">= 80 %", share >= 80.0),
        Row::baseline("hyper alone, alternating with it", raw.text()),
        Row::new("verification, compared with hyper alone", format!("{raw_share:.0} %"), ">= 75 %", raw_share >= 75.0),
        Row::new("memory of 100,000 API keys", format!("{mib:.1} MiB"), "< 40 MiB", mib < 40.0),
        Row::new(
            "start to ready with 100,000 API keys",
            format!("{} ms", started_in.as_millis()),
            "< 700 ms",
            started_in.as_millis() < 700,
        ),
    ]
}

/// Stores this many keys; returns the secret of the last one.
fn fill(site: &Site, org: OrgId, count: u32) -> String {
    let store = Store::open(&Options { path: site.database(), readers: 1, room: Room::new(64 << 20, 0) });
    let store = store.expect("a store");
    let mut last = String::new();
    for from in (0..count).step_by(BATCH as usize) {
        let number = BATCH.min(count - from);
        let written = store.write(move |tx| {
            let (env, mut last) = (clock::system(), String::new());
            let (at, mut rng) = (env.now(), env.rng());
            let window = Window { start: at, end: None };
            let terms = ApiKeySettings {
                name: "a service".to_owned(),
                note: String::new(),
                role: Role::User,
                window,
                disabled: false,
            };
            for _ in 0..number {
                let secret = SecretKind::ApiKey.fresh(&mut rng);
                let digest = SecretKind::ApiKey.digest(secret.expose_secret()).expect("a digest");
                let mask = secret::mask(&secret);
                let new = store::api_key::New { org, terms: &terms, digest: &digest, mask: &mask, at, by: None };
                store::api_key::insert(tx, &new, None)?;
                secret.expose_secret().clone_into(&mut last);
            }
            Ok::<_, StoreError>(last)
        });
        last = written.wait().expect("written");
    }
    last
}
