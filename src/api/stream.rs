//! How is the audit log followed over HTTP? As Server-Sent Events that go on until one side ends them.

mod live;
mod message;
mod places;
mod search;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use poem::http::HeaderMap;
use poem::{Body, IntoResponse, Response};
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Payload;
use poem_openapi::registry::{MetaSchemaRef, Registry};
use poem_openapi::{ApiResponse, OpenApi, types};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::live::Live;
use self::message::Message;
use self::places::Places;
use self::search::Searches;
use super::auth::AuthOrKey;
use super::error::{Fail, may};
use super::event::{id, number};
use super::looks::Looks;
use super::metrics::Metrics;
use super::{Group, act, blocking};
use crate::actions::app::App;
use crate::actions::error::{Error, Kind};
use crate::actions::stream::{self, Wanted};
use crate::domain::event::{Change, Context};
use crate::domain::id::OrgId;

const LAST_EVENT_ID: &str = "last-event-id";

/// How streams are kept.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// How long a stream may say nothing before it says that it is still there.
    pub comment: Duration,
    /// How long a reader may take nothing while events wait for it.
    pub patience: Duration,
}

/// The operation on live streams.
pub struct StreamApi {
    app: Arc<App>,
    hub: Arc<Hub>,
}

/// What all streams share.
struct Hub {
    /// Changes with every new entry of the audit log. It only says that there is something to read.
    bell: watch::Receiver<i64>,
    looks: Looks,
    searches: Searches,
    places: Arc<Places>,
    manner: Manner,
    stop: CancellationToken,
}

/// Server-Sent Events.
struct Lines(Body);

impl Payload for Lines {
    const CONTENT_TYPE: &'static str = "text/event-stream";

    fn schema_ref() -> MetaSchemaRef {
        <Message as types::Type>::schema_ref()
    }

    fn register(registry: &mut Registry) {
        <Message as types::Type>::register(registry);
    }
}

impl IntoResponse for Lines {
    fn into_response(self) -> Response {
        Response::builder().content_type(Self::CONTENT_TYPE).body(self.0)
    }
}

#[derive(ApiResponse)]
enum StreamResponse {
    /// Messages until one side ends it; the schema is that of one of them, read field by field.
    #[oai(status = 200)]
    Opened(
        Lines,
        /// Never to be kept on the way.
        #[oai(header = "Cache-Control")]
        String,
        /// Never to be held back by a proxy.
        #[oai(header = "X-Accel-Buffering")]
        String,
    ),
}

type StreamFail = Fail<{ may::BE_INVALID | may::BE_REFUSED }>;

