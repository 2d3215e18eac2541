//! Operations on the server itself: version, health, readiness and metrics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use poem::Request;
use poem::http::header;
use poem_openapi::payload::PlainText;
use poem_openapi::{ApiResponse, Object, OpenApi};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use tokio::sync::Mutex;

use super::Group;
use super::http::bridge::blocking;
use super::http::console;
use super::http::envelope::Done;
use super::http::error::{ApiError, status};
use super::http::json::Json;
use super::http::metrics::Metrics;
use super::http::proxied::is_proxied;
use crate::actions::setup;
use crate::actions::stats::Stats;
use crate::crypto::secret;
use crate::engine::app::App;
use crate::engine::caller::LocalAdministrator;
use crate::engine::error::Error;

/// How long a result of `/ready` is reused, so that it writes at most this often.
const READY_FOR: Duration = Duration::from_secs(5);

/// Time and result of the last probe.
type Probed = (Instant, Result<(), Error>);

/// The operations on the server itself.
pub struct ServerApi {
    app: Arc<App>,
    metrics: Arc<Metrics>,
    stats: Arc<Stats>,
    metrics_token: Option<SecretString>,
    probed: Arc<Mutex<Option<Probed>>>,
}

/// The server's name and version.
#[derive(Object, Serialize)]
#[oai(skip_serializing_if_is_none)]
struct ServerAnswer {
    /// Always true.
    success: bool,
    /// Name and version, such as `orgkeys 0.2.0`.
    message: String,
    /// True while no OWNER on this server has a password: the server's last start printed a link to set one. Otherwise
    /// left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    setup: Option<bool>,
}

#[derive(ApiResponse)]
enum Root {
    /// The server's name and version.
    #[oai(status = 200)]
    Here(Json<ServerAnswer>),
    /// Redirect to the console.
    #[oai(status = 302)]
    Console(
        /// Always `console/`.
        #[oai(header = "Location")]
        String,
    ),
}

type HealthFail = ApiError<{ status::WRITES_NOTHING }>;
type ReadyFail = ApiError<0>;
type MetricsFail = ApiError<{ status::WRITES_NOTHING | status::UNAUTHORIZED }>;

#[OpenApi(tag = "Group::Server")]
impl ServerApi {
    /// Get the server's name and version
    ///
    /// Browsers, which send `Accept: text/html`, are redirected to the console.
    ///
    /// Responses:
    /// - 200: The message is the server's name and version.
    /// - 302: Redirect to the console, for browsers.
    #[oai(path = "/", method = "get", operation_id = "getServer")]
    async fn root(&self, request: &Request) -> Result<Root, HealthFail> {
        if request.header(header::ACCEPT).is_some_and(|accept| accept.contains("text/html")) {
            return Ok(Root::Console(console::LOCATION.to_owned()));
        }
        let message = concat!("orgkeys ", env!("CARGO_PKG_VERSION")).to_owned();
        // The version is told even if the database cannot be read.
        let setup = setup::is_pending(&self.app).unwrap_or(false).then_some(true);
        Ok(Root::Here(Json(ServerAnswer { success: true, message, setup })))
    }

    /// Check that the process is running
    ///
    /// Succeeds as long as the process runs, even if the disk is full or the database is unusable. For liveness probes.
    ///
    /// Responses:
    /// - 200: The process is running.
    #[oai(path = "/health", method = "get", operation_id = "getHealth")]
    async fn health(&self) -> Result<Json<Done>, HealthFail> {
        Ok(Json(Done::because("The server is running")))
    }

    /// Check that changes can be stored
    ///
    /// Commits a small change to the database, at most every 5 seconds. In between, the last result is returned again.
    /// For readiness probes and load balancers.
    ///
    /// Responses:
    /// - 200: Changes can be stored.
    /// - 503: Changes cannot be stored at the moment. The error code says why.
    #[oai(path = "/ready", method = "get", operation_id = "getReadiness")]
    async fn ready(&self) -> Result<Json<Done>, ReadyFail> {
        let (app, probed) = (Arc::clone(&self.app), Arc::clone(&self.probed));
        // On its own task, which a disconnecting client does not cancel. The lock is held during the write, so that
        // concurrent requests share one.
        let probing = tokio::spawn(async move {
            let mut probed = probed.lock_owned().await;
            match &*probed {
                Some((at, result)) if at.elapsed() < READY_FOR => result.clone(),
                _ => {
                    let result = blocking(&app, App::probe).await;
                    probed.insert((Instant::now(), result)).1.clone()
                }
            }
        });
        probing.await.map_err(Error::internal)??;
        Ok(Json(Done::because("Changes can be stored")))
    }

