//! How is the audit log asked for over HTTP?

use std::sync::Arc;

use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;

use super::Group;
use super::http::auth::{Auth, AuthOrKey};
use super::http::body::{Body, OptionalBody};
use super::http::bridge::act;
use super::http::error::{ApiError, status};
use super::http::scan_limit::ScanLimit;
use super::http::timestamp::Timestamp;
use crate::actions::event::{self, EventQuery};
use crate::domain::event::{Change, Context, EventFilter};
use crate::domain::text;
use crate::domain::time::Time;
use crate::engine::app::App;
use crate::engine::caller::Caller;
use crate::engine::error::{Error, ErrorKind};
use crate::store::audit::Shown;

/// The operations on system events.
pub struct EventApi {
    app: Arc<App>,
    /// Held while events are listed: a long look back must not keep the readers from everybody else.
    scan_limit: ScanLimit,
}

/// Which events are asked for; everything left out is any.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
#[serde(rename_all = "camelCase")]
struct SystemEventQuery {
    /// From this moment on, RFC 3339 with an offset. An empty one is none. Without both timestamps, the last 24 hours.
    #[oai(rename = "from_timestamp")]
    #[serde(rename = "from_timestamp")]
    #[oai(validator(max_length = 64))]
    from_timestamp: Option<String>,
    /// Up to this moment, RFC 3339 with an offset. An empty one is none.
    #[oai(rename = "to_timestamp")]
    #[serde(rename = "to_timestamp")]
    #[oai(validator(max_length = 64))]
    to_timestamp: Option<String>,
    /// The id of what the event is about.
    #[oai(validator(max_length = 300, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    context_id: Option<String>,
    /// What it is about: 0 workspace, 1 bucket, 2 repo, 3 user, 4 org, 5 workspaceuser, 6 apikey, 7 usersettings, 8 orgsettings, 9 flashbacknode, 10 orgkey, 11 aillm, 12 aillmapikey, 13 conversation.
    #[oai(validator(minimum(value = "0"), maximum(value = "13")))]
    context: Option<i64>,
    /// What happened: 0 created, 1 updated, 2 deleted.
    #[oai(validator(minimum(value = "0"), maximum(value = "2")))]
    event: Option<i64>,
    /// The id of who did it.
    #[oai(validator(max_length = 300, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    user_id: Option<String>,
    /// The id of the project it happened in.
    #[oai(validator(max_length = 300, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    workspace_id: Option<String>,
    /// Only what the caller has not read.
    show_unread: Option<bool>,
    /// How many to pass over: 0 to 10000, 0 if left out.
    #[oai(validator(maximum(value = "10000")))]
    skip: Option<u32>,
    /// How many to give: 1 to 100, 20 if left out.
    #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
    take: Option<u32>,
}

/// Something that was done.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(super) struct SystemEvent {
    /// The event's number.
    pub(super) id: i64,
    /// When it was done.
    timestamp: Timestamp,
    /// The id of what it is about.
    context_id: String,
    /// What it is about, in a word.
    context: String,
    /// created, updated or deleted.
    pub(super) event: String,
    /// The organization's id.
    org_id: String,
    /// Who did it: a user's id, a node's id, or `system`.
    user_id: String,
    /// Their name: a person's, a node's address, or `orgkeys`.
    user_name: String,
    /// Their email address, if they are a person.
    user_email: String,
    /// The id of the project it happened in.
    #[oai(nullable)]
    workspace_id: Option<String>,
    /// More, as JSON in a string.
    #[oai(nullable)]
    json_data: Option<String>,
    /// Whether the caller has not read it.
    show_unread: bool,
}

/// A page of events.
#[derive(Object)]
struct SystemEventPage {
    /// The events, newest first.
    events: Vec<SystemEvent>,
    /// How many fit in all, as far as `skip` and `take` reach: exact up to 10100, and 10100 where more fit. Narrow the time to count more.
    total: i64,
    /// How many were passed over.
    skip: u32,
    /// How many were asked for.
    take: u32,
}

/// Which events to mark: one id, or up to 1000.
#[derive(Default, Object, Deserialize)]
#[oai(skip_serializing_if_is_none)]
struct SystemEventIds {
    /// One event.
    #[oai(validator(minimum(value = "1")))]
    id: Option<i64>,
    /// Several events.
    #[oai(validator(max_items = 1000, minimum(value = "1")))]
    ids: Option<Vec<i64>>,
}

/// It was done.
#[derive(Object)]
struct Marked {
    /// Always true.
    success: bool,
}

type EventFail = ApiError<{ status::BAD_REQUEST | status::FORBIDDEN | status::BAD_BODY }>;

#[OpenApi(tag = "Group::Events")]
impl EventApi {
    /// List system events
    ///
    /// What was created, updated and deleted in the caller's organization, newest first. ADMINISTRATOR and OWNER see
    /// everything, others what they did themselves.
    #[oai(path = "/systemevent", method = "post", operation_id = "listSystemEvents")]
    async fn list(&self, auth: AuthOrKey, body: Body<SystemEventQuery>) -> Result<Json<SystemEventPage>, EventFail> {
        let query = body.0.parse()?;
        let (skip, take) = (query.skip, query.take);
        let permit = self.scan_limit.begin(auth.0.org()).await?;
        let (events, total) = act(&self.app, move |app| {
            let found = event::list(app, &auth.0, &query);
            drop(permit);
            found
        })
        .await?;
        let events = events.into_iter().map(shown).collect();
        Ok(Json(SystemEventPage { events, total: total.into(), skip, take }))
    }

