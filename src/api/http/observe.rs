//! Gives each request an id, determines its client, logs one line and counts it, without ever recording its content.
//! Also adds the headers that every response has.

use std::any::Any;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use poem::http::{HeaderValue, Method, header};
use poem::{FromRequest, Request, RequestBody, Response};
use poem_openapi::OperationId;

use super::client_address;
use super::envelope::{Code, Family};
use super::error::{self, Cause};
use super::metrics::{ACCEPTED, Metrics, SIGNED};
use super::web_cookie::ViaTrustedProxy;
use crate::crypto::secret;
use crate::domain::panic;
use crate::engine::app::App;
use crate::engine::caller::{CallerId, Origin, ProvenCaller};
use crate::engine::error::Error;

const REQUEST_ID: &str = "x-request-id";
/// Operations that are called continuously. They are counted, and logged at `debug` only.
const FREQUENT: [&str; 5] = ["getHealth", "getReadiness", "getMetrics", "verifyApiKey", "verifyPresentedApiKey"];

/// Status in the log and the metrics for a request without a response. The server never sends it.
const UNANSWERED: u16 = 499;

/// The origin of a request, for operations without a caller.
pub struct From(pub Origin);

impl<'a> FromRequest<'a> for From {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        Ok(Self(origin(request).clone()))
    }
}

/// Returns the origin of a request, as its observer determined it.
pub fn origin(request: &Request) -> &Origin {
    static NONE: Origin = Origin::NONE;
    request.data::<Origin>().unwrap_or(&NONE)
}

/// Observes requests.
pub struct Observer {
    app: Arc<App>,
    metrics: Arc<Metrics>,
    trusted_proxies: Vec<IpNet>,
}

/// A request without a response yet. If it is dropped because the server stops, it is logged and counted too: what it
/// started may still be committed.
pub struct Observation<'o> {
    observer: &'o Observer,
    id: String,
    method: Method,
    family: Family,
    address: Option<IpAddr>,
    caller: ProvenCaller,
    started: Instant,
    waits: bool,
}

impl Observation<'_> {
    /// Ends with the response, or with the panic that came in its place. Returns the response to send.
    pub fn end(mut self, answered: Result<Response, Box<dyn Any + Send>>) -> Response {
        let mut response = answered.unwrap_or_else(|panic| {
            let error = Error::internal(format!("a handler panicked: {}", panic::text(&*panic)));
            error::respond(self.family, error)
        });
        response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Ok(id) = HeaderValue::from_str(&self.id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        if let Some(Cause(cause)) = response.data() {
            tracing::error!(id = self.id, cause, "internal error");
        }
        self.waits = false;
        self.answered(&response);
        response
    }

    fn answered(&self, response: &Response) {
        // The path is not logged: a client may have put a secret in place of an id.
        let operation = response.data::<OperationId>().map_or("none", |operation| operation.0);
        let code = response.data::<Code>().map(|code| code.0.as_str());
        if let Some((_, call)) = SIGNED.iter().find(|(signed, _)| *signed == operation) {
            self.observer.metrics.signed_call(call, code.unwrap_or(ACCEPTED));
        }
        self.note(operation, response.status().as_u16(), code, "answered");
    }

    fn note(&self, operation: &'static str, status: u16, code: Option<&str>, what: &str) {
        let (id, method, took) = (&self.id, known(&self.method), self.started.elapsed());
        self.observer.metrics.answered(operation, status, took);
        // Verifications are counted by their verdict.
        if let Some(org) = self.caller.org().filter(|_| !FREQUENT.contains(&operation)) {
            self.observer.app.count_call(org, status);
        }
        let (ms, client) = (milliseconds(took), self.address.map(tracing::field::display));
        let caller = self.caller.get();
        let (kind, caller) = (caller.map(CallerId::kind), caller.map(tracing::field::display));
        // The level is part of the static description of a line.
        macro_rules! log {
            ($level:ident) => {
                tracing::$level!(
                    id,
                    method,
                    operation,
                    status,
                    errorCode = code,
                    ms,
                    client,
                    callerKind = kind,
                    callerId = caller,
                    "{what}"
                )
            };
        }
        if FREQUENT.contains(&operation) {
            log!(debug);
        } else {
            log!(info);
        }
    }
}

