//! How is the server itself asked how it does?

use std::sync::Arc;
use std::time::{Duration, Instant};

use poem::Request;
use poem::http::header;
use poem_openapi::payload::{Json, PlainText};
use poem_openapi::{ApiResponse, OpenApi};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use super::Group;
use super::http::bridge::blocking;
use super::http::envelope::Done;
use super::http::error::{ApiError, status};
use super::http::metrics::Metrics;
use crate::actions::stats::Stats;
use crate::crypto::secret;
use crate::engine::app::App;
use crate::engine::error::Error;

/// How long an answer of `/ready` holds: it writes at most this often.
const READY_FOR: Duration = Duration::from_secs(5);

/// When a write was last tried, and how it went.
type Probed = (Instant, Result<(), Error>);

/// The operations on the server itself.
pub struct ServerApi {
    app: Arc<App>,
    metrics: Arc<Metrics>,
    stats: Arc<Stats>,
    metrics_token: Option<SecretString>,
    probed: Arc<Mutex<Option<Probed>>>,
}

#[derive(ApiResponse)]
enum Root {
    /// What runs here.
    #[oai(status = 200)]
    Here(Json<Done>),
    /// A browser is sent to the documentation.
    #[oai(status = 302)]
    Docs(
        /// Where it is.
        #[oai(header = "Location")]
        String,
    ),
}

type HealthFail = ApiError<0>;
type MetricsFail = ApiError<{ status::UNAUTHORIZED }>;

#[OpenApi(tag = "Group::Server")]
impl ServerApi {
    /// Say what runs here
    ///
    /// Name and version; a browser is sent to `/docs`.
    #[oai(path = "/", method = "get", operation_id = "getServer")]
    async fn root(&self, request: &Request) -> Result<Root, HealthFail> {
        if request.header(header::ACCEPT).is_some_and(|accept| accept.contains("text/html")) {
            return Ok(Root::Docs("/docs".to_owned()));
        }
        Ok(Root::Here(Json(Done::because(concat!("orgkeys ", env!("CARGO_PKG_VERSION"))))))
    }

    /// Say whether the process runs
    ///
    /// Answers as long as the process does, whatever the disk does.
    #[oai(path = "/health", method = "get", operation_id = "getHealth")]
    async fn health(&self) -> Result<Json<Done>, HealthFail> {
        Ok(Json(Done::because("The server runs")))
    }

    /// Say whether changes can be stored
    ///
    /// Writes to the disk, at most every 5 seconds, and answers 503 when it cannot.
    #[oai(path = "/ready", method = "get", operation_id = "getReadiness")]
    async fn ready(&self) -> Result<Json<Done>, HealthFail> {
        let (app, probed) = (Arc::clone(&self.app), Arc::clone(&self.probed));
        // On a task of its own, which a client that leaves does not end; held while it writes, so that many share one write.
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
    /// In the Prometheus text format. A loopback peer may, unless a proxy sent it on; anyone else needs the token of
    /// the setting `metrics_token` as a bearer.
    #[oai(path = "/metrics", method = "get", operation_id = "getMetrics")]
    async fn metrics(&self, request: &Request) -> Result<PlainText<String>, MetricsFail> {
        if !self.may_see_metrics(request) {
            let message = "Metrics are for a loopback peer, or for the bearer in the setting metrics_token";
            return Err(Error::unauthenticated("NO_CREDENTIAL", message).into());
        }
        let (metrics, stats) = (Arc::clone(&self.metrics), Arc::clone(&self.stats));
        let text = blocking(&self.app, move |app| Ok(metrics.text(app, &stats))).await?;
        Ok(PlainText(text))
    }
}

impl ServerApi {
    /// The operations, over an app.
    #[must_use]
    pub fn new(app: Arc<App>, metrics: Arc<Metrics>, stats: Arc<Stats>, metrics_token: Option<SecretString>) -> Self {
        Self { app, metrics, stats, metrics_token, probed: Arc::default() }
    }

    fn may_see_metrics(&self, request: &Request) -> bool {
        let peer = request.remote_addr().as_socket_addr().map(|peer| peer.ip().to_canonical());
        let forwarded = ["x-forwarded-for", "forwarded", "x-real-ip"].iter().any(|name| request.header(name).is_some());
        let token = request.header(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        let known = match (&self.metrics_token, token) {
            (Some(ours), Some(theirs)) => secret::equal(ours.expose_secret().as_bytes(), theirs.as_bytes()),
            _ => false,
        };
        known || (!forwarded && peer.is_some_and(|peer| peer.is_loopback()))
    }
}
