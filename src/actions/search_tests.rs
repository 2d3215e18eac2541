//! A search may outlast the caller's right to it, so the right is checked again for each slice.

use std::sync::Arc;

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::admin::{self, Ttl};
use super::open::open;
use crate::domain::event::Event;
use crate::domain::role::Role;
use crate::domain::time::Still;
use crate::engine::authenticate::{self, Credential};
use crate::engine::caller::{Caller, Origin};
use crate::engine::environment::Environment;
use crate::engine::error::ErrorKind;
use crate::engine::limits::Limits;
use crate::engine::rule::Rule;
use crate::engine::system::System;
use crate::store::{self, Options, Room};

/// An app, a caller who may see events, and the id of their token.
fn site() -> (TempDir, System, Caller, String) {
    let folder = TempDir::new().expect("a folder");
    let options = Options { path: folder.path().join("a.db"), readers: 2, room: Room::new(0, 0) };
    let env = Environment::new(Arc::new(Still), || [7; 32]);
    let (_, system) = open(&options, Limits::default(), env).expect("a system");
    let org = admin::create_org(&system, "acme").expect("an organization").id;
    admin::create_user(&system, &org.to_string(), "a@example.org", Role::User, "Ada", "").expect("a user");
    let (secret, token) = admin::create_token(&system, "a@example.org", Ttl::Never).expect("a token");
    let caller = authenticate::authenticate(system.app(), Credential::Token(secret.expose_secret()), Origin::default());
    (folder, system, caller.expect("a caller"), token.id.to_string())
}

/// The actions of the last two entries.
fn last_two(system: &System) -> Vec<String> {
    let orgs = system.read(|tx| Ok(store::audit::chains(tx)?)).expect("chains");
    let org = orgs.into_iter().flatten().next_back().expect("an organization");
    let entries = system.read(|tx| Ok(store::audit::page(tx, org, 0, 100)?)).expect("entries");
    entries.into_iter().rev().take(2).map(|entry| entry.action).collect()
}

#[test]
fn a_search_is_recorded_once_at_its_end() {
    let (_folder, system, caller, _) = site();
    let mut slices = 0;
    let found = system.app().search(&caller, &Rule::SeesEvents, |_, grant| {
        slices += 1;
        let listed = Event::EventsListed { org: grant.org, count: 0 };
        Ok((slices == 3).then_some((slices, listed)))
    });
    assert_eq!(found.wait().expect("found"), 3);
    assert_eq!(last_two(&system), ["event.list", "token.create"]);
}

#[test]
fn a_search_stops_when_its_token_is_revoked() {
    let (_folder, system, caller, token) = site();
    let mut slices = 0;
    let found = system.app().search(&caller, &Rule::SeesEvents, |_, _| {
        slices += 1;
        admin::revoke_token(&system, &token).expect("revoked while a slice is looked at");
        Ok(None::<((), Event)>)
    });
    assert_eq!(found.wait().expect_err("refused").kind, ErrorKind::Unauthenticated);
    assert_eq!((slices, last_two(&system)), (1, vec!["token.revoke".to_owned(), "token.create".to_owned()]));
}
