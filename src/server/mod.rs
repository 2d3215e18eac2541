//! The server: binds the address, opens the database, serves requests, and stops without losing requests in progress.

pub mod admin_socket;
pub mod clock;
pub mod connection;
pub mod courier;
pub mod listener;
mod periodic_backup;
mod periodic_jobs;
mod timed_stream;
pub mod tls;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::{JoinError, spawn_blocking};
use tokio_util::sync::CancellationToken;

use self::admin_socket::{AdminSocket, ServedSocket};
use self::courier::{Courier, DeliveryNotifier, HttpSender, SystemResolver};
use crate::actions::bootstrap::{self, FirstOwner, Start};
use crate::actions::jobs::{Jobs, TICK};
use crate::actions::key_file;
use crate::actions::open::open;
use crate::actions::periodic_backup::{BackupPlan, PeriodicBackups};
use crate::actions::stats::Stats;
use crate::actions::{setup, web_session};
use crate::api::http::metrics::Metrics;
use crate::api::stream::StreamSettings;
use crate::api::{self, ApiConfig};
use crate::config::{SecretFileError, Settings};
use crate::engine::environment::Environment;
use crate::engine::error::Error as ActionError;
use crate::engine::limits::Limits;
use crate::engine::system::System;
use crate::store::{Options, Room};

/// Why the server cannot start, and what to do.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct StartError(String);

impl From<ActionError> for StartError {
    fn from(error: ActionError) -> Self {
        Self(error.to_string())
    }
}

impl From<SecretFileError> for StartError {
    fn from(error: SecretFileError) -> Self {
        Self(error.to_string())
    }
}

/// A server that has bound its address and opened its database, and is ready to serve.
pub struct Server {
    listener: listener::Listener,
    system: Arc<System>,
    address: SocketAddr,
    start: Start,
    setup_link: Option<SecretString>,
    /// Cancelled at a stop, to end event streams.
    stopping: CancellationToken,
    courier: Option<Courier>,
    notifier: DeliveryNotifier,
    jobs: Arc<Jobs>,
    backups: Option<Arc<PeriodicBackups>>,
    admin_socket: Option<ServedSocket>,
    stop_timeout: Duration,
}

/// What the server did between the order to stop and its end.
#[derive(Clone, Copy, Debug, Default)]
pub struct StopReport {
    /// The requests that were in progress.
    pub requests: connection::RequestsAtStop,
    /// The attempts of webhook deliveries that were in flight.
    pub attempts: courier::AttemptsAtStop,
    /// How many of the jobs that run at a stop failed.
    pub failed_jobs: usize,
}

/// Returns the options for opening the store under these settings.
#[must_use]
pub fn store_options(settings: &Settings) -> Options {
    Options {
        path: settings.database.clone(),
        readers: settings.readers,
        room: Room::new(settings.disk_reserve.0, settings.database_max.0),
    }
}

/// Returns what these settings say about the backups that the server makes by itself; `None` if it makes none.
#[must_use]
pub fn backup_plan(settings: &Settings) -> Option<BackupPlan> {
    let dir = settings.backup_dir.as_ref()?.0.clone();
    Some(BackupPlan { dir, interval: settings.backup_interval, keep: settings.backup_keep })
}

/// Returns the limits of actions under these settings.
#[must_use]
pub fn limits(settings: &Settings) -> Limits {
    Limits {
        org_keys: settings.org_keys_max,
        key_undo: settings.key_undo,
        nodes: settings.nodes_max,
        people: settings.people_max,
        api_keys: settings.api_keys_max,
        signature_window: settings.signature_window,
        signed_rate: settings.signed_rate,
        refused_rate: settings.refused_rate,
        refused_burst: settings.refused_burst,
        caller_rate: settings.caller_rate,
        org_rate: settings.org_rate,
        node_silent: settings.node_silent,
        webhook_allow: settings.webhook_allow.clone(),
    }
}

impl Server {
    /// Binds the address, opens the database and creates the first organization if there is none.
    pub async fn start(settings: Settings, env: Environment) -> Result<Self, StartError> {
        let options = store_options(&settings);
        Self::start_on(settings, options, env).await
    }

