//! How is it asked for over HTTP? The table of contents: every group of operations, and the way of a request through the middleware in `http`.

pub mod account;
pub mod api_key;
pub mod audit;
pub mod event;
pub mod health;
pub mod http;
pub mod node;
pub mod org;
pub mod org_key;
pub mod project;
pub mod session;
pub mod stream;
pub mod user;
pub mod verification;
pub mod webhook;

use std::sync::Arc;

use ipnet::IpNet;
use poem::endpoint::BoxEndpoint;
use poem::{EndpointExt, IntoEndpoint, Response, Route};
use poem_openapi::{OpenApiService, Tags};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::actions::stats::Stats;
use crate::engine::app::App;

/// What the API is made of and how it is set.
pub struct ApiConfig {
    /// What is done.
    pub app: Arc<App>,
    /// What is measured.
    pub metrics: Arc<http::metrics::Metrics>,
    /// What is counted for the metrics.
    pub stats: Arc<Stats>,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whose pages may call from a browser.
    pub cors_origins: Vec<String>,
    /// What opens `/metrics` to others than a loopback peer.
    pub metrics_token: Option<SecretString>,
    /// How live streams are kept.
    pub streams: stream::StreamSettings,
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
    account::AccountApi,
    session::SessionApi,
    user::UserApi,
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
pub fn endpoint(config: ApiConfig) -> BoxEndpoint<'static, Response> {
    let app = &config.app;
    let passwords = http::password_work::PasswordWork::default();
    let scan_limit = http::scan_limit::ScanLimit::default();
    let apis: Apis = (
        account::AccountApi::new(Arc::clone(app), passwords.clone()),
        session::SessionApi::new(Arc::clone(app), passwords.clone()),
        user::UserApi::new(Arc::clone(app), passwords),
        org::OrgApi(Arc::clone(app)),
        org_key::OrgKeyApi::new(Arc::clone(app)),
        node::NodeApi(Arc::clone(app)),
        project::ProjectApi(Arc::clone(app)),
        api_key::ApiKeyApi(Arc::clone(app)),
        verification::VerificationApi::new(Arc::clone(app), Arc::clone(&config.metrics)),
        event::EventApi::new(Arc::clone(app), scan_limit.of_another_kind()),
        stream::StreamApi::new(
            Arc::clone(app),
            Arc::clone(&config.metrics),
            scan_limit.of_another_kind(),
            config.streams,
            config.stop,
        ),
        audit::AuditApi::new(Arc::clone(app), scan_limit.of_another_kind()),
        webhook::WebhookApi::new(Arc::clone(app), scan_limit.of_another_kind()),
        health::ServerApi::new(Arc::clone(app), Arc::clone(&config.metrics), config.stats, config.metrics_token),
    );
    let operations = OpenApiService::new(apis, "orgkeys", env!("CARGO_PKG_VERSION"));
    Route::new()
        .nest("/docs", http::docs::endpoint())
        .at("/openapi.json", http::docs::document())
        .nest_no_strip("/", operations.into_endpoint())
        .data(Arc::clone(app))
        .with(http::receive::Receive)
        .with(http::refusals::Refusals)
        .with(http::closing::Closing)
        .map_to_response()
        // What follows answers some requests by itself. Unboxed, the future of all operations would be copied for each of them.
        .boxed()
        .with(verification::door::Ahead(Arc::clone(app), Arc::clone(&config.metrics)))
        .with(http::cors::Cors(config.cors_origins))
        .with(http::head::Strict)
        .with(http::observe::Observe::new(Arc::clone(app), config.metrics, config.trusted_proxies))
        .map_to_response()
        .boxed()
}
