//! How is the audit log followed? As it is listed, from an entry on; whether the caller still may is decided at every page.

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

/// Somebody who follows the audit log.
#[derive(Clone, Debug)]
pub struct Follower {
    caller: Caller,
    org: Option<OrgId>,
    filter: EventFilter,
    /// What it was when they began; with another one they would be shown more or less from there on.
    role: Role,
}

/// A piece of the log, for a follower.
#[derive(Debug)]
pub struct StreamPage {
    /// What fits of it.
    pub slice: LogSlice,
    /// When the follower's credential ends by itself.
    pub ends: Option<Time>,
}

/// Begins to follow the log of an organization, after the entry `after` or with what is recorded from now on. Gives the
/// follower, and the entry to go on from.
pub fn open(
    app: &App,
    caller: &Caller,
    org: Option<OrgId>,
    filter: EventFilter,
    after: Option<i64>,
) -> Pending<(Follower, i64)> {
    app.begin(caller, &Rule::StreamsEvents(org), |tx, grant| {
        if after.is_some_and(|after| after < 0) || after > Some(store::audit::last_id(tx)?) {
            let message = "Last-Event-ID, or after, is not the id of an event of this server: leave it out, or send the last one you have seen";
            return Err(Error::new(ErrorKind::Invalid, "INVALID_FIELD", message));
        }
        if let Some(after) = after.filter(|after| *after > 0)
            && store::trim_point::find(tx, grant.org.into())?.is_some()
            && store::stream::first_id(tx, grant.org)? > Some(after)
        {
            let message = "Last-Event-ID, or after, is older than what is kept of the audit log: leave it out, or send 0 for all that is kept";
            return Err(Error::new(ErrorKind::Invalid, "INVALID_FIELD", message));
        }
        let follower = Follower { caller: caller.clone(), org, filter, role: grant.role };
        Ok((follower, Event::EventsStreamed { org: grant.org, after }))
    })
}

/// What follows the entry `after`, if the follower still may: as their role was when they began.
pub fn page(app: &App, follower: &Follower, after: i64) -> Result<StreamPage, Error> {
    app.consult(&follower.caller, &Rule::StreamsEvents(follower.org), |tx, grant| {
        if grant.role != follower.role {
            let message = "Your role has changed: begin again to be shown what it lets you see";
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
