//! The accept loop: deadlines for slow clients, a limit on connections, and a pause when file descriptors run out.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use poem::endpoint::BoxEndpoint;
use poem::http::uri::Scheme;
use poem::{Addr, Response};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{Ends, RequestsAtStop, Service};
use super::timed_stream::ConnectionDeadlines;
use super::tls::Tls;
use crate::api::http::metrics::Metrics;
use crate::config::Settings;

/// The pause after a failed accept, so that the loop does not spin when there are no file descriptors.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// The API, which the unix socket answers with, too.
pub(super) type Api = Arc<BoxEndpoint<'static, Response>>;

/// A bound address and the service behind it.
pub struct Listener {
    bound: TcpListener,
    connections: Arc<Connections>,
    slots: Arc<Semaphore>,
    stop_timeout: Duration,
}

/// How connections are served.
struct Connections {
    service: Arc<Service<Api>>,
    tls: Option<Tls>,
    metrics: Arc<Metrics>,
}

/// Raises the limit of open files to the maximum permitted for the process.
pub fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}

impl Listener {
    /// Creates a listener that serves connections to `bound` with `api`.
    pub fn new(bound: TcpListener, tls: Option<Tls>, api: Api, metrics: Arc<Metrics>, settings: &Settings) -> Self {
        let service = Arc::new(Service::new(api, settings));
        Self {
            bound,
            connections: Arc::new(Connections { service, tls, metrics }),
            slots: Arc::new(Semaphore::new(settings.max_connections as usize)),
            stop_timeout: settings.stop_timeout,
        }
    }

    /// The certificate in use; `None` if connections are not encrypted.
    #[must_use]
    pub fn tls(&self) -> Option<&Tls> {
        self.connections.tls.as_ref()
    }

    /// Accepts connections until `stop`, then lets requests in progress finish within the stop timeout. Returns what
    /// became of them.
    pub async fn run(self, stop: CancellationToken) -> RequestsAtStop {
        let (tasks, kill) = (TaskTracker::new(), CancellationToken::new());
        let watching = self.connections.tls.as_ref().map(|tls| tokio::spawn(tls.clone().watch(stop.clone())));
        while let Some((stream, peer, slot)) = self.next(&stop).await {
            let (connections, stop, kill) = (Arc::clone(&self.connections), stop.clone(), kill.clone());
            tasks.spawn(async move {
                connections.metrics.connected();
                // Boxed, because `run_until_cancelled` would reserve memory for it twice in each connection.
                kill.run_until_cancelled(Box::pin(connections.serve(stream, peer, stop))).await;
                connections.metrics.disconnected();
                drop(slot);
            });
        }
        drop(self.bound);
        tasks.close();
        if tokio::time::timeout(self.stop_timeout, tasks.wait()).await.is_err() {
            tracing::warn!("some connections did not finish within stop_timeout and are being closed");
            kill.cancel();
            tasks.wait().await;
        }
        if let Some(watching) = watching {
            let _ = watching.await;
        }
        self.connections.service.at_stop()
    }

    /// Returns the next connection once there is a slot for it; `None` when it is time to stop.
    async fn next(&self, stop: &CancellationToken) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let slot = stop.run_until_cancelled(Arc::clone(&self.slots).acquire_owned()).await?.ok()?;
        loop {
            match stop.run_until_cancelled(self.bound.accept()).await? {
                Ok((stream, peer)) => return Some((stream, peer, slot)),
                // The client disconnected before it was accepted; the next one need not wait.
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await?;
                }
            }
        }
    }
}

impl Connections {
    async fn serve(&self, stream: TcpStream, peer: SocketAddr, stop: CancellationToken) {
        let Ok(local) = stream.local_addr() else { return };
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let timeouts = self.service.timeouts();
        let deadlines = ConnectionDeadlines::new(timeouts);
        let ends = Ends { local: Addr::from(local), peer: Addr::from(peer) };
        match &self.tls {
            None => self.service.answer(stream, deadlines, ends, Scheme::HTTP, stop).await,
            // Boxed, because it is three times as large and would make every connection as large.
            Some(tls) => {
                let shaking = Box::pin(tokio::time::timeout(timeouts.head, tls.acceptor().accept(stream)));
                if let Some(Ok(Ok(stream))) = stop.run_until_cancelled(shaking).await {
                    Box::pin(self.service.answer(stream, deadlines, ends, Scheme::HTTPS, stop)).await;
                }
            }
        }
    }
}
