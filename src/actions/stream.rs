//! Follows the audit log from an entry on, with the same visibility as a list. The caller's right is checked again for
//! every page.

use super::event::{Actors, actors, name_actor};
use crate::domain::event::Event;
use crate::domain::id::OrgId;
use crate::domain::role::Role;
use crate::domain::time::Time;
use crate::engine::access::Grant;
use crate::engine::app::App;
use crate::engine::caller::Caller;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::pending::Pending;
use crate::engine::rule::Rule;
use crate::store;
use crate::store::audit::Shown;
use crate::store::stream::StreamFilter;

/// A filter of events; `None` matches any.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the fields are those of the request")]
pub struct Wanted {
    pub user_id: Option<String>,
    pub context: Option<u8>,
    pub context_id: Option<String>,
    pub project: Option<String>,
    pub change: Option<u8>,
}

/// A caller who follows the audit log.
#[derive(Clone, Debug)]
pub struct Follower {
    caller: Caller,
    org: Option<OrgId>,
    wanted: Wanted,
    /// The caller's role when the stream began. A change of role ends the stream, because other events would become
    /// visible.
    role: Role,
}

/// A page of the stream.
#[derive(Debug)]
pub struct StreamPage {
    /// The matching events, oldest first.
    pub events: Vec<Shown>,
    /// The id of the last entry that was read.
    pub upto: i64,
    /// The id of the last entry of the organization among them.
    pub own: Option<i64>,
    /// Whether the page is full.
    pub full: bool,
    /// Whether the organization has more entries after it.
    pub more: bool,
    /// When the follower's credential expires.
    pub ends: Option<Time>,
}

/// Begins to follow the log of an organization, after the entry `after`, or from now on if it is `None`. Returns the
/// follower and the entry to continue after.
pub fn open(
    app: &App,
    caller: &Caller,
    org: Option<OrgId>,
    wanted: Wanted,
    after: Option<i64>,
) -> Pending<(Follower, i64)> {
    app.begin(caller, &Rule::StreamsEvents(org), |tx, grant| {
        if after.is_some_and(|after| after < 0) || after > Some(store::audit::last_id(tx)?) {
            let message = "Last-Event-ID, or after, is not the id of an event of this server: omit it, or send the id of the last event that you received";
            return Err(Error::new(ErrorKind::Invalid, "INVALID_FIELD", message));
        }
        if let Some(after) = after.filter(|after| *after > 0)
            && store::trim_point::find(tx, grant.org.into())?.is_some()
            && store::stream::first_id(tx, grant.org)? > Some(after)
        {
            let message = "Last-Event-ID, or after, is older than the oldest stored event: omit it, or send 0 for all stored events";
            return Err(Error::new(ErrorKind::Invalid, "INVALID_FIELD", message));
        }
        let follower = Follower { caller: caller.clone(), org, wanted, role: grant.role };
        Ok((follower, Event::EventsStreamed { org: grant.org, after }))
    })
}

/// Returns the page after the entry `after`. Fails if the follower has lost the right or their role has changed.
pub fn page(app: &App, follower: &Follower, after: i64) -> Result<StreamPage, Error> {
    app.consult(&follower.caller, &Rule::StreamsEvents(follower.org), |tx, grant| {
        if grant.role != follower.role {
            let message = "Your role has changed: reconnect to receive the events that it permits you to see";
            return Err(Error::new(ErrorKind::Conflict, "ROLE_CHANGED", message));
        }
        let page = match filter(grant, &follower.wanted)? {
            Some(filter) => store::stream::page(tx, &filter, after)?,
            None => store::stream::blank(tx, grant.org, after)?,
        };
        let store::stream::LogSlice { mut events, upto, own, full, more } = page;
        for event in &mut events {
            name_actor(tx, event)?;
        }
        Ok(StreamPage { events, upto, own, full, more, ends: grant.ends })
    })
}

fn filter(grant: &Grant, wanted: &Wanted) -> Result<Option<StreamFilter>, Error> {
    let wanted = wanted.clone();
    let actor_id = match actors(grant, wanted.user_id)? {
        Actors::Any => None,
        Actors::One(id) => Some(id),
        Actors::Nobody => return Ok(None),
    };
    Ok(Some(StreamFilter {
        org: grant.org,
        actor_id,
        context: wanted.context,
        context_id: wanted.context_id,
        project: wanted.project,
        change: wanted.change,
        reader: grant.user,
    }))
}