    /// Mark system events as read
    ///
    /// For the caller alone. Events of other organizations are passed over; marking twice changes nothing.
    #[oai(path = "/systemevent/read", method = "post", operation_id = "markSystemEventsRead")]
    async fn mark(
        &self,
        auth: Auth,
        /// The ids, separated by commas, for proxies that drop a body.
        #[oai(validator(max_length = 12_000, pattern = r"^[0-9, ]*$"))]
        ids: Query<Option<String>>,
        body: OptionalBody<SystemEventIds>,
    ) -> Result<Json<Marked>, EventFail> {
        self.marked(auth.0, ids.0, body.0, true).await
    }

    /// Mark system events as not read
    ///
    /// For the caller alone, as for marking them read.
    #[oai(path = "/systemevent/read", method = "delete", operation_id = "markSystemEventsUnread")]
    async fn unmark(
        &self,
        auth: Auth,
        /// The ids, separated by commas, for proxies that drop a body.
        #[oai(validator(max_length = 12_000, pattern = r"^[0-9, ]*$"))]
        ids: Query<Option<String>>,
        body: OptionalBody<SystemEventIds>,
    ) -> Result<Json<Marked>, EventFail> {
        self.marked(auth.0, ids.0, body.0, false).await
    }
}

impl EventApi {
    /// The operations, over an app.
    #[must_use]
    pub fn new(app: Arc<App>, scan_limit: ScanLimit) -> Self {
        Self { app, scan_limit }
    }

    async fn marked(
        &self,
        caller: Caller,
        query: Option<String>,
        body: Option<SystemEventIds>,
        read: bool,
    ) -> Result<Json<Marked>, EventFail> {
        let ids = parse_ids(query.as_deref(), body.unwrap_or_default())?;
        act(&self.app, move |app| event::mark(app, &caller, ids, read)).await?;
        Ok(Json(Marked { success: true }))
    }
}

/// What a request has of a filter, in its own words.
pub(super) struct FilterFields {
    pub(super) user_id: Option<String>,
    pub(super) context: Option<i64>,
    pub(super) context_id: Option<String>,
    pub(super) workspace_id: Option<String>,
    pub(super) event: Option<i64>,
}

impl FilterFields {
    pub(super) fn parse(self) -> Result<EventFilter, Error> {
        Ok(EventFilter {
            actor_id: id("userId", self.user_id)?,
            context: number("context", self.context, Context::WORDS.len())?,
            context_id: id("contextId", self.context_id)?,
            project: id("workspaceId", self.workspace_id)?,
            change: number("event", self.event, Change::WORDS.len())?,
        })
    }
}

impl SystemEventQuery {
    fn parse(self) -> Result<EventQuery, Error> {
        let take = self.take.unwrap_or(20);
        if !(1..=100).contains(&take) {
            return Err(invalid("take must be 1 to 100"));
        }
        let skip = self.skip.unwrap_or(0);
        if skip > 10_000 {
            return Err(invalid("skip must be 0 to 10000: narrow the time instead"));
        }
        Ok(EventQuery {
            from: time("from_timestamp", self.from_timestamp.as_deref())?,
            to: time("to_timestamp", self.to_timestamp.as_deref())?,
            filter: FilterFields {
                user_id: self.user_id,
                context: self.context,
                context_id: self.context_id,
                workspace_id: self.workspace_id,
                event: self.event,
            }
            .parse()?,
            unread_only: self.show_unread.unwrap_or(false),
            skip,
            take,
        })
    }
}

/// The id that is asked for; an empty one is any.
fn id(field: &'static str, value: Option<String>) -> Result<Option<String>, Error> {
    let parsed = value.filter(|id| !id.is_empty()).map(|id| text::parse(field, &id, 1..=300));
    Ok(parsed.transpose()?)
}

fn time(field: &'static str, value: Option<&str>) -> Result<Option<Time>, Error> {
    let read = |value| {
        Time::parse_rfc3339(value)
            .ok_or_else(|| invalid(&format!("{field} must be RFC 3339 with an offset, such as 2024-01-15T10:30:00Z")))
    };
    value.filter(|value| !value.is_empty()).map(read).transpose()
}

/// The number that is asked for, one of so many.
fn number(field: &'static str, value: Option<i64>, count: usize) -> Result<Option<u8>, Error> {
    let read = |value: i64| {
        let number = u8::try_from(value).ok().filter(|number| usize::from(*number) < count);
        number.ok_or_else(|| invalid(&format!("{field} must be 0 to {}", count - 1)))
    };
    value.map(read).transpose()
}

fn parse_ids(query: Option<&str>, body: SystemEventIds) -> Result<Vec<i64>, Error> {
    let mut ids = body.ids.unwrap_or_default();
    ids.extend(body.id);
    for id in query.into_iter().flat_map(|ids| ids.split(',')).filter(|id| !id.trim().is_empty()) {
        ids.push(id.trim().parse().map_err(|_| invalid("ids must be numbers separated by commas"))?);
    }
    match ids.len() {
        _ if ids.iter().any(|id| *id < 1) => Err(invalid("ids must be numbers from 1")),
        1..=1_000 => Ok(ids),
        0 => Err(invalid("id or ids must name at least one event")),
        _ => Err(invalid("ids must name at most 1000 events")),
    }
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::Invalid, "INVALID_FIELD", message)
}

/// An event as clients are shown it.
pub(super) fn shown(shown: Shown) -> SystemEvent {
    let (at, show_unread) = (shown.at, shown.unread);
    // The words are those in which events are sent out, too.
    let event = event::system_event(shown);
    SystemEvent {
        id: event.id,
        timestamp: Timestamp(at),
        context_id: event.context_id,
        context: event.context.to_owned(),
        event: event.event.to_owned(),
        org_id: event.org_id,
        user_id: event.user_id,
        user_name: event.user_name,
        user_email: event.user_email,
        workspace_id: event.workspace_id,
        json_data: event.json_data,
        show_unread,
    }
}
