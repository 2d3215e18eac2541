//! A search may take longer than a right lasts: it is decided anew for each slice.

use std::sync::Arc;

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;
use crate::actions::caller::Origin;
use crate::actions::offline::{self, Ttl};
use crate::actions::session::{self, Credential};
use crate::domain::role::Role;
use crate::domain::time::Clock;
use crate::store::{Options, Room};

struct Still;

impl Clock for Still {
    fn now(&self) -> Time {
        Time::from_millis(1_705_314_600_000)
    }
}

/// An app, somebody who sees events, and the number of their token.
fn site() -> (TempDir, App, Caller, String) {
    let folder = TempDir::new().expect("a folder");
    let options = Options { path: folder.path().join("a.db"), readers: 2, room: Room::new(0, 0) };
    let store = Store::open(&options).expect("a store");
    let app = App::new(store, Outside::new(Arc::new(Still), || [7; 32]), Limits::default()).expect("an app");
    let org = offline::create_org(&app, "acme").expect("an organization").id;
    offline::create_user(&app, &org.to_string(), "a@example.org", Role::User, "Ada", "").expect("a user");
    let (secret, token) = offline::create_token(&app, "a@example.org", Ttl::Never).expect("a token");
    let caller = session::authenticate(&app, Credential::Token(secret.expose_secret()), Origin::default());
    (folder, app, caller.expect("a caller"), token.id.to_string())
}

/// The actions of the last two entries.
fn last_two(app: &App) -> Vec<String> {
    let orgs = app.identify(|tx| Ok(store::audit::chains(tx)?)).expect("chains");
    let org = orgs.into_iter().flatten().next_back().expect("an organization");
    let entries = app.identify(|tx| Ok(store::audit::page(tx, org, 0, 100)?)).expect("entries");
    entries.into_iter().rev().take(2).map(|entry| entry.action).collect()
}

#[test]
fn a_search_is_recorded_once_when_it_ends() {
    let (_folder, app, caller, _) = site();
    let mut slices = 0;
    let found = app.search(&caller, &Rule::SeesEvents, |_, grant| {
        slices += 1;
        let listed = Event::EventsListed { org: grant.org, count: 0 };
        Ok((slices == 3).then_some((slices, listed)))
    });
    assert_eq!(found.wait().expect("found"), 3);
    assert_eq!(last_two(&app), ["event.list", "token.create"]);
}

#[test]
fn a_search_ends_with_the_right_to_it() {
    let (_folder, app, caller, token) = site();
    let mut slices = 0;
    let found = app.search(&caller, &Rule::SeesEvents, |_, _| {
        slices += 1;
        offline::revoke_token(&app, &token).expect("revoked while a slice is looked at");
        Ok(None::<((), Event)>)
    });
    assert_eq!(found.wait().expect_err("refused").kind, Kind::Unauthenticated);
    assert_eq!((slices, last_two(&app)), (1, vec!["token.revoke".to_owned(), "token.create".to_owned()]));
}
