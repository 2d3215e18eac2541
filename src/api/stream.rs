//! How is the audit log followed over HTTP? As Server-Sent Events that go on until one side ends them.

mod event_stream;
mod message;
mod search;
mod stream_quota;
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

use self::event_stream::EventStream;
use self::message::Message;
use self::search::Searches;
use self::stream_quota::StreamQuota;
use super::Group;
use super::event::FilterFields;
use super::http::auth::AuthOrKey;
use super::http::bridge::act;
use super::http::error::{ApiError, status};
use super::http::metrics::Metrics;
use super::http::scan_limit::ScanLimit;
use crate::actions::stream;
use crate::domain::id::OrgId;
use crate::engine::app::App;
use crate::engine::error::{Error, ErrorKind};

const LAST_EVENT_ID: &str = "last-event-id";

/// How streams are kept.
#[derive(Clone, Copy, Debug)]
pub struct StreamSettings {
    /// How long a stream may say nothing before it says that it is still there.
    pub comment: Duration,
    /// How long a reader may take nothing while events wait for it.
    pub patience: Duration,
}

/// The operation on live streams.
pub struct StreamApi {
    app: Arc<App>,
    shared: Arc<Shared>,
}

/// What all streams share.
struct Shared {
    /// Changes with every new entry of the audit log. It only says that there is something to read.
    last_id: watch::Receiver<i64>,
    scan_limit: ScanLimit,
    searches: Searches,
    stream_quota: Arc<StreamQuota>,
    settings: StreamSettings,
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

type StreamFail = ApiError<{ status::BAD_REQUEST | status::FORBIDDEN }>;

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
        let fields = FilterFields {
            user_id: user_id.0,
            context: context.0,
            context_id: context_id.0,
            workspace_id: workspace_id.0,
            event: event.0,
        };
        let filter = fields.parse()?;
        let after = last_seen(headers, last_event_id.0.as_deref())?;
        let slot = self.shared.stream_quota.take(&auth.0)?;
        let org = OrgId::parse(&org);
        let (follower, opened) = act(&self.app, move |app| stream::open(app, &auth.0, org, filter, after)).await?;
        let live =
            EventStream::new(Arc::clone(&self.app), Arc::clone(&self.shared), slot, follower, after.unwrap_or(opened));
        let body = Body::from_bytes_stream(live.pieces());
        Ok(StreamResponse::Opened(Lines(body), "no-store".to_owned(), "no".to_owned()))
    }
}

impl StreamApi {
    /// The operation, over an app.
    #[must_use]
    pub fn new(
        app: Arc<App>,
        metrics: Arc<Metrics>,
        scan_limit: ScanLimit,
        settings: StreamSettings,
        stop: CancellationToken,
    ) -> Self {
        let (sender, last_id) = watch::channel(0);
        app.subscribe(move |last| {
            sender.send_replace(last);
        });
        let stream_quota = Arc::new(StreamQuota::new(metrics));
        Self {
            app,
            shared: Arc::new(Shared { last_id, scan_limit, searches: Searches::new(), stream_quota, settings, stop }),
        }
    }
}

/// The last event that was seen, by the header, else by the parameter; an empty one is none.
fn last_seen(headers: &HeaderMap, parameter: Option<&str>) -> Result<Option<i64>, Error> {
    let wrong = || {
        Error::new(
            ErrorKind::Invalid,
            "INVALID_FIELD",
            "Last-Event-ID, or after, must be the id of one event, a number",
        )
    };
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