#[OpenApi(tag = "Group::Events")]
impl StreamApi {
    /// Follow system events
    ///
    /// What is created, updated and deleted in an organization, as it happens: Server-Sent Events, each normally within a
    /// second of its commit, in the order of the audit log, none left out. ADMINISTRATOR and OWNER see everything, others
    /// what they did themselves; the filters are those of `listSystemEvents`.
    ///
    /// Swagger UI cannot show a stream, which has no end: use `curl -N`, or a library for `EventSource`.
    ///
    /// Each message has as `id` the event's number, as `event` `created`, `updated` or `deleted`, and as `data` one line of
    /// JSON: the event as `listSystemEvents` shows it. Whoever sends the last `id` they have seen as `Last-Event-ID` (or
    /// `after`) goes on from there without a gap; without it, it begins with what is recorded from now on, and the
    /// first message has no data but an `id` from which to go on. When nothing else did for 15 s, a comment comes, with such an
    /// `id` too: so a stream that shows little goes on from what was looked at, not from what was shown.
    ///
    /// A message with the `event` `end` is the last: its `data` has a `reason`, a `message`, and `resumeFrom`, the `id` to go
    /// on from. The reasons are `stopped` (the server stops), `slow` (for 15 s too little was taken in while events waited),
    /// `credential` (it ended or was revoked), `role` (it has changed, or the right was taken away) and `server` (a fault,
    /// or it is too busy). A reader that takes in nothing for 30 s is cut off without it. At most 20 streams are open for
    /// one credential, 200 for an organization, and 1000 in all.
    #[oai(path = "/organization/:orgId/events/stream", method = "get", operation_id = "streamEvents")]
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of the request")]
    async fn stream(
        &self,
        auth: AuthOrKey,
        headers: &HeaderMap,
        /// The organization's id.
        #[oai(name = "orgId")]
        org: Path<String>,
        /// What it is about: 0 workspace, 1 bucket, 2 repo, 3 user, 4 org, 5 workspaceuser, 6 apikey, 7 usersettings, 8 orgsettings, 9 flashbacknode, 10 orgkey, 11 aillm, 12 aillmapikey, 13 conversation.
        #[oai(validator(minimum(value = "0"), maximum(value = "13")))]
        context: Query<Option<i64>>,
        /// What happened: 0 created, 1 updated, 2 deleted.
        #[oai(validator(minimum(value = "0"), maximum(value = "2")))]
        event: Query<Option<i64>>,
        /// The id of what the event is about.
        #[oai(name = "contextId", validator(max_length = 300, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
        context_id: Query<Option<String>>,
        /// The id of who did it.
        #[oai(name = "userId", validator(max_length = 300, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
        user_id: Query<Option<String>>,
        /// The id of the project it happened in.
        #[oai(name = "workspaceId", validator(max_length = 300, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
        workspace_id: Query<Option<String>>,
        /// The `id` of the last message that was seen, for clients that cannot send the header.
        #[oai(name = "after", validator(max_length = 19, pattern = r"^[0-9]*$"))]
        last_event_id: Query<Option<String>>,
        /// The `id` of the last message that was seen; wins over `after`.
        #[oai(name = "Last-Event-ID", validator(max_length = 19, pattern = r"^[0-9]*$"))]
        _last_event_id_header: Header<Option<String>>,
    ) -> Result<StreamResponse, StreamFail> {
        let wanted = Wanted {
            user_id: id("userId", user_id.0)?,
            context: number("context", context.0, Context::WORDS.len())?,
            context_id: id("contextId", context_id.0)?,
            project: id("workspaceId", workspace_id.0)?,
            change: number("event", event.0, Change::WORDS.len())?,
        };
        let after = last_seen(headers, last_event_id.0.as_deref())?;
        let place = self.hub.places.take(&auth.0)?;
        let org = OrgId::parse(&org);
        let (follower, opened) = act(&self.app, move |app| stream::open(app, &auth.0, org, wanted, after)).await?;
        let live = Live::new(Arc::clone(&self.app), Arc::clone(&self.hub), place, follower, after.unwrap_or(opened));
        let body = Body::from_bytes_stream(live.pieces());
        Ok(StreamResponse::Opened(Lines(body), "no-store".to_owned(), "no".to_owned()))
    }
}

impl StreamApi {
    /// The operation, over an app.
    #[must_use]
    pub fn new(app: Arc<App>, metrics: Arc<Metrics>, looks: Looks, manner: Manner, stop: CancellationToken) -> Self {
        let (ring, bell) = watch::channel(0);
        app.hear(move |last| {
            ring.send_replace(last);
        });
        let places = Arc::new(Places::new(metrics));
        Self { app, hub: Arc::new(Hub { bell, looks, searches: Searches::new(), places, manner, stop }) }
    }
}

/// The last event that was seen, by the header, else by the parameter; an empty one is none.
fn last_seen(headers: &HeaderMap, parameter: Option<&str>) -> Result<Option<i64>, Error> {
    let wrong =
        || Error::new(Kind::Invalid, "INVALID_FIELD", "Last-Event-ID, or after, must be the id of one event, a number");
    let mut given = headers.get_all(LAST_EVENT_ID).iter();
    let header = given.next().map(|value| value.to_str().map_err(|_| wrong())).transpose()?;
    if given.next().is_some() {
        return Err(wrong());
    }
    let Some(text) = header.filter(|text| !text.is_empty()).or(parameter).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    text.parse().map(Some).map_err(|_| wrong())
}