    /// As [`Server::start`], with explicit store options, so that tests can control the disk space.
    pub async fn start_on(settings: Settings, options: Options, env: Environment) -> Result<Self, StartError> {
        listener::raise_descriptor_limit();
        let tls = tls::load(&settings).map_err(StartError)?;
        let bound = TcpListener::bind(settings.listen).await.map_err(|error| {
            StartError(format!("cannot listen on {}: {error}. Choose another address with --listen", settings.listen))
        })?;
        let address = bound.local_addr().map_err(|error| StartError(error.to_string()))?;
        if !address.ip().is_loopback() && tls.is_none() {
            tracing::warn!(%address, "tokens cross the network unencrypted: set tls_cert and tls_key, or run the server behind a TLS proxy");
        }
        let limits = limits(&settings);
        let (handed_in, given) = (env.clone(), settings.clone());
        let opened = spawn_blocking(move || {
            let (_, system) = open(&options, limits, handed_in)?;
            let database = system.app().database();
            let socket = match admin_socket::path(&given.socket, database) {
                Some(path) => AdminSocket::bind(path, database).map_err(StartError)?,
                None => None,
            };
            let start = first_start(&system, &given)?;
            let setup_link = setup::link(&system)?;
            let server_mark = web_session::server_mark(&system)?;
            take_key(&system, given.key_file.as_deref())?;
            let plan = backup_plan(&given);
            let backups = plan.map(|plan| Arc::new(PeriodicBackups::new(plan, &system, given.disk_reserve.0)));
            Ok::<_, StartError>((system, (start, setup_link, server_mark), socket, backups))
        });
        let opened = opened.await.map_err(|ended| StartError(panicked(&ended).to_owned()))?;
        let (system, (start, setup_link, server_mark), admin_socket, backups) = opened?;
        if settings.has_bootstrap_token() && matches!(start, Start::Existing) {
            tracing::info!("an organization exists already: the bootstrap settings are ignored");
        }
        let stopping = CancellationToken::new();
        let app = Arc::clone(system.app());
        let system = Arc::new(system);
        let metrics = Arc::new(Metrics::new(app.now()));
        let config = ApiConfig {
            app: Arc::clone(&app),
            metrics: Arc::clone(&metrics),
            stats: Arc::new(Stats::new(Arc::clone(&system), backups.clone())),
            server_mark,
            trusted_proxies: settings.trusted_proxy.clone(),
            cors_origins: settings.cors_origins.iter().map(|origin| origin.0.clone()).collect(),
            metrics_token: settings.metrics_token.clone(),
            // Half of the timeout, because a client that reads nothing for all of it is disconnected and cannot be told
            // why.
            streams: StreamSettings { comment: settings.stream_comment, patience: settings.request_timeout / 2 },
            stop: stopping.clone(),
        };
        let api = Arc::new(api::endpoint(config));
        let admin_socket = admin_socket.map(|socket| socket.serving(Arc::clone(&system), Arc::clone(&api), &settings));
        let listener = listener::Listener::new(bound, tls, api, metrics, &settings);
        let (courier, notifier) = courier(&system, &settings, env);
        let jobs = Arc::new(Jobs::new(Arc::clone(&system), settings.audit_days));
        let (courier, stop_timeout) = (Some(courier), settings.stop_timeout);
        Ok(Self {
            listener,
            system,
            address,
            start,
            setup_link,
            stopping,
            courier,
            notifier,
            jobs,
            backups,
            admin_socket,
            stop_timeout,
        })
    }

    /// Returns the address that the server listens on, with the actual port if port 0 was configured.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the engine, for programs that embed the server.
    #[must_use]
    pub fn system(&self) -> Arc<System> {
        Arc::clone(&self.system)
    }

    /// Counts the organizations.
    pub async fn organizations(&self) -> Result<i64, ActionError> {
        let stats = Stats::new(Arc::clone(&self.system), None);
        let counted = spawn_blocking(move || stats.organizations()).await;
        counted.map_err(|ended| ActionError::internal(panicked(&ended)))?
    }

    /// Returns the notifier that wakes the courier. Commits wake it by themselves.
    #[must_use]
    pub fn delivery_notifier(&self) -> DeliveryNotifier {
        self.notifier.clone()
    }

    /// Returns the server without a courier, for programs that send webhook deliveries themselves.
    #[must_use]
    pub fn without_courier(self) -> Self {
        Self { courier: None, ..self }
    }

