//! The HTTP API: one module for each group of operations, and the pipeline around them in [`http`].

pub mod account;
pub mod api_key;
pub mod audit;
pub mod delivery;
pub mod event;
#[cfg(test)]
mod fairness_tests;
pub mod health;
pub mod http;
pub mod node;
pub mod org;
pub mod org_key;
pub mod project;
pub mod secret;
pub mod session;
mod statistics;
pub mod stream;
pub mod user;
pub mod verification;
pub mod web_session;
pub mod webhook;

use std::sync::Arc;

use ipnet::IpNet;
use poem::endpoint::BoxEndpoint;
use poem::{EndpointExt, IntoEndpoint, Response};
use poem_openapi::{OpenApiService, Tags};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use self::http::closing::Closing;
use self::http::cors::Cors;
use self::http::observe::Observer;
use self::http::pipeline::Pipeline;
use self::http::refusals::Refusals;
use self::http::web_cookie::CookieName;
use crate::actions::stats::Stats;
use crate::engine::app::App;

/// What the API is built from, and its settings.
pub struct ApiConfig {
    /// The actions' engine.
    pub app: Arc<App>,
    /// Counters and histograms.
    pub metrics: Arc<http::metrics::Metrics>,
    /// Figures that are counted in the store for the metrics.
    pub stats: Arc<Stats>,
    /// Networks of proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// What tells this server's cookies from those of another one on the same host.
    pub server_mark: String,
    /// Origins whose pages may call the API from a browser.
    pub cors_origins: Vec<String>,
    /// Bearer token for `/metrics`, which is otherwise open to loopback peers only.
    pub metrics_token: Option<SecretString>,
    /// Timeouts of event streams.
    pub streams: stream::StreamSettings,
    /// Cancelled when the server stops. Event streams, which have no end of their own, end then.
    pub stop: CancellationToken,
}

/// The groups of operations: the tags of the OpenAPI document.
#[derive(Tags)]
pub enum Group {
    /// RSA key pairs that an organization's nodes sign with. The private key is returned once, at creation, and is
    /// never stored.
    #[oai(rename = "organization keys")]
    OrgKeys,
    /// Machines that prove their identity by signing requests with an organization key.
    #[oai(rename = "nodes")]
    Nodes,
    /// Texts, such as the settings of a program, that an organization stores for its nodes. They are stored encrypted, and
    /// each answer is encrypted for the key that the node signed with.
    #[oai(rename = "secrets")]
    Secrets,
    /// Subdivisions of an organization that have their own members. An API key can be restricted to projects.
    #[oai(rename = "projects")]
    Projects,
    /// Secrets that services authenticate with, and their verification. Each has a validity period, a role and,
    /// optionally, projects.
    #[oai(rename = "API keys")]
    ApiKeys,
    /// The changes in the audit log (created, updated, deleted), as a list and as a live stream.
    #[oai(rename = "system events")]
    Events,
    /// The complete audit log in machine-readable form: every entry, including reads and refusals, with the hashes that
    /// chain the entries.
    #[oai(rename = "audit log")]
    Audit,
    /// URLs to which an organization's events are sent, signed as Standard Webhooks specifies.
    #[oai(rename = "webhooks")]
    Webhooks,
    /// The users of an organization, the organization itself, and your own account.
    #[oai(rename = "people")]
    People,
    /// Signing in with a password, and the resulting sessions and access tokens.
    #[oai(rename = "sessions")]
    Sessions,
    /// The state of the server itself.
    #[oai(rename = "server")]
    Server,
}

impl Group {
    /// All groups, in the order in which an organization comes to use them. The documentation page shows them in this
    /// order.
    const IN_ORDER_OF_USE: [Self; 11] = [
        Self::OrgKeys,
        Self::Nodes,
        Self::Secrets,
        Self::ApiKeys,
        Self::Projects,
        Self::People,
        Self::Sessions,
        Self::Webhooks,
        Self::Events,
        Self::Audit,
        Self::Server,
    ];
}

/// Every group of operations, in the order of the document's paths.
pub type Apis = (
    account::AccountApi,
    (session::SessionApi, web_session::WebSessionApi),
    user::UserApi,
    org::OrgApi,
    (org_key::OrgKeyApi, org_key::life::OrgKeyLifeApi),
    (node::NodeApi, secret::SecretApi),
    project::ProjectApi,
    api_key::ApiKeyApi,
    verification::VerificationApi,
    event::EventApi,
    stream::StreamApi,
    (audit::AuditApi, statistics::StatisticsApi),
    webhook::WebhookApi,
    delivery::DeliveryApi,
    health::ServerApi,
);

/// Builds the endpoint: every operation, with what [`Pipeline`] does for all of them.
pub fn endpoint(config: ApiConfig) -> BoxEndpoint<'static, Response> {
    let app = &config.app;
    let passwords = http::password_work::PasswordWork::default();
    let scan_limit = http::scan_limit::ScanLimit::default();
    let turns = org_key::Turns::default();
    let apis: Apis = (
        account::AccountApi::new(Arc::clone(app), passwords.clone()),
        (
            session::SessionApi::new(Arc::clone(app), passwords.clone()),
            web_session::WebSessionApi::new(Arc::clone(app), passwords.clone()),
        ),
        user::UserApi::new(Arc::clone(app), passwords),
        org::OrgApi(Arc::clone(app)),
        (
            org_key::OrgKeyApi::new(Arc::clone(app), turns.clone()),
            org_key::life::OrgKeyLifeApi::new(Arc::clone(app), turns),
        ),
        (node::NodeApi(Arc::clone(app)), secret::SecretApi(Arc::clone(app))),
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
        (
            audit::AuditApi::new(Arc::clone(app), scan_limit.of_another_kind()),
            statistics::StatisticsApi::new(Arc::clone(app), scan_limit.of_another_kind()),
        ),
        webhook::WebhookApi(Arc::clone(app)),
        delivery::DeliveryApi::new(Arc::clone(app), scan_limit.of_another_kind()),
        health::ServerApi::new(Arc::clone(app), Arc::clone(&config.metrics), config.stats, config.metrics_token),
    );
    let operations = OpenApiService::new(apis, "orgkeys", env!("CARGO_PKG_VERSION"));
    let pipeline = Pipeline {
        app: Arc::clone(app),
        cookie: CookieName::of(&config.server_mark),
        metrics: Arc::clone(&config.metrics),
        observer: Observer::new(Arc::clone(app), config.metrics, config.trusted_proxies),
        cors: Cors(config.cors_origins),
        refusals: Refusals::of_the_document(),
        closing: Closing::of_the_document(),
        pages: http::pipeline::pages(),
        operations: operations.into_endpoint(),
    };
    pipeline.boxed()
}
