//! The live stream of system events, as Server-Sent Events.

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

/// Timeouts of event streams.
#[derive(Clone, Copy, Debug)]
pub struct StreamSettings {
    /// Interval after which a comment is sent if nothing else was.
    pub comment: Duration,
    /// How long a reader may fail to read while events wait for it.
    pub patience: Duration,
}

/// The operation on event streams.
pub struct StreamApi {
    app: Arc<App>,
    shared: Arc<Shared>,
}

/// State that all streams share.
struct Shared {
    /// Changes with every new entry of the audit log. It only signals that there is something to read.
    last_id: watch::Receiver<i64>,
    scan_limit: ScanLimit,
    searches: Searches,
    stream_quota: Arc<StreamQuota>,
    settings: StreamSettings,
    stop: CancellationToken,
}

/// A body of Server-Sent Events.
struct ServerSentEvents(Body);

impl Payload for ServerSentEvents {
    const CONTENT_TYPE: &'static str = "text/event-stream";

    fn schema_ref() -> MetaSchemaRef {
        <Message as types::Type>::schema_ref()
    }

    fn register(registry: &mut Registry) {
        <Message as types::Type>::register(registry);
    }
}

impl IntoResponse for ServerSentEvents {
    fn into_response(self) -> Response {
        Response::builder().content_type(Self::CONTENT_TYPE).body(self.0)
    }
}

#[derive(ApiResponse)]
enum StreamResponse {
    /// Server-Sent Events.
    #[oai(status = 200)]
    Opened(
        ServerSentEvents,
        /// Always `no-store`.
        #[oai(header = "Cache-Control")]
        String,
        /// Always `no`: a proxy must not buffer the stream.
        #[oai(header = "X-Accel-Buffering")]
        String,
    ),
}

type StreamFail = ApiError<{ status::BAD_REQUEST | status::FORBIDDEN }>;

#[OpenApi(tag = "Group::Events")]
impl StreamApi {
    /// Stream system events
    ///
    /// Sends what is created, updated and deleted in an organization as Server-Sent Events, normally within a second of
    /// the commit, in the order of the audit log and without gaps. ADMINISTRATOR and OWNER see every event; other roles
    /// see only their own actions. Also allowed for API keys that are not restricted to projects. The filters are those
    /// of `listSystemEvents`. Swagger UI cannot show a stream: use `curl -N`, or an `EventSource` library. Recorded in
    /// the audit log as `event.stream`.
    ///
    /// **Messages.** `id` is the event's number, `event` is `created`, `updated` or `deleted`, and `data` is the event
    /// in one line of JSON, as `listSystemEvents` returns it.
    ///
    /// **Resuming.** Send the last `id` that you received as `Last-Event-ID`, or as `after`, to continue without a gap.
    /// Without either, the stream starts with the events that are recorded from now on. The first message has an `id`
    /// to resume from, but no data. After 15 s without a message, the server sends a comment, which also has an `id` to
    /// resume from. A stream whose filters rarely match therefore resumes where the search left off, not at the last
    /// match.
    ///
    /// **End.** In the last message, `event` is `end`, and `data` has a `reason`, a `message`, and `resumeFrom`, the
    /// `id` to resume from. Reasons: `stopped` (the server is stopping), `slow` (the client read too little for 15 s
    /// while events were waiting), `credential` (it expired or was revoked), `role` (the role changed or no longer
    /// allows the stream), `server` (an internal error, or the server is overloaded). A client that reads nothing for
    /// 30 s is disconnected without a last message.
    ///
    /// **Limits.** At most 20 streams can be open for one credential, 200 for an organization, and 1,000 for the
    /// server.
    ///
    /// Responses:
    /// - 200: The stream is open and sends messages until one side closes it. The schema describes one message, field
    ///   by field.
    /// - 400: A filter is invalid, or the event to resume from does not exist or has been removed by retention.
    /// - 403: You do not belong to this organization, or the API key is restricted to projects. An organization that
    ///   does not exist gets the same response.
    /// - 429: A rate limit was reached, or too many streams are open. `Retry-After` says how many seconds to wait.
    #[oai(path = "/organization/:orgId/events/stream", method = "get", operation_id = "streamEvents")]
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of the request")]
    async fn stream(
        &self,
        auth: AuthOrKey,
        headers: &HeaderMap,
        /// Id of the organization.
        #[oai(name = "orgId")]
        org: Path<String>,
        /// Kind of resource: 0 workspace (a project), 1 bucket, 2 repo, 3 user, 4 org, 5 workspaceuser, 6 apikey, 7
        /// usersettings, 8 orgsettings, 9 flashbacknode, 10 orgkey, 11 aillm, 12 aillmapikey, 13 conversation. Default:
        /// all.
        #[oai(validator(minimum(value = "0"), maximum(value = "13")))]
        context: Query<Option<i64>>,
        /// Kind of change: 0 created, 1 updated, 2 deleted. Default: all.
        #[oai(validator(minimum(value = "0"), maximum(value = "2")))]
        event: Query<Option<i64>>,
        /// Id of the resource that the event is about. Default: all.
        #[oai(name = "contextId", validator(max_length = 300, pattern = r"^[^\x00-\x1f\x7f]*$"))]
        context_id: Query<Option<String>>,
        /// Id of the actor. Default: all.
        #[oai(name = "userId", validator(max_length = 300, pattern = r"^[^\x00-\x1f\x7f]*$"))]
        user_id: Query<Option<String>>,
        /// Id of the project that the event belongs to. Default: all.
        #[oai(name = "workspaceId", validator(max_length = 300, pattern = r"^[^\x00-\x1f\x7f]*$"))]
        workspace_id: Query<Option<String>>,
        /// `id` of the last message received, for clients that cannot send the header.
        #[oai(name = "after", validator(max_length = 19, pattern = r"^[0-9]*$"))]
        last_event_id: Query<Option<String>>,
        /// `id` of the last message received. Takes precedence over `after`.
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
        Ok(StreamResponse::Opened(ServerSentEvents(body), "no-store".to_owned(), "no".to_owned()))
    }
}

impl StreamApi {
    /// Creates the operation on an app.
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

/// Returns the event to resume after: from the header, else from the parameter. An empty value is treated as left out.
pub fn last_seen(headers: &HeaderMap, parameter: Option<&str>) -> Result<Option<i64>, Error> {
    let wrong = || {
        Error::new(
            ErrorKind::Invalid,
            "INVALID_FIELD",
            "Last-Event-ID, or after, must be the id of one event: a number",
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
