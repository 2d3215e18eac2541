//! How does it run? Bind, open, say the address, serve, and stop without losing what has begun.

pub mod clock;
pub mod courier;
pub mod listener;
mod pace;
pub mod tls;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::{JoinError, spawn_blocking};
use tokio_util::sync::CancellationToken;

use self::courier::{Carrier, Courier, Doorbell, Office, System};
use crate::actions::app::App;
use crate::actions::bootstrap::{self, FirstOwner, Start};
use crate::actions::error::Error as ActionError;
use crate::actions::limits::Limits;
use crate::actions::outside::Outside;
use crate::actions::retention::Retention;
use crate::actions::{api_key, audit, backup, clock as time, delivery, key_file, node, refusals};
use crate::api::stream::Manner;
use crate::api::{self, Face, metrics::Metrics};
use crate::config::Settings;
use crate::store::{Options, Room, Store};

/// How often the last uses of API keys are written and the clock is looked at. At every second time, beginning with the
/// first, the counts of refused calls are recorded, a new backup is noticed, what is too old leaves the audit log and the
/// outbox, and it is announced which API keys end soon and which nodes are silent.
const HOUSEKEEPING: Duration = Duration::from_secs(30);

/// Why the server cannot start; the text says what to do.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct StartError(String);

/// A server that has its address and its database, and is ready to answer.
pub struct Server {
    listener: listener::Listener,
    app: Arc<App>,
    address: SocketAddr,
    start: Start,
    /// Told to what answers without an end of its own.
    stopping: CancellationToken,
    courier: Option<Courier>,
    bell: Doorbell,
    retention: Arc<Retention>,
}

/// How a store is opened under these settings.
#[must_use]
pub fn store_options(settings: &Settings) -> Options {
    Options {
        path: settings.database.clone(),
        readers: settings.readers,
        room: Room::new(settings.disk_reserve.0, settings.database_max.0),
    }
}

/// The limits on actions under these settings.
#[must_use]
pub fn limits(settings: &Settings) -> Limits {
    Limits {
        org_keys: settings.max,
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

/// Opens the app under these settings.
pub fn open(options: &Options, limits: Limits, outside: Outside) -> Result<App, ActionError> {
    App::new(Store::open(options)?, outside, limits)
}

impl Server {
    /// Binds the address, opens the database and makes the first organization if there is none.
    pub async fn start(settings: Settings, outside: Outside) -> Result<Self, StartError> {
        let options = store_options(&settings);
        Self::start_on(settings, options, outside).await
    }

    /// As [`Server::start`], on a store opened as `options` say; a test keeps a hand on its room.
    pub async fn start_on(settings: Settings, options: Options, outside: Outside) -> Result<Self, StartError> {
        listener::raise_descriptor_limit();
        let tls = tls::load(&settings).map_err(StartError)?;
        let bound = TcpListener::bind(settings.listen).await.map_err(|error| {
            StartError(format!("cannot listen on {}: {error}. Choose another address with --listen", settings.listen))
        })?;
        let address = bound.local_addr().map_err(|error| StartError(error.to_string()))?;
        if !address.ip().is_loopback() && tls.is_none() {
            tracing::warn!(%address, "tokens cross the network in the clear: set tls_cert and tls_key, or put a TLS proxy in front");
        }
        let limits = limits(&settings);
        let first = FirstOwner {
            org_name: settings.bootstrap_org.clone(),
            email: settings.bootstrap_email.clone(),
            token: settings.bootstrap_token.clone(),
        };
        let handed_in = outside.clone();
        let key_file = settings.key_file.clone();
        let opened = spawn_blocking(move || {
            let app = open(&options, limits, handed_in)?;
            let start = bootstrap::start(&app, &first)?;
            take_key(&app, key_file.as_deref())?;
            Ok::<_, ActionError>((app, start))
        });
        let opened = opened.await.map_err(|ended| StartError(panicked(&ended).to_owned()))?;
        let (app, start) = opened.map_err(|error| StartError(error.to_string()))?;
        if settings.bootstrap_token.is_some() && matches!(start, Start::Known) {
            tracing::info!("there is an organization already: the bootstrap settings are ignored");
        }
        let stopping = CancellationToken::new();
        let metrics = Arc::new(Metrics::new(app.now()));
        let app = Arc::new(app);
        let face = Face {
            app: Arc::clone(&app),
            metrics: Arc::clone(&metrics),
            trusted_proxies: settings.trusted_proxy.clone(),
            cors_origins: settings.cors_origins.clone(),
            metrics_token: settings.metrics_token.clone(),
            // Half of it, since who takes nothing in for all of it is cut off and can be told nothing.
            streams: Manner { comment: settings.stream_comment, patience: settings.request_timeout / 2 },
            stop: stopping.clone(),
        };
        let listener = listener::Listener::new(bound, tls, api::endpoint(face), metrics, &settings);
        let (courier, bell) = courier(&app, &settings, outside);
        let retention = Arc::new(Retention::new(settings.audit_days));
        Ok(Self { listener, app, address, start, stopping, courier: Some(courier), bell, retention })
    }

    /// The address it listens on, with the port that the system chose if it was asked to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What is done here, for whoever runs the server in their own process.
    #[must_use]
    pub fn app(&self) -> Arc<App> {
        Arc::clone(&self.app)
    }

    /// What calls the courier; commits ring it by themselves.
    #[must_use]
    pub fn doorbell(&self) -> Doorbell {
        self.bell.clone()
    }

    /// The same without a courier, for whoever carries webhook deliveries out by other means.
    #[must_use]
    pub fn without_courier(self) -> Self {
        Self { courier: None, ..self }
    }

    /// Whether connections are encrypted.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.listener.is_tls()
    }

    /// What the start found or made.
    #[must_use]
    pub const fn first_start(&self) -> &Start {
        &self.start
    }

    /// Remembers that the first token was shown.
    pub async fn announced(&self) -> Result<(), ActionError> {
        let Start::Show { org, .. } = self.start else { return Ok(()) };
        let app = Arc::clone(&self.app);
        let done = spawn_blocking(move || bootstrap::announced(&app, org)).await;
        done.map_err(|ended| ActionError::internal(panicked(&ended)))?
    }

    /// Serves until `stop`, then finishes what has begun, records what is counted and closes the database.
    pub async fn run(self, stop: CancellationToken) {
        let keeping = tokio::spawn(keep_house(Arc::clone(&self.app), self.retention, stop.clone()));
        let carrying = self.courier.map(|courier| tokio::spawn(courier.run(stop.clone())));
        let carrying = async { Some(carrying?.await) };
        let stopping = self.stopping;
        let telling = tokio::spawn({
            let stop = stop.clone();
            async move {
                stop.cancelled().await;
                stopping.cancel();
            }
        });
        self.listener.run(stop).await;
        let _ = tokio::join!(keeping, carrying, telling);
        let app = self.app;
        let closed = spawn_blocking(move || {
            if let Err(error) = refusals::flush(&app, true) {
                tracing::error!(%error, "the last counts of refused calls could not be recorded");
            }
            if let Err(error) = audit::page::flush(&app) {
                tracing::error!(%error, "the last readings of the audit log could not be recorded");
            }
            if let Err(error) = api_key::flush_uses(&app) {
                tracing::error!(%error, "the last uses of API keys could not be written");
            }
            if let Err(error) = time::keep(&app) {
                tracing::error!(%error, "how far time has come could not be written");
            }
            drop(app);
        });
        let _ = closed.await;
    }
}

/// What may be said of work that panicked: its own words may quote secrets.
const fn panicked(_: &JoinError) -> &'static str {
    "a thread panicked: the log says where"
}

