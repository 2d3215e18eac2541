//! What may be done with nodes? They register and unregister themselves by signature; members see them; administrators delete and activate them.

use super::access::Rule;
use super::app::App;
use super::caller::{Caller, Origin};
use super::error::{Error, Kind};
use super::signed_call::{self, SignedCall};
use crate::domain::event::Event;
use crate::domain::id::{NodeId, OrgId};
use crate::domain::node::{Node, Profile, Services};
use crate::store::{self, ReadTx};

/// Which of the nodes are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Nodes with any of these services; none of them = all nodes.
    pub services: Services,
    /// How many to pass over.
    pub skip: u32,
    /// How many to give.
    pub take: u32,
}

/// Puts a node into the registry, or refreshes it, with the key that verified.
pub fn register(app: &App, origin: &Origin, call: &SignedCall, profile: Profile) -> Result<Node, Error> {
    signed_call::admit(app, origin, call, |known| {
        let org = known.org;
        let signed = signed_call::verify(app, origin, known, call)?;
        let (outside, signature, signed_at) = (app.outside.clone(), call.signature, call.at.time);
        app.record(&signed.caller, Rule::SpeaksAsNode, move |tx, grant| {
            let key = grant.key.ok_or_else(|| Error::internal("a node without a key"))?;
            if !store::replay::spend(tx, &signature, signed_at, grant.at)? {
                return Err(signed_call::replayed());
            }
            let known = store::node::find_by_ip(tx, org, &profile.ip)?;
            if let Some(deleted_at) = known.as_ref().and_then(|node| node.deleted_at) {
                return Err(signed_call::node_deleted(deleted_at));
            }
            let new = known.is_none();
            let id = known.map_or_else(|| outside.id(), |node| node.id);
            let node = Node { id, org, profile, key: Some(key), last_contact: grant.at, deleted_at: None };
            if new {
                store::node::insert(tx, &node)?;
            } else {
                store::node::refresh(tx, id, &node.profile, key, grant.at)?;
            }
            Ok((node, Event::NodeRegistered { node: id, key, new, message: signed.form.name() }))
        })
    })
}

/// Takes a node out of the registry at its own word.
pub fn unregister(app: &App, origin: &Origin, call: &SignedCall) -> Result<(), Error> {
    signed_call::admit(app, origin, call, |known| {
        let org = known.org;
        let signed = signed_call::verify(app, origin, known, call)?;
        let (ip, signature, signed_at) = (call.ip.clone(), call.signature, call.at.time);
        app.revoke(&signed.caller, Rule::SpeaksAsNode, move |tx, grant| {
            let key = grant.key.ok_or_else(|| Error::internal("a node without a key"))?;
            if !store::replay::spend(tx, &signature, signed_at, grant.at)? {
                return Err(signed_call::replayed());
            }
            let node = node_at(tx, org, &ip)?;
            if let Some(deleted_at) = node.deleted_at {
                return Err(signed_call::node_deleted(deleted_at));
            }
            store::node::remove(tx, node.id)?;
            Ok(((), Event::NodeUnregistered { node: node.id, key, message: signed.form.name() }))
        })
    })
}

/// The nodes of an organization, newest first, and how many there are.
pub fn list(app: &App, caller: &Caller, org: Option<OrgId>, page: Page) -> Result<(Vec<Node>, i64), Error> {
    list_as(app, caller, &Rule::SeesNodes(org), page)
}

/// The nodes of the caller's own organization that offer any of the services.
pub fn find(app: &App, caller: &Caller, page: Page) -> Result<(Vec<Node>, i64), Error> {
    list_as(app, caller, &Rule::FindsNodes, page)
}

/// Deletes a node, named by id or address, until it is activated.
pub fn delete(app: &App, caller: &Caller, org: Option<OrgId>, node: String) -> Result<(), Error> {
    app.revoke(caller, Rule::ManagesNodes(org), move |tx, grant| {
        let node = node_named(tx, grant.org, &node)?.id;
        if !store::node::delete(tx, node, grant.at)? {
            return Err(Error::new(Kind::Invalid, "NODE_ALREADY_DELETED", "Node is already deleted"));
        }
        Ok(((), Event::NodeDeleted { node }))
    })
}

/// Undoes the deletion of a node, named by id or address; it is beside a key again when it next registers.
pub fn activate(app: &App, caller: &Caller, org: Option<OrgId>, node: String) -> Result<(), Error> {
    app.record(caller, Rule::ManagesNodes(org), move |tx, grant| {
        let node = node_named(tx, grant.org, &node)?.id;
        if !store::node::activate(tx, node)? {
            return Err(Error::new(Kind::Invalid, "NODE_NOT_DELETED", "Node is not deleted"));
        }
        Ok(((), Event::NodeActivated { node }))
    })
}

fn list_as(app: &App, caller: &Caller, rule: &Rule, page: Page) -> Result<(Vec<Node>, i64), Error> {
    app.read(caller, rule, |tx, grant| {
        let found = store::node::list(tx, grant.org, page.services, page.skip, page.take)?;
        let event = Event::NodesListed { org: grant.org, count: found.0.len() };
        Ok((found, event))
    })
}

fn node_named(tx: &ReadTx<'_>, org: OrgId, name: &str) -> Result<Node, Error> {
    match NodeId::parse(name) {
        Some(id) => store::node::find(tx, org, id)?.ok_or_else(no_such_node),
        None => node_at(tx, org, name),
    }
}

fn node_at(tx: &ReadTx<'_>, org: OrgId, ip: &str) -> Result<Node, Error> {
    store::node::find_by_ip(tx, org, ip)?.ok_or_else(no_such_node)
}

fn no_such_node() -> Error {
    Error::new(Kind::Missing, "NODE_NOT_FOUND", "Node not found")
}
