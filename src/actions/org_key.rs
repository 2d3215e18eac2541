//! Creates, imports, lists and deletes organization keys, and undoes a deletion. A private key is returned once and never
//! stored.

pub mod ending;
pub mod rotation;

use std::num::NonZero;
use std::thread;

use crate::crypto::public_key;
use crate::crypto::rsa::{self, KeyError, KeyPair};
use crate::domain::event::Event;
use crate::domain::id::{OrgId, OrgKeyId};
use crate::domain::org_key::{Impact, KeyNode, KeyState, OrgKey};
use crate::domain::time::Time;
use crate::engine::access::{self, Grant};
use crate::engine::app::App;
use crate::engine::caller::Caller;
use crate::engine::environment::Environment;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::limits::Limits;
use crate::engine::pending::Pending;
use crate::engine::rule::Rule;
use crate::store::org_key::Deletion;
use crate::store::{self, ReadTx, WriteTx};

/// The niceness of the thread that generates a key, so that it does not slow down verification.
const PATIENT: i32 = 19;

/// How many addresses a preview of a deletion names.
const NAMED: u32 = 20;

/// The time within which a node counts as heard today.
const TODAY: std::time::Duration = std::time::Duration::from_hours(24);

/// A key, and what it is good for at the time of the call.
#[derive(Clone, Debug)]
pub struct KeyNow {
    /// The key.
    pub key: OrgKey,
    /// Its state.
    pub state: KeyState,
    /// When a node was heard from last that registered with it.
    pub last_used: Option<Time>,
}

/// A public key that was generated elsewhere.
#[derive(Clone, Debug)]
pub struct Import {
    /// The key, in PEM.
    pub pem: String,
    /// Its name; may be empty.
    pub name: String,
}

/// Checks that the caller may create a key and that the quota has room, before the caller waits for their turn.
pub fn check_room(app: &App, caller: &Caller, org: Option<OrgId>) -> Result<(), Error> {
    let quota = app.limits.org_keys;
    app.consult(caller, &Rule::ManagesKeys(org), |tx, grant| room(tx, grant.org, quota))
}

/// Creates a key pair, for one caller at a time. The quota is checked again before the work, and enforced by
/// [`store::org_key::insert`].
pub fn create(app: &App, caller: &Caller, org: Option<OrgId>) -> Result<(OrgKey, KeyPair), Error> {
    check_room(app, caller, org)?;
    let pair = generate(&app.env)?;
    let quota = app.limits.org_keys;
    let (env, public_key) = (app.env.clone(), pair.public_der.clone());
    let key = app.record(caller, Rule::ManagesKeys(org), move |tx, grant| {
        let key = OrgKey::new(env.id(), grant.org, public_key, grant.at);
        if !store::org_key::insert(tx, &key, quota)? {
            return Err(quota_reached(quota));
        }
        let event = created(&key)?;
        Ok((key, event))
    });
    let key = key.wait()?;
    Ok((key, pair))
}

/// Adds a public key whose private key the server never sees.
pub fn import(app: &App, caller: &Caller, org: Option<OrgId>, import: &Import) -> Result<KeyNow, Error> {
    // A caller without the right is not told anything about the key.
    app.consult(caller, &Rule::ManagesKeys(org), |_, _| Ok(()))?;
    let public_key = accepted(&import.pem)?;
    let (env, limits, name) = (app.env.clone(), app.limits.clone(), import.name.clone());
    let key = app.record(caller, Rule::ManagesKeys(org), move |tx, grant| {
        refuse_known(tx, grant, &public_key, &limits)?;
        let key = OrgKey { name, brought: true, ..OrgKey::new(env.id(), grant.org, public_key, grant.at) };
        if !store::org_key::insert(tx, &key, limits.org_keys)? {
            return Err(quota_reached(limits.org_keys));
        }
        let event = created(&key)?;
        Ok((KeyNow { key, state: KeyState::Active, last_used: None }, event))
    });
    key.wait()
}

