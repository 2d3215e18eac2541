//! Operations on system events: the changes in the audit log, as people see them.

use std::sync::Arc;

use poem_openapi::param::Query;
use poem_openapi::{Object, OpenApi};
use serde::{Deserialize, Serialize};

use super::Group;
use super::http::auth::{Auth, AuthOrKey};
use super::http::body::{Body, OptionalBody};
use super::http::bridge::act;
use super::http::error::{ApiError, status};
use super::http::json::Json;
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
    /// Limits concurrent listings, so that long searches do not occupy all database readers.
    scan_limit: ScanLimit,
}

/// Filters for system events. A filter that is left out matches every event.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
#[serde(rename_all = "camelCase")]
struct SystemEventQuery {
    /// Earliest time, inclusive: RFC 3339 with an offset. An empty string is treated as left out. If both timestamps
    /// are left out, the last 24 hours are returned.
    #[oai(rename = "from_timestamp")]
    #[serde(rename = "from_timestamp")]
    #[oai(validator(max_length = 64))]
    from_timestamp: Option<String>,
    /// Latest time, inclusive: RFC 3339 with an offset. An empty string is treated as left out.
    #[oai(rename = "to_timestamp")]
    #[serde(rename = "to_timestamp")]
    #[oai(validator(max_length = 64))]
    to_timestamp: Option<String>,
    /// Id of the resource that the event is about. An empty string matches every event.
    #[oai(validator(max_length = 300, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    context_id: Option<String>,
    /// Kind of resource: 0 workspace (a project), 1 bucket, 2 repo, 3 user, 4 org, 5 workspaceuser, 6 apikey, 7
    /// usersettings, 8 orgsettings, 9 flashbacknode, 10 orgkey, 11 aillm, 12 aillmapikey, 13 conversation.
    #[oai(validator(minimum(value = "0"), maximum(value = "13")))]
    context: Option<i64>,
    /// Kind of change: 0 created, 1 updated, 2 deleted.
    #[oai(validator(minimum(value = "0"), maximum(value = "2")))]
    event: Option<i64>,
    /// Id of the actor. An empty string matches every event.
    #[oai(validator(max_length = 300, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    user_id: Option<String>,
    /// Id of the project that the event belongs to.
    #[oai(validator(max_length = 300, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    workspace_id: Option<String>,
    /// Whether to return only events that the caller has not marked as read.
    show_unread: Option<bool>,
    /// Number of events to skip: 0 to 10,000. Default 0.
    #[oai(validator(maximum(value = "10000")))]
    skip: Option<u32>,
    /// Maximum number of events to return: 1 to 100. Default 20.
    #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
    take: Option<u32>,
}

/// A recorded change.
#[derive(Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(super) struct SystemEvent {
    /// Number of the event. Later events have higher numbers.
    pub(super) id: i64,
    /// Time of the change.
    timestamp: Timestamp,
    /// Id of the resource that the event is about.
    context_id: String,
    /// Kind of resource, as a word: `workspace`, `user`, `org`, `apikey`, `flashbacknode`, `orgkey` and so on.
    context: String,
    /// Kind of change: `created`, `updated` or `deleted`.
    pub(super) event: String,
    /// Id of the organization.
    org_id: String,
    /// Id of the actor: a user, a node or an API key. `system` for the command line.
    user_id: String,
    /// Name of the actor: the name of a user or API key, the address of a node, or `orgkeys` for the command line.
    user_name: String,
    /// Email address of the actor if it is a user, otherwise an empty string.
    user_email: String,
    /// Id of the project that the event belongs to.
    #[oai(nullable)]
    workspace_id: Option<String>,
    /// Details as a JSON object in a string. Null if there are none.
    #[oai(nullable)]
    json_data: Option<String>,
    /// Whether the event is unread: the caller has not marked it as read.
    show_unread: bool,
}

/// A page of events.
#[derive(Object, Serialize)]
struct SystemEventPage {
    /// The events, newest first.
    events: Vec<SystemEvent>,
    /// Number of matching events. It is exact up to 10,100, which is as far as `skip` and `take` reach; if more events
    /// match, it is 10,100. Narrow the time range for an exact number.
    total: i64,
    /// Number of events skipped.
    skip: u32,
    /// Maximum number of events requested.
    take: u32,
}

/// The events to mark: up to 1,000 ids.
#[derive(Default, Object, Deserialize)]
#[oai(skip_serializing_if_is_none)]
pub struct SystemEventIds {
    /// Id of one event.
    #[oai(validator(minimum(value = "1")))]
    id: Option<i64>,
    /// Ids of up to 1,000 events.
    #[oai(validator(max_items = 1000, minimum(value = "1")))]
    ids: Option<Vec<i64>>,
}

