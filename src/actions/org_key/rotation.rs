//! Replaces organization keys: a successor takes over, and the old key ends at a time, or when its last node has left it.

use std::time::Duration;

use super::{
    KeyNow, accepted, created, existing, generate, give_way, quota_reached, refuse_known, retiring_room, room,
};
use crate::crypto::rsa::KeyPair;
use crate::domain::event::Event;
use crate::domain::id::{OrgId, OrgKeyId};
use crate::domain::org_key::{KeyNode, KeyState, OrgKey, Retirement, check_end};
use crate::domain::time::Time;
use crate::engine::access::Grant;
use crate::engine::app::App;
use crate::engine::caller::Caller;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::limits::Limits;
use crate::engine::pending::Pending;
use crate::engine::rule::Rule;
use crate::store::{self, ReadTx, WriteTx};

/// How a key is replaced.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// The key.
    pub key: Option<OrgKeyId>,
    /// How long it still verifies.
    pub overlap: Duration,
    /// Whether it ends as soon as its last node has registered with another key.
    pub retire_unused: bool,
    /// The successor's public key in PEM, if its key pair was generated elsewhere.
    pub pem: Option<String>,
    /// The successor's name; `None` means the same name.
    pub name: Option<String>,
}

/// A key that was replaced.
pub struct Rotated {
    /// The successor.
    pub key: OrgKey,
    /// Its key pair, if the server generated it.
    pub pair: Option<KeyPair>,
    /// The key that was replaced.
    pub predecessor: OrgKeyId,
    /// When the predecessor ends.
    pub retire_at: Time,
}

/// The new properties of a key; `None` leaves a property unchanged.
#[derive(Clone, Debug)]
pub struct OrgKeyPatch {
    /// The key.
    pub key: Option<OrgKeyId>,
    /// When it ends; `Some(None)` means that it does not end by itself.
    pub end: Option<Option<Time>>,
    /// Whether it ends as soon as its last node has registered with another key.
    pub retire_unused: Option<bool>,
    /// Its name.
    pub name: Option<String>,
}

/// Checks that the caller may rotate the key now, before the caller waits for their turn.
pub fn check(app: &App, caller: &Caller, org: Option<OrgId>, rotation: &Rotation) -> Result<(), Error> {
    app.consult(caller, &Rule::ManagesKeys(org), |tx, grant| {
        let key = existing(tx, grant.org, rotation.key)?;
        can_rotate(tx, grant, &key, rotation.overlap, app.limits.org_keys)
    })
}

/// Replaces a key. Unless the successor's public key is given, its key pair is generated, for one caller at a time.
pub fn rotate(app: &App, caller: &Caller, org: Option<OrgId>, rotation: Rotation) -> Result<Rotated, Error> {
    check(app, caller, org, &rotation)?;
    let (public_key, pair) = if let Some(pem) = &rotation.pem {
        (accepted(pem)?, None)
    } else {
        let pair = generate(&app.env)?;
        (pair.public_der.clone(), Some(pair))
    };
    let (env, limits) = (app.env.clone(), app.limits.clone());
    let rotated = app.record(caller, Rule::ManagesKeys(org), move |tx, grant| {
        let old = existing(tx, grant.org, rotation.key)?;
        can_rotate(tx, grant, &old, rotation.overlap, limits.org_keys)?;
        if rotation.pem.is_some() {
            refuse_known(tx, grant, &public_key, &limits)?;
        }
        let overlapped = grant.at.plus(rotation.overlap);
        let retire_at = old.retire_at.map_or(overlapped, |end| end.min(overlapped));
        let nodes = store::org_key::count_nodes(tx, old.id)?;
        let name = rotation.name.unwrap_or_else(|| old.name.clone());
        let brought = rotation.pem.is_some();
        let key = OrgKey { name, brought, ..OrgKey::new(env.id(), grant.org, public_key, grant.at) };
        store::org_key::set_end(tx, old.id, Some(retire_at), grant.at)?;
        store::org_key::set_retire_unused(tx, old.id, rotation.retire_unused)?;
        // The successor takes the place of an active key. One that already had an end has left its place.
        let quota = if old.retire_at.is_none() { u32::MAX } else { limits.org_keys };
        if !store::org_key::insert(tx, &key, quota)? {
            return Err(quota_reached(limits.org_keys));
        }
        store::org_key::set_successor(tx, old.id, key.id)?;
        give_way(tx, grant.org, &limits, grant.at)?;
        let mut events =
            vec![Event::OrgKeyRotated { key: old.id, successor: key.id, retire_at, nodes }, created(&key)?];
        if retire_at <= grant.at {
            events.push(Event::OrgKeyRetired { key: old.id, why: Retirement::Administrator, nodes });
        }
        Ok(((key, old.id, retire_at), events))
    });
    let (key, predecessor, retire_at) = rotated.wait()?;
    Ok(Rotated { key, pair, predecessor, retire_at })
}

