//! How is it asked for over HTTP? The table of contents: every group of operations, and the way of a request through the middleware.

pub mod api_key;
pub mod audit;
pub mod auth;
pub mod body;
pub mod closing;
pub mod cors;
pub mod docs;
pub mod document;
pub mod envelope;
pub mod error;
pub mod event;
pub mod head;
pub mod health;
pub mod looks;
pub mod metrics;
pub mod node;
pub mod observe;
pub mod org;
pub mod org_key;
pub mod paging;
pub mod password_work;
pub mod people;
pub mod project;
pub mod receive;
pub mod refusals;
pub mod session;
pub mod stream;
pub mod timestamp;
pub mod user;
pub mod verification;
pub mod webhook;

use std::panic::resume_unwind;
use std::sync::Arc;

use ipnet::IpNet;
use poem::endpoint::BoxEndpoint;
use poem::{EndpointExt, IntoEndpoint, Response, Route};
use poem_openapi::{OpenApiService, Tags};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::actions::app::App;
use crate::actions::error::Error;
use crate::actions::pending::Pending;

/// What the face needs beside the app.
pub struct Face {
    /// What is done.
    pub app: Arc<App>,
    /// What is measured.
    pub metrics: Arc<metrics::Metrics>,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whose pages may call from a browser.
    pub cors_origins: Vec<String>,
    /// What opens `/metrics` to others than a loopback peer.
    pub metrics_token: Option<SecretString>,
    /// How live streams are kept.
    pub streams: stream::Manner,
    /// When the server is to stop: what has no end of its own ends then.
    pub stop: CancellationToken,
}

/// The groups of operations.
#[derive(Tags)]
pub enum Group {
    /// Key pairs of an organization. The private half is in the answer that makes it and nowhere else.
    #[oai(rename = "organization keys")]
    OrgKeys,
    /// Machines that prove themselves by signing with an organization key.
    #[oai(rename = "nodes")]
    Nodes,
    /// Parts of an organization with members of their own, which API keys can be for.
    #[oai(rename = "projects")]
    Projects,
    /// Secrets by which services call, each good for a time, a role and perhaps some projects, and their verification.
    #[oai(rename = "API keys")]
    ApiKeys,
    /// The audit log, as far as it shows changes.
    #[oai(rename = "system events")]
    Events,
    /// The audit log as it is recorded, for machines: reads and refusals included, with the hashes that chain it.
    #[oai(rename = "audit log")]
    Audit,
    /// URLs of an organization's own to which its events are sent, signed as Standard Webhooks says.
    #[oai(rename = "webhooks")]
    Webhooks,
    /// People, their organization, and what they know of themselves.
    #[oai(rename = "people")]
    People,
    /// Signing in with a password, and what stands until it is ended.
    #[oai(rename = "sessions")]
    Sessions,
    /// The server itself.
    #[oai(rename = "server")]
    Server,
}

/// Every group, in the order of the document.
pub type Apis = (
    user::UserApi,
    session::SessionApi,
    people::PeopleApi,
    org::OrgApi,
    org_key::OrgKeyApi,
    node::NodeApi,
    project::ProjectApi,
    api_key::ApiKeyApi,
    verification::VerificationApi,
    event::EventApi,
    stream::StreamApi,
    audit::AuditApi,
    webhook::WebhookApi,
    health::ServerApi,
);

/// The whole way of a request: observed, its head looked at, cleared for browsers, received, answered, and refused in our own words.
pub fn endpoint(face: Face) -> BoxEndpoint<'static, Response> {
    let app = &face.app;
    let passwords = password_work::PasswordWork::default();
    let looks = looks::Looks::default();
    let apis: Apis = (
        user::UserApi::new(Arc::clone(app), passwords.clone()),
        session::SessionApi::new(Arc::clone(app), passwords.clone()),
        people::PeopleApi::new(Arc::clone(app), passwords),
        org::OrgApi(Arc::clone(app)),
        org_key::OrgKeyApi::new(Arc::clone(app)),
        node::NodeApi(Arc::clone(app)),
        project::ProjectApi(Arc::clone(app)),
        api_key::ApiKeyApi(Arc::clone(app)),
        verification::VerificationApi::new(Arc::clone(app), Arc::clone(&face.metrics)),
        event::EventApi::new(Arc::clone(app), looks.of_another_kind()),
        stream::StreamApi::new(
            Arc::clone(app),
            Arc::clone(&face.metrics),
            looks.of_another_kind(),
            face.streams,
            face.stop,
        ),
        audit::AuditApi::new(Arc::clone(app), looks.of_another_kind()),
        webhook::WebhookApi::new(Arc::clone(app), looks.of_another_kind()),
        health::ServerApi::new(Arc::clone(app), Arc::clone(&face.metrics), face.metrics_token),
    );
    let operations = OpenApiService::new(apis, "orgkeys", env!("CARGO_PKG_VERSION"));
    Route::new()
        .nest("/docs", docs::endpoint())
        .at("/openapi.json", docs::document())
        .nest_no_strip("/", operations.into_endpoint())
        .data(Arc::clone(app))
        .with(receive::Receive)
        .with(refusals::Refusals)
        .with(closing::Closing)
        .with(verification::door::Ahead(Arc::clone(app), Arc::clone(&face.metrics)))
        .with(cors::Cors(face.cors_origins))
        .with(head::Strict)
        .with(observe::Observe::new(Arc::clone(app), face.metrics, face.trusted_proxies))
        .map_to_response()
        .boxed()
}

/// The bridge from async to the actions. They read and compute on a thread that may block, and give it back while their
/// answer is on its way to the disk.
async fn act<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce(&App) -> Pending<T> + Send + 'static,
) -> Result<T, Error> {
    blocking(app, move |app| Ok(work(app))).await?.await
}

/// Awaits an action that only looked up a few rows and computed for some ten microseconds: right here, since going to
/// another thread and back costs more.
async fn at_the_door<T>(pending: Pending<T>) -> Result<T, Error> {
    pending.await
}

/// Runs what has its answer at once on a thread that may block.
async fn blocking<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce(&App) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let app = Arc::clone(app);
    let done = tokio::task::spawn_blocking(move || work(&app)).await;
    // What it may say of itself is decided where all panics of requests end.
    done.unwrap_or_else(|ended| {
        ended.try_into_panic().map_or_else(|_| Err(Error::internal("the server stops")), |panic| resume_unwind(panic))
    })
}