    /// The certificate in use; `None` if connections are not encrypted.
    #[must_use]
    pub fn tls(&self) -> Option<&tls::Tls> {
        self.listener.tls()
    }

    /// Returns what the start found or created.
    #[must_use]
    pub const fn first_start(&self) -> &Start {
        &self.start
    }

    /// Returns the one-time token of the link that sets up the server in a browser, while no owner has a password.
    #[must_use]
    pub const fn setup_link(&self) -> Option<&SecretString> {
        self.setup_link.as_ref()
    }

    /// Stores that the first token was shown.
    pub async fn announced(&self) -> Result<(), ActionError> {
        let Start::Show { org, .. } = self.start else { return Ok(()) };
        let system = Arc::clone(&self.system);
        let done = spawn_blocking(move || bootstrap::announced(&system, org)).await;
        done.map_err(|ended| ActionError::internal(panicked(&ended)))?
    }

    /// Serves until `stop`, then finishes requests in progress, records pending counts and closes the database. Returns
    /// what was finished.
    pub async fn run(self, stop: CancellationToken) -> StopReport {
        let keeping = tokio::spawn(periodic_jobs::run(Arc::clone(&self.jobs), TICK, stop.clone()));
        let carrying = self.courier.map(|courier| tokio::spawn(courier.run(stop.clone())));
        let carrying = async { Some(carrying?.await) };
        let administering = self.admin_socket.map(|socket| tokio::spawn(socket.run(stop.clone(), self.stop_timeout)));
        let administering = async { Some(administering?.await) };
        let backing_up =
            self.backups.map(|backups| tokio::spawn(periodic_backup::run(backups, stop.clone(), self.stop_timeout)));
        let backing_up = async { Some(backing_up?.await) };
        let stopping = self.stopping;
        let telling = tokio::spawn({
            let stop = stop.clone();
            async move {
                stop.cancelled().await;
                stopping.cancel();
            }
        });
        let requests = self.listener.run(stop).await;
        let (_, carried, ..) = tokio::join!(keeping, carrying, administering, backing_up, telling);
        let jobs = self.jobs;
        let closed = spawn_blocking(move || {
            let failures = jobs.run_at_stop();
            for (job, error) in &failures {
                tracing::error!(job, %error, "a job failed while the server stopped; the data that it would have written is lost");
            }
            drop((self.system, jobs));
            failures.len()
        });
        let attempts = carried.and_then(Result::ok).unwrap_or_default();
        StopReport { requests, attempts, failed_jobs: closed.await.unwrap_or_default() }
    }
}

/// The message for work that panicked. The panic's own text is left out because it may contain secrets.
const fn panicked(_: &JoinError) -> &'static str {
    "a thread panicked: see the log for its location"
}

/// Creates the first organization and its owner, unless there is one. Only then is the bootstrap token read.
fn first_start(system: &System, settings: &Settings) -> Result<Start, StartError> {
    let token = if bootstrap::is_pending(system)? { settings.read_bootstrap_token()? } else { None };
    let first = FirstOwner { org_name: settings.bootstrap_org.clone(), email: settings.bootstrap_email.clone(), token };
    Ok(bootstrap::start(system, &first)?)
}

/// Creates a courier for the deliveries of `system`, woken by each commit that recorded something.
fn courier(system: &Arc<System>, settings: &Settings, env: Environment) -> (Courier, DeliveryNotifier) {
    let notifier = DeliveryNotifier::default();
    let listener = notifier.clone();
    system.app().subscribe(move |_| listener.notify());
    let sender = HttpSender::new(Arc::<SystemResolver>::default(), settings.webhook_allow.clone(), env);
    (Courier::new(Arc::clone(system), sender, notifier.clone()), notifier)
}

/// Loads the key that encrypts the secrets of webhooks and those for nodes. Without it the server runs, webhooks are
/// paused, and nodes get no secrets.
fn take_key(system: &System, path: Option<&Path>) -> Result<(), ActionError> {
    let key_file::KeyFileStatus { path, problem, waiting, .. } = key_file::open(system, path)?;
    if let Some(problem) = problem {
        tracing::warn!(key_file = %path.display(), %waiting, "the key file has a problem, and webhooks may be paused: {problem}");
    }
    Ok(())
}
