//! What may be done with organization keys? Made, listed and deleted; the private half leaves once and is never kept.

use std::num::NonZero;
use std::thread;

use crate::crypto::rsa::{self, KeyError, KeyPair};
use crate::domain::event::Event;
use crate::domain::id::{OrgId, OrgKeyId};
use crate::domain::org_key::{KeyNode, OrgKey};
use crate::engine::app::App;
use crate::engine::caller::Caller;
use crate::engine::environment::Environment;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::pending::Pending;
use crate::engine::rule::Rule;
use crate::store;

/// The niceness of the thread that makes a key, so that verification keeps its speed meanwhile.
const PATIENT: i32 = 19;

/// Whether the caller may make a key and there is room for one; asked before waiting for one's turn.
pub fn check_room(app: &App, caller: &Caller, org: Option<OrgId>) -> Result<(), Error> {
    let quota = app.limits.org_keys;
    app.consult(caller, &Rule::ManagesKeys(org), |tx, grant| {
        if store::org_key::count(tx, grant.org)? < quota { Ok(()) } else { Err(quota_reached(quota)) }
    })
}

/// Makes a key pair, one caller at a time. The quota is read again before the work, and refereed by the insert.
pub fn create(app: &App, caller: &Caller, org: Option<OrgId>) -> Result<(OrgKey, KeyPair), Error> {
    check_room(app, caller, org)?;
    let pair = generate(&app.env)?;
    let quota = app.limits.org_keys;
    let (env, public_key) = (app.env.clone(), pair.public_der.as_slice().into());
    let key = app.record(caller, Rule::ManagesKeys(org), move |tx, grant| {
        let key = OrgKey { id: env.id(), org: grant.org, public_key, created_at: grant.at };
        if !store::org_key::insert(tx, &key, quota)? {
            return Err(quota_reached(quota));
        }
        let event = Event::OrgKeyCreated { key: key.id };
        Ok((key, event))
    });
    let key = key.wait()?;
    Ok((key, pair))
}

/// The keys of an organization, newest first, and the nodes beside them.
pub fn list(app: &App, caller: &Caller, org: Option<OrgId>) -> Pending<(Vec<OrgKey>, Vec<KeyNode>)> {
    app.read(caller, &Rule::SeesKeys(org), |tx, grant| {
        let keys = store::org_key::list(tx, grant.org)?;
        let nodes = store::org_key::nodes(tx, grant.org)?;
        let event = Event::OrgKeysListed { org: grant.org, count: keys.len() };
        Ok(((keys, nodes), event))
    })
}

/// Deletes a key; its nodes must register again with another one.
pub fn delete(app: &App, caller: &Caller, org: Option<OrgId>, key: Option<OrgKeyId>) -> Pending<()> {
    app.revoke(caller, Rule::ManagesKeys(org), move |tx, grant| {
        let key = key.ok_or_else(no_such_key)?;
        let nodes = store::org_key::delete(tx, grant.org, key)?.ok_or_else(no_such_key)?;
        Ok(((), Event::OrgKeyDeleted { key, nodes }))
    })
}

/// Deletes every key of an organization; gives how many there were.
pub fn delete_all(app: &App, caller: &Caller, org: Option<OrgId>) -> Pending<usize> {
    app.revoke(caller, Rule::ManagesKeys(org), |tx, grant| {
        let keys = store::org_key::delete_all(tx, grant.org)?;
        Ok((keys.len(), Event::OrgKeysDeleted { org: grant.org, keys }))
    })
}

/// Makes a pair on a thread of its own, which ends with the low priority that it gives itself.
fn generate(env: &Environment) -> Result<KeyPair, Error> {
    let made = thread::scope(|scope| {
        let work = move || -> Result<KeyPair, KeyError> {
            if let Some(this) = NonZero::new(rustix::thread::gettid().as_raw_nonzero().get()) {
                let _ = rustix::process::setpriority_process(rustix::process::Pid::from_raw(this.get()), PATIENT);
            }
            rsa::generate(|| env.rng())
        };
        thread::Builder::new()
            .name("generator".to_owned())
            .spawn_scoped(scope, work)
            .map(thread::ScopedJoinHandle::join)
    });
    made.map_err(Error::internal)?.map_err(|_| Error::internal("the key generator panicked"))?.map_err(Error::from)
}

fn quota_reached(quota: u32) -> Error {
    let message = format!(
        "Maximum number of organization keys ({quota}) has been reached. Please delete existing keys before creating new ones."
    );
    Error::new(ErrorKind::Invalid, "KEY_LIMIT_REACHED", message)
}

fn no_such_key() -> Error {
    let message = "Organization key not found or does not belong to this organization";
    Error::new(ErrorKind::Missing, "KEY_NOT_FOUND", message)
}
