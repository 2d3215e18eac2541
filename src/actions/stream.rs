//! Follows the audit log from an entry on, with the same visibility as a list. The caller's right is checked again for
//! every page.

use super::event::{name_actor, permitted};
use crate::domain::event::{Event, EventFilter};
use crate::domain::id::OrgId;
use crate::domain::role::Role;
use crate::domain::time::Time;
use crate::engine::app::App;
use crate::engine::caller::Caller;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::pending::Pending;
use crate::engine::rule::Rule;
use crate::store;
use crate::store::stream::{LogSlice, StreamQuery};

/// A caller who follows the audit log.
#[derive(Clone, Debug)]
pub struct Follower {
    caller: Caller,
    org: Option<OrgId>,
    filter: EventFilter,
    /// The caller's role when the stream began. A change of role ends the stream, because other events would become
    /// visible.
    role: Role,
}

/// A page of the stream.
#[derive(Debug)]
pub struct StreamPage {
    /// The matching events, and how far the log was read.
    pub slice: LogSlice,
    /// When the follower's credential expires.
    pub ends: Option<Time>,
}

/// Begins to follow the log of an organization, after the entry `after`, or from now on if it is `None`. Returns the
/// follower and the entry to continue after.
pub fn open(
    app: &App,
    caller: &Caller,
    org: Option<OrgId>,
    filter: EventFilter,
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
        let follower = Follower { caller: caller.clone(), org, filter, role: grant.role };
        Ok((follower, Event::EventsStreamed { org: grant.org, after }))
    })
}

/// Returns the page after the entry `after`. Fails if the follower has lost the right or their role has changed.
pub fn page(app: &App, follower: &Follower, after: i64) -> Result<StreamPage, Error> {
    app.consult(&follower.caller, &Rule::StreamsEvents(follower.org), |tx, grant| {
        if grant.role != follower.role {
            let message = "Your role has changed: reconnect to receive the events that your new role may see";
            return Err(Error::new(ErrorKind::Conflict, "ROLE_CHANGED", message));
        }
        let mut slice = match permitted(grant, follower.filter.clone())? {
            Some(filter) => {
                store::stream::page(tx, &StreamQuery { org: grant.org, filter, reader: grant.user }, after)?
            }
            None => store::stream::blank(tx, grant.org, after)?,
        };
        for event in &mut slice.events {
            name_actor(tx, event)?;
        }
        Ok(StreamPage { slice, ends: grant.ends })
    })
}