/// Returns the keys of an organization, newest first, and the nodes associated with them. `all` adds those that are
/// retired or deleted.
pub fn list(app: &App, caller: &Caller, org: Option<OrgId>, all: bool) -> Pending<(Vec<KeyNow>, Vec<KeyNode>)> {
    app.read(caller, &Rule::SeesKeys(org), |tx, grant| {
        let nodes = store::org_key::nodes(tx, grant.org)?;
        let now = |key: OrgKey| {
            let used = nodes.iter().filter(|node| node.key == key.id).map(|node| node.last_contact);
            KeyNow { state: key.state(grant.at), last_used: used.max(), key }
        };
        let keys = store::org_key::list(tx, grant.org)?.into_iter().map(now);
        let keys: Vec<KeyNow> = keys.filter(|key| all || key.state.verifies()).collect();
        let event = Event::OrgKeysListed { org: grant.org, count: keys.len() };
        Ok(((keys, nodes), event))
    })
}

/// Returns what the deletion of a key, or of all keys, would do. `None` means all keys; a key that cannot be parsed is
/// `Some(None)`.
pub fn impact(app: &App, caller: &Caller, org: Option<OrgId>, key: Option<Option<OrgKeyId>>) -> Pending<Impact> {
    app.scan(caller, &Rule::SeesKeys(org), |tx, grant| {
        let key = key.map(|key| existing(tx, grant.org, key)).transpose()?.map(|key| key.id);
        let since = grant.at.minus(TODAY);
        let impact = store::org_key::impact(tx, grant.org, key, since, NAMED)?;
        Ok((impact.clone(), Event::OrgKeyImpactRead { org: grant.org, key, nodes: impact.nodes }))
    })
}

/// Deletes a key. Its nodes must register again with another key.
pub fn delete(app: &App, caller: &Caller, org: Option<OrgId>, key: Option<OrgKeyId>) -> Pending<()> {
    let limits = app.limits.clone();
    app.revoke(caller, Rule::ManagesKeys(org), move |tx, grant| {
        let key = existing(tx, grant.org, key)?.id;
        access::knows_password(grant)?;
        let (nodes, until) = forget(tx, grant, &[key], &limits)?;
        Ok(((), Event::OrgKeyDeleted { key, nodes, until }))
    })
}

/// Deletes every key of an organization. Returns their number.
pub fn delete_all(app: &App, caller: &Caller, org: Option<OrgId>) -> Pending<usize> {
    let limits = app.limits.clone();
    app.revoke(caller, Rule::ManagesKeys(org), move |tx, grant| {
        access::knows_password(grant)?;
        let keys: Vec<_> = store::org_key::candidates(tx, grant.org)?.into_iter().map(|(id, _)| id).collect();
        let (nodes, until) = forget(tx, grant, &keys, &limits)?;
        Ok((keys.len(), Event::OrgKeysDeleted { org: grant.org, keys, nodes, until }))
    })
}

/// Undoes the deletion of a key. Nodes are associated with it again when they next register with it.
pub fn restore(app: &App, caller: &Caller, org: Option<OrgId>, key: Option<OrgKeyId>) -> Pending<KeyNow> {
    let limits = app.limits.clone();
    app.record(caller, Rule::ManagesKeys(org), move |tx, grant| {
        let id = key.ok_or_else(no_such_key)?;
        let key = store::org_key::find(tx, grant.org, id)?.ok_or_else(no_such_key)?;
        let Some(deleted) = key.deleted_at else {
            return Err(Error::new(ErrorKind::Invalid, "KEY_NOT_DELETED", "The organization key is not deleted"));
        };
        if key.is_gone(limits.key_undo, grant.at) {
            let message = format!(
                "The organization key was deleted at {deleted}, which can no longer be undone: create or import another key"
            );
            return Err(Error::new(ErrorKind::Gone, "KEY_GONE", message));
        }
        let key = OrgKey { deleted_at: None, ..key };
        match key.state(grant.at) {
            KeyState::Active => room(tx, grant.org, limits.org_keys)?,
            KeyState::Retiring => retiring_room(tx, grant, limits.org_keys)?,
            KeyState::Retired | KeyState::Deleted => {}
        }
        store::org_key::restore(tx, id)?;
        give_way(tx, grant.org, &limits, grant.at)?;
        Ok((KeyNow { state: key.state(grant.at), last_used: None, key }, Event::OrgKeyRestored { key: id }))
    })
}

