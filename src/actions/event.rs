//! Lists events of the audit log: changes in the caller's organization, as far as the caller's role permits, with read
//! marks.

use std::time::Duration;

use crate::crypto::chain;
use crate::domain::event::{Change, Context, Event, EventFilter, EventView, Published};
use crate::domain::id::UserId;
use crate::domain::role::Role;
use crate::domain::time::Time;
use crate::engine::access::Grant;
use crate::engine::app::App;
use crate::engine::authenticate;
use crate::engine::caller::Caller;
use crate::engine::error::Error;
use crate::engine::pending::Pending;
use crate::engine::rule::Rule;
use crate::store::audit::{Chained, Shown};
use crate::store::event::{ListQuery, Search};
use crate::store::{self, ReadTx};

/// The default time range, without timestamps in the query.
const DAY: Duration = Duration::from_hours(24);

/// A query for events; without a `from` or `to` there is no bound.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the fields are those of the request")]
pub struct EventQuery {
    pub from: Option<Time>,
    pub to: Option<Time>,
    pub filter: EventFilter,
    pub unread_only: bool,
    pub skip: u32,
    pub take: u32,
}

/// Returns the matching events, newest first, and the total number of matches, as far as they are counted
/// ([`REACH`](store::event::REACH)). Below ADMINISTRATOR, only the caller's own events match.
pub fn list(app: &App, caller: &Caller, query: &EventQuery) -> Pending<(Vec<Shown>, u32)> {
    let mut begun: Option<(Role, Search)> = None;
    app.search(caller, &Rule::SeesEvents, |tx, grant| {
        let (role, mut search) = match begun.take() {
            // After a change of role, a different set of events would match.
            Some(begun) if begun.0 == grant.role => begun,
            _ => match list_query(grant, query.clone())? {
                Some(query) => (grant.role, Search::new(query)),
                None => return Ok(Some(listed(grant, Vec::new(), 0))),
            },
        };
        if !search.slice(tx)? {
            begun = Some((role, search));
            return Ok(None);
        }
        let (mut events, total) = search.end();
        for event in &mut events {
            name_actor(tx, event)?;
        }
        Ok(Some(listed(grant, events, total)))
    })
}

fn listed(grant: &Grant, events: Vec<Shown>, total: u32) -> ((Vec<Shown>, u32), Event) {
    let recorded = Event::EventsListed { org: grant.org, count: events.len() };
    ((events, total), recorded)
}

/// Marks events as read or unread for the caller. Events of other organizations are skipped.
pub fn mark(app: &App, caller: &Caller, ids: Vec<i64>, read: bool) -> Pending<()> {
    authenticate::charge(app, caller, ids.len());
    app.record(caller, Rule::MarksEvents, move |tx, grant| {
        let user = grant.user.ok_or_else(|| Error::internal("a reader without a user"))?;
        let count = store::audit::mark(tx, grant.org, user, &ids, read)?;
        Ok(((), Event::EventsMarked { user, read, count }))
    })
}

/// Limits a filter to what the holder of `grant` may see: below ADMINISTRATOR, their own events. `None` if they asked for
/// another actor's.
pub(super) fn permitted(grant: &Grant, filter: EventFilter) -> Result<Option<EventFilter>, Error> {
    if grant.role >= Role::Administrator {
        return Ok(Some(filter));
    }
    let own = grant.user.map(|user| user.to_string()).or_else(|| grant.api_key.map(|key| key.to_string()));
    let own = own.ok_or_else(|| Error::internal("a reader without a user or an API key"))?;
    Ok(match &filter.actor_id {
        Some(other) if *other != own => None,
        _ => Some(EventFilter { actor_id: Some(own), ..filter }),
    })
}

/// Returns the store's query; `None` if a caller who may see only their own events asks for another actor's.
fn list_query(grant: &Grant, query: EventQuery) -> Result<Option<ListQuery>, Error> {
    let unbounded = query.from.is_none() && query.to.is_none();
    let earliest = if unbounded { grant.at.minus(DAY) } else { Time::from_millis(0) };
    Ok(permitted(grant, query.filter)?.map(|filter| ListQuery {
        org: grant.org,
        from: query.from.unwrap_or(earliest),
        to: query.to.unwrap_or(grant.at),
        filter,
        unread_only: query.unread_only,
        reader: grant.user,
        skip: query.skip,
        take: query.take,
    }))
}

/// Converts an event to the form that clients see.
#[must_use]
pub fn system_event(shown: Shown) -> EventView {
    let word = |words: &[&'static str], number: u8| words.get(usize::from(number)).copied().unwrap_or_default();
    EventView {
        id: shown.id,
        timestamp: shown.at.to_string(),
        context_id: shown.context_id,
        context: word(&Context::WORDS, shown.context),
        event: word(&Change::WORDS, shown.change),
        org_id: shown.org.to_string(),
        user_id: shown.actor_id,
        user_name: shown.actor_name,
        user_email: shown.actor_email,
        workspace_id: shown.project,
        json_data: shown.detail,
    }
}

/// Returns the event with this id as it is sent to webhooks; `None` if it is not visible to clients.
pub(super) fn published(tx: &ReadTx<'_>, id: i64) -> Result<Option<Published>, Error> {
    let Some(Chained { mut shown, action, seq, previous_hash, hash }) = store::audit::chained(tx, id)? else {
        return Ok(None);
    };
    name_actor(tx, &mut shown)?;
    let (previous_hash, hash) = (chain::hex(&previous_hash), chain::hex(&hash));
    Ok(Some(Published { event: system_event(shown), action, seq, previous_hash, hash }))
}

/// Adds the user's name and email address to an event of theirs.
pub(super) fn name_actor(tx: &ReadTx<'_>, event: &mut Shown) -> Result<(), Error> {
    if let Some(id) = UserId::parse(&event.actor_id)
        && let Some(user) = store::user::find(tx, id)?
    {
        event.actor_name = user.full_name();
        event.actor_email = user.email;
    }
    Ok(())
}
