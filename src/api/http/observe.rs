//! Gives each request an id, determines its client, logs one line and counts it, without ever recording its content.
//! Also adds the headers that every response has.

use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use ipnet::IpNet;
use poem::http::{HeaderValue, Method, header};
use poem::{Endpoint, FromRequest, IntoResponse, Middleware, Request, RequestBody, Response};
use poem_openapi::OperationId;

use super::envelope::{Code, Family};
use super::error::{self, Cause};
use super::metrics::{ACCEPTED, Metrics, SIGNED};
use crate::crypto::secret;
use crate::domain::panic;
use crate::engine::app::App;
use crate::engine::caller::Origin;
use crate::engine::error::Error;

const REQUEST_ID: &str = "x-request-id";
/// Operations that are called continuously. They are counted, and logged at `debug` only.
const FREQUENT: [&str; 5] = ["getHealth", "getReadiness", "getMetrics", "verifyApiKey", "verifyPresentedApiKey"];

/// Status in the log and the metrics for a request without a response. The server never sends it.
const UNANSWERED: u16 = 499;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The origin of a request, for operations without a caller.
pub struct From(pub Origin);

impl<'a> FromRequest<'a> for From {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        Ok(Self(origin(request)))
    }
}

/// Returns the origin of a request, as this middleware determined it.
pub fn origin(request: &Request) -> Origin {
    request.data::<Origin>().cloned().unwrap_or_default()
}

/// The outermost middleware.
pub struct Observe(Arc<Observer>);

struct Observer {
    app: Arc<App>,
    metrics: Arc<Metrics>,
    trusted_proxies: Vec<IpNet>,
}

impl Observe {
    /// Creates the middleware. It counts in `metrics`, and trusts `X-Forwarded-For` from `trusted_proxies` only.
    pub fn new(app: Arc<App>, metrics: Arc<Metrics>, trusted_proxies: Vec<IpNet>) -> Self {
        Self(Arc::new(Observer { app, metrics, trusted_proxies }))
    }
}

/// An observed endpoint.
pub struct Observed<E> {
    inner: E,
    observer: Arc<Observer>,
}

impl<E: Endpoint> Middleware<E> for Observe {
    type Output = Observed<E>;

    fn transform(&self, inner: E) -> Observed<E> {
        Observed { inner, observer: Arc::clone(&self.0) }
    }
}

impl<E: Endpoint> Endpoint for Observed<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let observation = Observation::now(&self.observer, &request);
        let origin = Origin { address: observation.address, request_id: Some(observation.id.clone()) };
        request.set_data(origin);
        let family = Family::of(request.uri().path());
        let called = AssertUnwindSafe(self.inner.call(request)).catch_unwind().await;
        let mut response = match called {
            Ok(Ok(response)) => response.into_response(),
            Ok(Err(error)) => error.into_response(),
            Err(panic) => {
                error::respond(family, Error::internal(format!("a handler panicked: {}", panic::text(&*panic))))
            }
        };
        response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Ok(id) = HeaderValue::from_str(&observation.id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        if let Some(Cause(cause)) = response.data() {
            tracing::error!(id = observation.id, cause, "internal error");
        }
        observation.answered(&response);
        Ok(response)
    }
}

/// A request without a response yet. If it is dropped because the server stops, it is logged and counted too: what it
/// started may still be committed.
struct Observation<'o> {
    observer: &'o Observer,
    id: String,
    method: Method,
    address: Option<IpAddr>,
    started: Instant,
    waits: bool,
}

impl<'o> Observation<'o> {
    fn now(observer: &'o Observer, request: &Request) -> Self {
        let (id, address) = (observer.request_id(request), observer.client(request));
        Self { observer, id, method: request.method().clone(), address, started: Instant::now(), waits: true }
    }

    fn answered(mut self, response: &Response) {
        self.waits = false;
        // The path is not logged: a client may have put a secret in place of an id.
        let operation = response.data::<OperationId>().map_or("none", |operation| operation.0);
        if let Some((_, call)) = SIGNED.iter().find(|(signed, _)| *signed == operation) {
            let code = response.data::<Code>().map_or(ACCEPTED, |code| &code.0);
            self.observer.metrics.signed_call(call, code);
        }
        self.note(operation, response.status().as_u16(), "answered");
    }

    fn note(&self, operation: &'static str, status: u16, what: &str) {
        let (id, method, took) = (&self.id, known(&self.method), self.started.elapsed());
        self.observer.metrics.answered(operation, status, took);
        let (ms, client) = (took.as_secs_f64() * 1_000.0, self.address.map(tracing::field::display));
        if FREQUENT.contains(&operation) {
            tracing::debug!(id, method, operation, status, ms, client, "{what}");
        } else {
            tracing::info!(id, method, operation, status, ms, client, "{what}");
        }
    }
}

impl Drop for Observation<'_> {
    fn drop(&mut self) {
        if self.waits {
            self.note("none", UNANSWERED, "no response: the connection was closed");
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

/// Parses an address as proxies write it: alone or with a port.
fn hop_address(hop: &str) -> Option<IpAddr> {
    hop.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

impl Observer {
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

    /// Returns the peer's address or, behind trusted proxies, the last address in `X-Forwarded-For` that is not one of
    /// them.
    fn client(&self, request: &Request) -> Option<IpAddr> {
        let peer = request.remote_addr().as_socket_addr()?.ip().to_canonical();
        let trusted = |address: &IpAddr| self.trusted_proxies.iter().any(|net| net.contains(address));
        if !trusted(&peer) {
            return Some(peer);
        }
        let lists = request.headers().get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
        let hops: Vec<&str> = lists.flat_map(|list| list.split(',')).collect();
        let mut client = peer;
        for hop in hops.into_iter().rev() {
            let Some(hop) = hop_address(hop.trim()) else { break };
            client = hop.to_canonical();
            if !trusted(&client) {
                break;
            }
        }
        Some(client)
    }
}