/// Deletes keys. Returns how many nodes lost theirs, and until when the deletion can be undone.
fn forget(tx: &WriteTx<'_>, grant: &Grant, keys: &[OrgKeyId], limits: &Limits) -> Result<(i64, Option<Time>), Error> {
    let undo = Some(limits.key_undo).filter(|undo| !undo.is_zero());
    let how = undo.map_or(Deletion::Final, |_| Deletion::Undoable(grant.at));
    let mut nodes = 0;
    for key in keys {
        nodes += store::org_key::count_nodes(tx, *key)?;
        store::org_key::delete(tx, *key, how)?;
    }
    give_way(tx, grant.org, limits, grant.at)?;
    Ok((nodes, undo.map(|undo| grant.at.plus(undo))))
}

/// Keeps few keys that are retired or deleted: as many retired ones as the quota allows active ones, and twice as many
/// deleted ones, so that the deletion of all active and retiring keys can be undone.
pub(super) fn give_way(tx: &WriteTx<'_>, org: OrgId, limits: &Limits, now: Time) -> Result<(), Error> {
    let most = limits.org_keys;
    Ok(store::org_key::give_way(tx, org, most, most.saturating_mul(2), now)?)
}

/// Returns the public key in a PEM text, if it is of the accepted form.
fn accepted(pem: &str) -> Result<Vec<u8>, Error> {
    public_key::read(pem)
        .map_err(|error| Error::new(ErrorKind::Invalid, "KEY_REFUSED", format!("The public key was refused: {error}")))
}

/// Refuses a public key that the organization has already. One whose deletion cannot be undone any more is removed.
fn refuse_known(tx: &WriteTx<'_>, grant: &Grant, public_key: &[u8], limits: &Limits) -> Result<(), Error> {
    let Some(known) = store::org_key::find_public(tx, grant.org, public_key)? else { return Ok(()) };
    if known.is_gone(limits.key_undo, grant.at) {
        return Ok(store::org_key::purge(tx, known.id)?);
    }
    let (id, remedy) = match known.state(grant.at) {
        KeyState::Deleted => (known.id, "It is deleted: restore it"),
        KeyState::Retired => (known.id, "It is retired: import another key"),
        KeyState::Active | KeyState::Retiring => (known.id, "It can be used as it is"),
    };
    let message = format!("The organization has this key already: {id}. {remedy}");
    Err(Error::new(ErrorKind::Conflict, "KEY_KNOWN", message))
}

/// Checks that the organization has fewer active keys than the quota allows.
fn room(tx: &ReadTx<'_>, org: OrgId, quota: u32) -> Result<(), Error> {
    if store::org_key::count_active(tx, org)? < quota { Ok(()) } else { Err(quota_reached(quota)) }
}

/// Checks that the organization has fewer retiring keys than the quota allows: each signature may be compared with all of
/// them.
fn retiring_room(tx: &ReadTx<'_>, grant: &Grant, most: u32) -> Result<(), Error> {
    if store::org_key::count_retiring(tx, grant.org, grant.at)? < most {
        return Ok(());
    }
    let message = format!(
        "Maximum number of retiring organization keys ({most}) has been reached: end or delete one of them first"
    );
    Err(Error::new(ErrorKind::Conflict, "TOO_MANY_RETIRING", message))
}

/// Returns the key with this id, if the organization has it and it is not deleted.
fn existing(tx: &ReadTx<'_>, org: OrgId, key: Option<OrgKeyId>) -> Result<OrgKey, Error> {
    let key = store::org_key::find(tx, org, key.ok_or_else(no_such_key)?)?;
    key.filter(|key| key.deleted_at.is_none()).ok_or_else(no_such_key)
}

fn created(key: &OrgKey) -> Result<Event, Error> {
    let bits = public_key::describe(&key.public_key)?.bits;
    Ok(Event::OrgKeyCreated { key: key.id, brought: key.brought, bits })
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

/// The error for a key that does not exist, or not in this organization.
pub(super) fn no_such_key() -> Error {
    let message = "Organization key not found or does not belong to this organization";
    Error::new(ErrorKind::Missing, "KEY_NOT_FOUND", message)
}
