//! Nodes: they register and unregister themselves with a signature; members list them; administrators delete and
//! activate them.

pub mod silence;

use super::org_key::{no_such_key, rotation};
use super::signed_call::{self, Purpose, SignedCall};
use crate::domain::event::Event;
use crate::domain::id::{NodeId, OrgId, OrgKeyId};
use crate::domain::node::{Node, NodeFilter, NodeProfile};
use crate::domain::statistics::Counted;
use crate::domain::time::Time;
use crate::engine::app::App;
use crate::engine::caller::{Caller, CallerId, Origin};
use crate::engine::error::{Error, ErrorKind};
use crate::engine::pending::Pending;
use crate::engine::rule::Rule;
use crate::store::{self, ReadTx};

/// A filter and page of nodes.
#[derive(Clone, Debug)]
pub struct NodePage {
    /// Which nodes.
    pub filter: NodeFilter,
    /// The number of nodes to skip.
    pub skip: u32,
    /// The maximum number of nodes to return.
    pub take: u32,
}

/// The nodes of a page, newest first, each with the time since when it is silent, and their total number.
pub type NodesFound = (Vec<(Node, Option<Time>)>, i64);

/// A node that has just registered.
#[derive(Clone, Debug)]
pub struct Registered {
    /// The node.
    pub node: Node,
    /// When the key that verified its signature ends, if it does.
    pub key_ends: Option<Time>,
}

/// Adds a node to the registry, or refreshes it, and associates it with the key that verified the signature.
pub fn register(app: &App, origin: &Origin, call: &SignedCall, profile: NodeProfile) -> Pending<Registered> {
    let (env, limits, caller) = (app.env.clone(), app.limits.clone(), origin.proven.clone());
    signed_call::run(app, origin, call, Purpose::Register, move |tx, grant, signature| {
        let (org, key) = (grant.org, signature.key);
        let known = store::node::find_by_ip(tx, org, &profile.ip)?;
        if let Some(node) = &known {
            caller.set(CallerId::Node(node.id), Some(grant.org));
        }
        refuse_deleted(known.as_ref())?;
        let new = known.is_none();
        let hour = grant.at.hour();
        if known.as_ref().is_none_or(|node| node.last_contact.hour() != hour) {
            store::hourly_count::add(tx, org, hour, Counted::NodeHeard, 1)?;
        }
        let before = known.as_ref().and_then(|node| node.key).filter(|before| *before != key);
        let id = known.map_or_else(|| env.id(), |node| node.id);
        let node = Node { id, org, profile, key: Some(key), last_contact: grant.at, deleted_at: None };
        if !new {
            store::node::refresh(tx, id, &node.profile, key, grant.at)?;
        } else if !store::node::insert(tx, &node, limits.nodes)? {
            return Err(signed_call::no_room(tx, org, limits.nodes)?);
        }
        caller.set(CallerId::Node(id), Some(org));
        let mut events = vec![Event::NodeRegistered { node: id, key, new, message: signature.form.name() }];
        events.extend(rotation::left(tx, grant, before, &limits)?);
        Ok((Registered { node, key_ends: signature.ends }, events))
    })
}

/// Removes a node from the registry, at its own request.
pub fn unregister(app: &App, origin: &Origin, call: &SignedCall) -> Pending<()> {
    let (ip, limits, caller) = (call.ip.clone(), app.limits.clone(), origin.proven.clone());
    signed_call::run(app, origin, call, Purpose::Unregister, move |tx, grant, signature| {
        let node = node_at(tx, grant.org, &ip)?;
        caller.set(CallerId::Node(node.id), Some(grant.org));
        refuse_deleted(Some(&node))?;
        store::node::remove(tx, node.id)?;
        let (key, message) = (signature.key, signature.form.name());
        let mut events = vec![Event::NodeUnregistered { node: node.id, key, message }];
        events.extend(rotation::left(tx, grant, node.key, &limits)?);
        Ok(((), events))
    })
}