/// A courier for what `app` has for it, called by each commit that recorded something.
fn courier(app: &Arc<App>, settings: &Settings, outside: Outside) -> (Courier, Doorbell) {
    let bell = Doorbell::default();
    let rung = bell.clone();
    app.hear(move |_| rung.ring());
    let carrier = Carrier::new(Arc::<System>::default(), settings.webhook_allow.clone(), outside);
    (Courier::new(Arc::new(Office(Arc::clone(app))), carrier, bell.clone()), bell)
}

/// What is looked after every minute. Each of it is bounded, and what fails is tried again in a minute.
pub fn every_minute(app: &App) -> Result<(), ActionError> {
    refusals::flush(app, false)?;
    backup::notice(app)?;
    api_key::ending::announce(app)?;
    node::silence::announce(app)?;
    delivery::forget::keep(app)
}

/// Takes the key that seals webhooks' secrets. Without it the server runs, and they wait.
fn take_key(app: &App, path: Option<&Path>) -> Result<(), ActionError> {
    let key_file::Standing { path, problem, waiting, .. } = key_file::open(app, path)?;
    if let Some(problem) = problem {
        tracing::warn!(key_file = %path.display(), waiting, "webhooks may wait for their key file: {problem}");
    }
    Ok(())
}

async fn keep_house(app: Arc<App>, retention: Arc<Retention>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(HOUSEKEEPING);
    ticks.tick().await;
    let mut whole_minute = true;
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let (app, retention) = (Arc::clone(&app), Arc::clone(&retention));
        let kept = spawn_blocking(move || {
            let written = api_key::flush_uses(&app);
            time::keep(&app)?;
            if whole_minute {
                every_minute(&app)?;
                retention.keep(&app)?;
            }
            written
        });
        if let Ok(Err(error)) = kept.await {
            tracing::warn!(%error, "housekeeping failed; it is tried again in a minute");
        }
        whole_minute = !whole_minute;
    }
}
