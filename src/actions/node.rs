//! What may be done with nodes? They register and unregister themselves by signature; members see them; administrators delete and activate them.

pub mod silence;

use super::access::{Grant, Rule};
use super::app::App;
use super::caller::{Caller, Origin};
use super::error::{Error, Kind};
use super::outside::Outside;
use super::pending::Pending;
use super::signed_call::{self, Once, Signed, SignedCall};
use crate::domain::event::Event;
use crate::domain::id::{NodeId, OrgId};
use crate::domain::node::{Node, Profile, Services};
use crate::store::{self, ReadTx, WriteTx};

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
pub fn register(app: &App, origin: &Origin, call: &SignedCall, profile: Profile) -> Pending<Node> {
    signed_call::admit(app, origin, call, |known| {
        let Signed { caller, once, new } = signed_call::verify(app, origin, known, call)?;
        if new {
            once.look_for_room(app)?;
        }
        let (outside, most) = (app.outside.clone(), app.limits.nodes);
        Ok(app.record(&caller, Rule::SpeaksAsNode, move |tx, grant| put(tx, grant, &once, profile, (&outside, most))))
    })
}

/// Takes a node out of the registry at its own word.
pub fn unregister(app: &App, origin: &Origin, call: &SignedCall) -> Pending<()> {
    signed_call::admit(app, origin, call, |known| {
        let Signed { caller, once, .. } = signed_call::verify(app, origin, known, call)?;
        let ip = call.ip.clone();
        Ok(app.revoke(&caller, Rule::SpeaksAsNode, move |tx, grant| take_out(tx, grant, &once, &ip)))
    })
}

fn put(
    tx: &WriteTx<'_>,
    grant: &Grant,
    once: &Once,
    profile: Profile,
    (outside, most): (&Outside, u32),
) -> Result<(Node, Event), Error> {
    let (org, key) = (grant.org, once.spend(tx)?);
    let known = store::node::find_by_ip(tx, org, &profile.ip)?;
    refuse_deleted(known.as_ref())?;
    let new = known.is_none();
    let id = known.map_or_else(|| outside.id(), |node| node.id);
    let node = Node { id, org, profile, key: Some(key), last_contact: grant.at, deleted_at: None };
    if !new {
        store::node::refresh(tx, id, &node.profile, key, grant.at)?;
    } else if !store::node::insert(tx, &node, most)? {
        return Err(signed_call::no_room(tx, org, most)?);
    }
    once.accept()?;
    Ok((node, Event::NodeRegistered { node: id, key, new, message: once.form.name() }))
}

fn take_out(tx: &WriteTx<'_>, grant: &Grant, once: &Once, ip: &str) -> Result<((), Event), Error> {
    let key = once.spend(tx)?;
    let node = node_at(tx, grant.org, ip)?;
    refuse_deleted(Some(&node))?;
    store::node::remove(tx, node.id)?;
    once.accept()?;
    Ok(((), Event::NodeUnregistered { node: node.id, key, message: once.form.name() }))
}

fn refuse_deleted(node: Option<&Node>) -> Result<(), Error> {
    node.and_then(|node| node.deleted_at).map_or(Ok(()), |when| Err(signed_call::node_deleted(when)))
}

/// The nodes of an organization, newest first, and how many there are.
pub fn list(app: &App, caller: &Caller, org: Option<OrgId>, page: Page) -> Pending<(Vec<Node>, i64)> {
    list_as(app, caller, &Rule::SeesNodes(org), page)
}

/// The nodes of the caller's own organization that offer any of the services.
pub fn find(app: &App, caller: &Caller, page: Page) -> Pending<(Vec<Node>, i64)> {
    list_as(app, caller, &Rule::FindsNodes, page)
}

/// Deletes a node, named by id or address, until it is activated.
pub fn delete(app: &App, caller: &Caller, org: Option<OrgId>, node: String) -> Pending<()> {
    app.revoke(caller, Rule::ManagesNodes(org), move |tx, grant| {
        let node = node_named(tx, grant.org, &node)?.id;
        if !store::node::delete(tx, node, grant.at)? {
            return Err(Error::new(Kind::Invalid, "NODE_ALREADY_DELETED", "Node is already deleted"));
        }
        Ok(((), Event::NodeDeleted { node }))
    })
}

/// Undoes the deletion of a node, named by id or address; it is beside a key again when it next registers.
pub fn activate(app: &App, caller: &Caller, org: Option<OrgId>, node: String) -> Pending<()> {
    app.record(caller, Rule::ManagesNodes(org), move |tx, grant| {
        let node = node_named(tx, grant.org, &node)?.id;
        if !store::node::activate(tx, node)? {
            return Err(Error::new(Kind::Invalid, "NODE_NOT_DELETED", "Node is not deleted"));
        }
        Ok(((), Event::NodeActivated { node }))
    })
}

fn list_as(app: &App, caller: &Caller, rule: &Rule, page: Page) -> Pending<(Vec<Node>, i64)> {
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