/// Confirmation that the events were marked.
#[derive(Object, Serialize)]
struct Marked {
    /// Always true.
    success: bool,
}

type EventFail = ApiError<{ status::BAD_REQUEST | status::FORBIDDEN | status::BAD_BODY }>;

#[OpenApi(tag = "Group::Events")]
impl EventApi {
    /// List system events
    ///
    /// Returns what was created, updated and deleted in the caller's organization, newest first. ADMINISTRATOR and
    /// OWNER see every event; other roles see only their own actions. Also allowed for API keys that are not restricted
    /// to projects. Recorded in the audit log as `event.list`, which is not itself a system event.
    ///
    /// Responses:
    /// - 200: A page of events, and the number of matching events.
    /// - 400: A filter is invalid, or `skip` or `take` is out of range.
    /// - 403: The API key is restricted to projects (`API_KEY_NOT_ALLOWED`).
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
    /// Each user has their own marks: other users still see the events as unread. Events of other organizations are
    /// skipped, and marking an event twice has no effect. Send the ids in the body, in the query parameter, or in both.
    /// A call with many ids counts as several calls for the rate limit. Recorded in the audit log as `event.mark`.
    ///
    /// Responses:
    /// - 200: The events are marked as read.
    /// - 400: The request has no id or more than 1,000, or one of them is not a positive number.
    /// - 403: The credential is an API key, which has no read marks (`API_KEY_NOT_ALLOWED`).
    #[oai(path = "/systemevent/read", method = "post", operation_id = "markSystemEventsRead")]
    async fn mark(
        &self,
        auth: Auth,
        /// Event ids, separated by commas. For clients behind proxies that drop the body.
        #[oai(validator(max_length = 12_000, pattern = r"^[0-9, ]*$"))]
        ids: Query<Option<String>>,
        body: OptionalBody<SystemEventIds>,
    ) -> Result<Json<Marked>, EventFail> {
        self.marked(auth.0, ids.0, body.0, true).await
    }

    /// Mark system events as unread
    ///
    /// Removes the marks that `markSystemEventsRead` set. The same rules apply. Recorded in the audit log as
    /// `event.mark`.
    ///
    /// Responses:
    /// - 200: The events are marked as unread.
    /// - 400: The request has no id or more than 1,000, or one of them is not a positive number.
    /// - 403: The credential is an API key, which has no read marks (`API_KEY_NOT_ALLOWED`).
    #[oai(path = "/systemevent/read", method = "delete", operation_id = "markSystemEventsUnread")]
    async fn unmark(
        &self,
        auth: Auth,
        /// Event ids, separated by commas. For clients behind proxies that drop the body.
        #[oai(validator(max_length = 12_000, pattern = r"^[0-9, ]*$"))]
        ids: Query<Option<String>>,
        body: OptionalBody<SystemEventIds>,
    ) -> Result<Json<Marked>, EventFail> {
        self.marked(auth.0, ids.0, body.0, false).await
    }
}

impl EventApi {
    /// Creates the operations on an app.
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
        event::mark(&self.app, &caller, ids, read).await?;
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
            return Err(invalid("skip must be 0 to 10000: to reach older events, narrow the time range"));
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

/// Parses an id to filter by. An empty one matches everything.
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

/// Returns the ids of a request, from its query and its body: 1 to 1,000.
pub fn parse_ids(query: Option<&str>, body: SystemEventIds) -> Result<Vec<i64>, Error> {
    let mut ids = body.ids.unwrap_or_default();
    ids.extend(body.id);
    for id in query.into_iter().flat_map(|ids| ids.split(',')).filter(|id| !id.trim().is_empty()) {
        ids.push(id.trim().parse().map_err(|_| invalid("ids must be numbers separated by commas"))?);
    }
    match ids.len() {
        _ if ids.iter().any(|id| *id < 1) => Err(invalid("ids must be numbers of at least 1")),
        1..=1_000 => Ok(ids),
        0 => Err(invalid("id or ids must name at least one event")),
        _ => Err(invalid("ids must name at most 1000 events")),
    }
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::Invalid, "INVALID_FIELD", message)
}

/// Returns an event in the form that clients see.
pub(super) fn shown(shown: Shown) -> SystemEvent {
    let (at, show_unread) = (shown.at, shown.unread);
    // Webhook deliveries use the same words.
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
