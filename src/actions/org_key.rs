//! Creates, lists and deletes organization keys. A private key is returned once and never stored.

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

/// The niceness of the thread that generates a key, so that it does not slow down verification.
const PATIENT: i32 = 19;

/// Checks that the caller may create a key and that the quota has room, before the caller waits for their turn.
pub fn check_room(app: &App, caller: &Caller, org: Option<OrgId>) -> Result<(), Error> {
    let quota = app.limits.org_keys;
    app.consult(caller, &Rule::ManagesKeys(org), |tx, grant| {
        if store::org_key::count(tx, grant.org)? < quota { Ok(()) } else { Err(quota_reached(quota)) }
    })
}

/// Creates a key pair, for one caller at a time. The quota is checked again before the work, and enforced by
/// [`store::org_key::insert`].
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

/// Returns the keys of an organization, newest first, and the nodes associated with them.
pub fn list(app: &App, caller: &Caller, org: Option<OrgId>) -> Pending<(Vec<OrgKey>, Vec<KeyNode>)> {
    app.read(caller, &Rule::SeesKeys(org), |tx, grant| {
        let keys = store::org_key::list(tx, grant.org)?;
        let nodes = store::org_key::nodes(tx, grant.org)?;
        let event = Event::OrgKeysListed { org: grant.org, count: keys.len() };
        Ok(((keys, nodes), event))
    })
}

/// Deletes a key. Its nodes must register again with another key.
pub fn delete(app: &App, caller: &Caller, org: Option<OrgId>, key: Option<OrgKeyId>) -> Pending<()> {
    app.revoke(caller, Rule::ManagesKeys(org), move |tx, grant| {
        let key = key.ok_or_else(no_such_key)?;
        let nodes = store::org_key::delete(tx, grant.org, key)?.ok_or_else(no_such_key)?;
        Ok(((), Event::OrgKeyDeleted { key, nodes }))
    })
}

/// Deletes every key of an organization. Returns their number.
pub fn delete_all(app: &App, caller: &Caller, org: Option<OrgId>) -> Pending<usize> {
    app.revoke(caller, Rule::ManagesKeys(org), |tx, grant| {
        let keys = store::org_key::delete_all(tx, grant.org)?;
        Ok((keys.len(), Event::OrgKeysDeleted { org: grant.org, keys }))
    })
}

/// Generates a key pair on a new thread, which lowers its own priority.
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