/// Changes when a key ends, and its name. Returns it with the nodes that are associated with it.
pub fn update(app: &App, caller: &Caller, org: Option<OrgId>, patch: OrgKeyPatch) -> Pending<(KeyNow, Vec<KeyNode>)> {
    let limits = app.limits.clone();
    app.record(caller, Rule::ManagesKeys(org), move |tx, grant| {
        let old = existing(tx, grant.org, patch.key)?;
        if let Some(end) = patch.end {
            set_end(tx, grant, &old, end, limits.org_keys)?;
        }
        if let Some(retire_unused) = patch.retire_unused {
            store::org_key::set_retire_unused(tx, old.id, retire_unused)?;
        }
        if let Some(name) = &patch.name {
            store::org_key::set_name(tx, old.id, name)?;
        }
        let (key, nodes) = (existing(tx, grant.org, patch.key)?, store::org_key::nodes_of(tx, old.id)?);
        let mut events = vec![Event::OrgKeyUpdated {
            key: key.id,
            retire_at: key.retire_at,
            retire_unused: key.retire_unused,
            renamed: key.name != old.name,
        }];
        let state = key.state(grant.at);
        if state == KeyState::Retired && old.state(grant.at) != KeyState::Retired {
            let nodes = i64::try_from(nodes.len()).unwrap_or(i64::MAX);
            events.push(Event::OrgKeyRetired { key: key.id, why: Retirement::Administrator, nodes });
        }
        give_way(tx, grant.org, &limits, grant.at)?;
        let last_used = nodes.iter().map(|node| node.last_contact).max();
        Ok(((KeyNow { key, state, last_used }, nodes), events))
    })
}

/// Ends a key that a node has just left, if it was the last one and the key is to end then. Returns the events of the
/// server.
pub(in crate::actions) fn left(
    tx: &WriteTx<'_>,
    grant: &Grant,
    key: Option<OrgKeyId>,
    limits: &Limits,
) -> Result<Vec<Event>, Error> {
    let Some(key) = key else { return Ok(Vec::new()) };
    if !store::org_key::retire_if_unused(tx, key, grant.at)? {
        return Ok(Vec::new());
    }
    give_way(tx, grant.org, limits, grant.at)?;
    Ok(vec![Event::OrgKeyUnused { key }, Event::OrgKeyRetired { key, why: Retirement::Unused, nodes: 0 }])
}

fn can_rotate(tx: &ReadTx<'_>, grant: &Grant, key: &OrgKey, overlap: Duration, most: u32) -> Result<(), Error> {
    let conflict = |code, message: String| Err(Error::new(ErrorKind::Conflict, code, message));
    let state = key.state(grant.at);
    if !state.verifies() {
        return conflict("KEY_RETIRED", "The organization key is retired: create another key".to_owned());
    }
    if let Some(successor) = key.successor
        && let Some(successor) = store::org_key::find(tx, grant.org, successor)?
        && successor.deleted_at.is_none()
    {
        let message = format!("The organization key already has a successor, {}: rotate that key", successor.id);
        return conflict("KEY_ALREADY_ROTATED", message);
    }
    if state == KeyState::Retiring {
        return room(tx, grant.org, most);
    }
    if overlap.is_zero() { Ok(()) } else { retiring_room(tx, grant, most) }
}

fn set_end(tx: &WriteTx<'_>, grant: &Grant, old: &OrgKey, end: Option<Time>, most: u32) -> Result<(), Error> {
    let state = old.state(grant.at);
    let end = end.map(|end| check_end(end, grant.at)).transpose()?;
    match end {
        None if state != KeyState::Active => room(tx, grant.org, most)?,
        Some(end) if end > grant.at && state != KeyState::Retiring => retiring_room(tx, grant, most)?,
        // A key that has ended has already ended.
        Some(end) if end <= grant.at && state == KeyState::Retired => return Ok(()),
        None | Some(_) => {}
    }
    Ok(store::org_key::set_end(tx, old.id, end, grant.at)?)
}
