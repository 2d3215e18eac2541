//! What is held only in memory is written in several transactions if it is much, and nothing of it is lost if one fails.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::open::open;
use super::{admin, api_key, audit, refusals};
use crate::crypto::secret::SecretKind;
use crate::domain::api_key::{ApiKeySettings, Window};
use crate::domain::id::{OrgId, UserId};
use crate::domain::role::Role;
use crate::domain::time::Still;
use crate::engine::environment::Environment;
use crate::engine::limits::Limits;
use crate::engine::system::System;
use crate::store::api_key::New;
use crate::store::{self, Options, Room};

/// A system with an organization, and how many bytes its file may have.
struct Site {
    room: Arc<AtomicU64>,
    system: System,
    env: Environment,
    org: OrgId,
    // Dropped last: a server whose file disappears ends the process.
    _folder: TempDir,
}

impl Site {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let options = Options { path: folder.path().join("a.db"), readers: 2, room: Room::new(0, 0) };
        let room = Arc::clone(&options.room.limit);
        let env = Environment::new(Arc::new(Still), || [7; 32]);
        let (_, system) = open(&options, Limits::default(), env.clone()).expect("a system");
        let org = admin::create_org(&system, "acme").expect("an organization").id;
        Self { room, system, env, org, _folder: folder }
    }

    /// How many entries of the organization have this action.
    fn count(&self, action: &str) -> usize {
        let org = self.org;
        let entries = self.system.read(|tx| Ok(store::audit::page(tx, org, 0, 1_000)?)).expect("entries");
        entries.iter().filter(|entry| entry.action == action).count()
    }
}

#[test]
fn reads_of_130_readers_that_were_only_counted_are_recorded() {
    let site = Site::new();
    for _ in 0..130 {
        let reader: UserId = site.env.id();
        for _ in 0..2 {
            let _ = site.system.app().polls.see(Some(reader), site.org, true, Still::TIME);
        }
    }
    audit::page::flush(&site.system).expect("written");
    assert_eq!(site.count("audit.polled"), 130);
}

#[test]
fn refusals_from_130_networks_are_recorded_once_there_is_room() {
    let site = Site::new();
    for network in 0..130 {
        let address = Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, network)));
        site.system.app().refusals.count_login(site.org, "INVALID_CREDENTIALS", address, Still::TIME);
    }
    site.room.store(1, Ordering::Relaxed);
    refusals::flush(&site.system, true).expect_err("no room");
    site.room.store(0, Ordering::Relaxed);
    refusals::flush(&site.system, true).expect("written");
    assert_eq!(site.count("session.refused"), 130);
}

#[test]
fn uses_of_513_api_keys_are_kept_while_there_is_no_room() {
    let site = Site::new();
    let (env, org) = (site.env.clone(), site.org);
    let digests = site.system.write_for_orgs(move |tx, _, at| {
        let window = Window { start: at, end: None };
        let terms =
            ApiKeySettings { name: "x".to_owned(), note: String::new(), role: Role::User, window, disabled: false };
        let mut rng = env.rng();
        let digests = (0..513).map(|_| {
            let secret = SecretKind::ApiKey.fresh(&mut rng);
            let digest = SecretKind::ApiKey.digest(secret.expose_secret()).expect("a digest");
            store::api_key::insert(tx, &New { org, terms: &terms, digest: &digest, mask: "x", at, by: None }, None)?;
            Ok(digest)
        });
        Ok((digests.collect::<Result<Vec<_>, crate::engine::error::Error>>()?, Vec::new()))
    });
    let index = site.system.app().index();
    for digest in digests.expect("written") {
        index.api_key(&digest).expect("a key").touch(Still::TIME, None);
    }
    site.room.store(1, Ordering::Relaxed);
    api_key::flush_uses(&site.system).expect_err("no room");
    let kept = index.take_used();
    assert_eq!(kept.len(), 513);
    index.put_back(&kept);
    site.room.store(0, Ordering::Relaxed);
    api_key::flush_uses(&site.system).expect("written");
    assert!(index.take_used().is_empty());
}