    /// Get the metrics
    ///
    /// Returns the server's metrics in the Prometheus text format. A client on the same machine (a loopback peer) needs
    /// no credential, unless the request has a header that proxies add, such as `X-Forwarded-For`, `X-Forwarded-Proto`,
    /// `Forwarded`, `Via` or `X-Real-IP`. All other clients send the value of the setting `metrics_token` as a bearer
    /// token. Not recorded in the audit log.
    ///
    /// Responses:
    /// - 200: The metrics.
    /// - 401: The bearer token is required, and it is missing or wrong.
    #[oai(path = "/metrics", method = "get", operation_id = "getMetrics")]
    async fn metrics(&self, request: &Request) -> Result<PlainText<String>, MetricsFail> {
        if !self.may_see_metrics(request) {
            let message =
                "Metrics require a loopback peer, or the token in the setting metrics_token as a bearer token";
            return Err(Error::unauthenticated("NO_CREDENTIAL", message).into());
        }
        let (metrics, stats) = (Arc::clone(&self.metrics), Arc::clone(&self.stats));
        let text = blocking(&self.app, move |app| Ok(metrics.text(app, &stats))).await?;
        Ok(PlainText(text))
    }
}

impl ServerApi {
    /// Creates the operations on an app.
    #[must_use]
    pub fn new(app: Arc<App>, metrics: Arc<Metrics>, stats: Arc<Stats>, metrics_token: Option<SecretString>) -> Self {
        Self { app, metrics, stats, metrics_token, probed: Arc::default() }
    }

    fn may_see_metrics(&self, request: &Request) -> bool {
        let peer = request.remote_addr().as_socket_addr().map(|peer| peer.ip().to_canonical());
        let token = request.header(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        let known = match (&self.metrics_token, token) {
            (Some(ours), Some(theirs)) => secret::equal(ours.expose_secret().as_bytes(), theirs.as_bytes()),
            _ => false,
        };
        let is_local = peer.is_some_and(|peer| peer.is_loopback()) || request.data::<LocalAdministrator>().is_some();
        known || (!is_proxied(request.headers()) && is_local)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use tempfile::TempDir;

    use super::*;
    use crate::domain::time::Still;
    use crate::engine::environment::Environment;
    use crate::engine::limits::Limits;
    use crate::engine::system;
    use crate::store::{Options, Room, Store};

    #[tokio::test(flavor = "multi_thread")]
    async fn readiness_is_probed_again_after_five_seconds_and_not_before() {
        let folder = TempDir::new().expect("a folder");
        let options = Options { path: folder.path().join("a.db"), readers: 1, room: Room::new(0, 0) };
        let room = Arc::clone(&options.room.limit);
        let store = Store::open(&options).expect("a store");
        let (app, system) =
            system::start(store, Environment::new(Arc::new(Still), || [7; 32]), Limits::default()).expect("a system");
        let stats = Arc::new(Stats::new(Arc::new(system), None));
        let api = ServerApi::new(app, Arc::new(Metrics::new(Still::TIME)), stats, None);
        let age = async |age: Duration| {
            if let Some((at, _)) = &mut *api.probed.lock().await {
                *at = at.checked_sub(age).expect("the machine has run for that long");
            }
        };
        assert!(api.ready().await.is_ok());
        room.store(1, Ordering::Relaxed);
        assert!(api.ready().await.is_ok(), "many callers cause few writes");
        age(READY_FOR).await;
        assert!(api.ready().await.is_err(), "the disk is full");
        room.store(0, Ordering::Relaxed);
        assert!(api.ready().await.is_err(), "it was just probed");
        age(READY_FOR).await;
        assert!(api.ready().await.is_ok());
    }
}