/// Returns a duration in milliseconds, rounded to two decimals.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

impl Drop for Observation<'_> {
    fn drop(&mut self) {
        if self.waits {
            self.note("none", UNANSWERED, None, "no response: the connection was closed");
        }
    }
}

/// Returns a method's name, or `other` for one that is not standard, which may be any text.
fn known(method: &Method) -> &str {
    let known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
        Method::TRACE,
        Method::CONNECT,
    ];
    if known.contains(method) { method.as_str() } else { "other" }
}

impl Observer {
    /// Creates an observer. It counts in `metrics`, and trusts `X-Forwarded-For` from `trusted_proxies` only.
    pub const fn new(app: Arc<App>, metrics: Arc<Metrics>, trusted_proxies: Vec<IpNet>) -> Self {
        Self { app, metrics, trusted_proxies }
    }

    /// Begins to observe a request.
    pub fn begin(&self, request: &mut Request) -> Observation<'_> {
        let (id, address, method) = (self.request_id(request), self.client(request), request.method().clone());
        let (family, caller) = (Family::of(request.uri().path()), ProvenCaller::of_request());
        request.set_data(Origin { address, request_id: Some(id.clone()), proven: caller.clone() });
        if self.is_proxy(request) {
            request.set_data(ViaTrustedProxy);
        }
        Observation { observer: self, id, method, family, address, caller, started: Instant::now(), waits: true }
    }

    /// Returns the client's request id if it is short, plain and not a secret, otherwise a new one.
    fn request_id(&self, request: &Request) -> String {
        // A token that was sent here by mistake would be returned, logged and recorded in the audit log permanently.
        let plain = |id: &&str| {
            (1..=64).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
                && !secret::is_secret(id)
        };
        request.header(REQUEST_ID).filter(plain).map_or_else(|| self.app.request_id(), str::to_owned)
    }

    /// Returns whether the peer is a trusted proxy.
    fn is_proxy(&self, request: &Request) -> bool {
        let peer = request.remote_addr().as_socket_addr();
        peer.is_some_and(|peer| client_address::is_trusted(peer.ip(), &self.trusted_proxies))
    }

    /// Returns the address of the client.
    fn client(&self, request: &Request) -> Option<IpAddr> {
        let peer = request.remote_addr().as_socket_addr()?.ip();
        Some(client_address::client(peer, request.headers(), &self.trusted_proxies))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use poem::endpoint::make_sync;
    use poem::{Endpoint, EndpointExt};
    use serde_json::{Value, json};
    use tempfile::TempDir;

    use super::*;
    use crate::actions::stats::Stats;
    use crate::api::http::closing::Closing;
    use crate::api::http::cors::Cors;
    use crate::api::http::pipeline::{Pipeline, pages};
    use crate::api::http::refusals::Refusals;
    use crate::api::http::web_cookie::CookieName;
    use crate::domain::time::Still;
    use crate::engine::environment::Environment;
    use crate::engine::limits::Limits;
    use crate::engine::system;
    use crate::store::{Options, Room, Store};

    /// What an observer needs, and where it counts.
    struct Site {
        app: Arc<App>,
        metrics: Arc<Metrics>,
        stats: Stats,
        folder: TempDir,
    }

    impl Site {
        fn new() -> Self {
            let folder = TempDir::new().expect("a folder");
            let options = Options { path: folder.path().join("a.db"), readers: 1, room: Room::new(0, 0) };
            let store = Store::open(&options).expect("a store");
            let env = Environment::new(Arc::new(Still), || [7; 32]);
            let (app, system) = system::start(store, env, Limits::default()).expect("an app");
            let stats = Stats::new(Arc::new(system), None);
            Self { app, metrics: Arc::new(Metrics::new(Still::TIME)), stats, folder }
        }

        fn observer(&self) -> Observer {
            Observer::new(Arc::clone(&self.app), Arc::clone(&self.metrics), Vec::new())
        }

        fn pipeline(&self, operations: impl Endpoint + 'static) -> Pipeline {
            Pipeline {
                app: Arc::clone(&self.app),
                cookie: CookieName::of("mark"),
                metrics: Arc::clone(&self.metrics),
                observer: self.observer(),
                cors: Cors(Vec::new()),
                refusals: Refusals::of_the_document(),
                closing: Closing::of_the_document(),
                pages: pages(),
                operations: operations.map_to_response().boxed(),
            }
        }

        /// Returns whether so many requests without an operation were counted with this status.
        fn has_counted(&self, status: u16, count: u32) -> bool {
            let line = format!("orgkeys_requests_total{{operation=\"none\",status=\"{status}\"}} {count}\n");
            self.metrics.text(&self.app, &self.stats).contains(&line)
        }
    }

    #[tokio::test]
    async fn a_handler_that_panics_is_answered_with_500_and_logged_without_data() {
        let (site, hidden) = (Site::new(), "the message is not shown because it may contain secrets");
        let written = site.folder.path().join("log");
        let log = File::create(&written).expect("a file");
        let log = tracing_subscriber::fmt().json().flatten_event(true).with_writer(log).finish();
        let _logged = tracing::subscriber::set_default(log);
        let panics = make_sync(|request: Request| -> &'static str {
            assert!(request.uri().path() == "/a", "bad password: {}", request.uri().path());
            panic!("on purpose")
        });
        let pipeline = site.pipeline(panics);
        for (number, (path, says)) in (1..).zip([("/a", "on purpose"), ("/hunter2", hidden)]) {
            let request =
                Request::builder().uri_str(path).header(REQUEST_ID, "mine").header(header::HOST, "a").finish();
            let mut response = pipeline.get_response(request).await;
            assert_eq!(
                (response.status().as_u16(), &response.headers()[REQUEST_ID]),
                (500, &HeaderValue::from_static("mine"))
            );
            let body: Value =
                serde_json::from_slice(&response.take_body().into_bytes().await.expect("bytes")).expect("JSON");
            assert_eq!((&body["success"], &body["errorCode"]), (&json!(false), &json!("INTERNAL_ERROR")), "{body}");
            assert!(site.has_counted(500, number));
            let text = fs::read_to_string(&written).expect("text");
            let line = text.lines().rfind(|line| line.contains("internal error")).expect("a line");
            let line: Value = serde_json::from_str(line).expect("JSON");
            let expected = (json!("ERROR"), json!("mine"), json!(format!("a handler panicked: {says}")));
            assert_eq!((&line["level"], &line["id"], &line["cause"]), (&expected.0, &expected.1, &expected.2));
            assert!(!text.contains("hunter2") && !body.to_string().contains(says), "{text} {body}");
        }
    }

    #[test]
    fn a_request_that_ends_without_a_response_is_counted_as_499() {
        let site = Site::new();
        let observer = site.observer();
        let observation = observer.begin(&mut Request::default());
        assert!(!site.has_counted(499, 1));
        drop(observation);
        assert!(site.has_counted(499, 1));
    }

    #[test]
    fn a_duration_is_logged_in_milliseconds_with_two_decimals() {
        for (nanoseconds, logged) in [
            (0, "0.0"),
            (4_999, "0.0"),
            (5_001, "0.01"),
            (1_234_567, "1.23"),
            (29_995_001, "30.0"),
            (86_400_000_000_000, "86400000.0"),
        ] {
            assert_eq!(format!("{:?}", milliseconds(Duration::from_nanos(nanoseconds))), logged, "{nanoseconds}");
        }
    }
}