/// Refuses a call of a node that an administrator deleted.
pub(super) fn refuse_deleted(node: Option<&Node>) -> Result<(), Error> {
    let Some(when) = node.and_then(|node| node.deleted_at) else { return Ok(()) };
    let advice = format!("An administrator deleted this node at {when}: ask an administrator to activate it");
    let error = Error::new(ErrorKind::Invalid, "NODE_DELETED", "The node was deleted by an administrator");
    Err(error.advising(advice))
}

/// Returns the nodes of an organization, newest first, and their total number.
pub fn list(app: &App, caller: &Caller, org: Option<OrgId>, page: &NodePage) -> Pending<NodesFound> {
    list_as(app, caller, &Rule::SeesNodes(org), page)
}

/// Returns the nodes of the caller's organization that offer any of the services.
pub fn find(app: &App, caller: &Caller, page: &NodePage) -> Pending<NodesFound> {
    list_as(app, caller, &Rule::FindsNodes, page)
}

/// Soft-deletes a node, named by id or address. It stays blocked until it is activated.
pub fn delete(app: &App, caller: &Caller, org: Option<OrgId>, node: String) -> Pending<()> {
    let limits = app.limits.clone();
    app.revoke(caller, Rule::ManagesNodes(org), move |tx, grant| {
        let Node { id: node, key, .. } = node_named(tx, grant.org, &node)?;
        if !store::node::delete(tx, node, grant.at)? {
            return Err(Error::new(ErrorKind::Invalid, "NODE_ALREADY_DELETED", "Node is already deleted"));
        }
        let mut events = vec![Event::NodeDeleted { node }];
        events.extend(rotation::left(tx, grant, key, &limits)?);
        Ok(((), events))
    })
}

/// Undoes the deletion of a node, named by id or address. It is associated with a key again when it next registers.
pub fn activate(app: &App, caller: &Caller, org: Option<OrgId>, node: String) -> Pending<()> {
    app.record(caller, Rule::ManagesNodes(org), move |tx, grant| {
        let node = node_named(tx, grant.org, &node)?.id;
        if !store::node::activate(tx, node)? {
            return Err(Error::new(ErrorKind::Invalid, "NODE_NOT_DELETED", "Node is not deleted"));
        }
        Ok(((), Event::NodeActivated { node }))
    })
}

/// Returns the nodes that are associated with a key of an organization, newest first, and their total number.
pub fn list_by_key(
    app: &App,
    caller: &Caller,
    org: Option<OrgId>,
    key: Option<OrgKeyId>,
    page: &NodePage,
) -> Pending<NodesFound> {
    app.scan(caller, &Rule::SeesNodes(org), |tx, grant| {
        // Otherwise a misspelled id would look like a key that no node uses any more.
        let key = key.ok_or_else(no_such_key)?;
        store::org_key::end(tx, grant.org, key)?.ok_or_else(no_such_key)?;
        let filter = NodeFilter { key: Some(key), ..page.filter.clone() };
        found(app, tx, grant.org, &NodePage { filter, ..*page })
    })
}

fn list_as(app: &App, caller: &Caller, rule: &Rule, page: &NodePage) -> Pending<NodesFound> {
    app.scan(caller, rule, |tx, grant| found(app, tx, grant.org, page))
}

fn found(app: &App, tx: &ReadTx<'_>, org: OrgId, page: &NodePage) -> Result<(NodesFound, Event), Error> {
    // The time by which silence is announced, so that a clock that leaps ahead does not show every node as silent.
    let (now, patience) = (app.env.safe_now(), app.limits.node_silent);
    let (nodes, total) = store::node::list(tx, org, &page.filter, now.minus(patience), (page.skip, page.take))?;
    let event = Event::NodesListed { org, count: nodes.len() };
    let with_silence = |node: Node| {
        let since = node.silent_since(patience, now);
        (node, since)
    };
    Ok(((nodes.into_iter().map(with_silence).collect(), total), event))
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
    Error::new(ErrorKind::Missing, "NODE_NOT_FOUND", "Node not found")
}
