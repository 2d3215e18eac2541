//! The accept loop: deadlines for slow clients, a limit on connections, and a pause when file descriptors run out.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use poem::endpoint::BoxEndpoint;
use poem::http::header::CONNECTION;
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Addr, Endpoint, Request, Response};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::timed_stream::{ConnectionDeadlines, TimedStream, Timeouts};
use super::tls::Tls;
use crate::api::http::head::BareLf;
use crate::api::http::metrics::Metrics;
use crate::api::http::receive::Deadline;
use crate::config::Settings;

/// The pause after a failed accept, so that the loop does not spin when there are no file descriptors.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// The maximum size of a request's head, and of each buffer of a connection, in bytes.
const HEAD: usize = 16 * 1024;

/// A bound address and the service behind it.
pub struct Listener {
    bound: TcpListener,
    service: Arc<Service>,
    slots: Arc<Semaphore>,
    stop_timeout: Duration,
}

/// What became of the requests that were in progress when the server stopped.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestsAtStop {
    /// How many were finished.
    pub finished: usize,
    /// How many were cut off, because they took longer than the stop timeout or their connection broke.
    pub cut_off: usize,
}

struct Service {
    endpoint: BoxEndpoint<'static, Response>,
    tls: Option<Tls>,
    metrics: Arc<Metrics>,
    timeouts: Timeouts,
    /// The connections with a request in progress at the stop: all, and those that have finished it.
    busy_at_stop: AtomicUsize,
    finished_at_stop: AtomicUsize,
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
    /// Creates a listener that serves connections to `bound` with `endpoint`.
    pub fn new(
        bound: TcpListener,
        tls: Option<Tls>,
        endpoint: BoxEndpoint<'static, Response>,
        metrics: Arc<Metrics>,
        settings: &Settings,
    ) -> Self {
        let timeouts =
            Timeouts { head: settings.header_timeout, request: settings.request_timeout, idle: settings.idle_timeout };
        let (busy_at_stop, finished_at_stop) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self {
            bound,
            service: Arc::new(Service { endpoint, tls, metrics, timeouts, busy_at_stop, finished_at_stop }),
            slots: Arc::new(Semaphore::new(settings.max_connections as usize)),
            stop_timeout: settings.stop_timeout,
        }
    }

    /// The certificate in use; `None` if connections are not encrypted.
    #[must_use]
    pub fn tls(&self) -> Option<&Tls> {
        self.service.tls.as_ref()
    }

    /// Accepts connections until `stop`, then lets requests in progress finish within the stop timeout. Returns what
    /// became of them.
    pub async fn run(self, stop: CancellationToken) -> RequestsAtStop {
        let (tasks, kill) = (TaskTracker::new(), CancellationToken::new());
        let watching = self.service.tls.as_ref().map(|tls| tokio::spawn(tls.clone().watch(stop.clone())));
        while let Some((stream, peer, slot)) = self.next(&stop).await {
            let (service, stop, kill) = (Arc::clone(&self.service), stop.clone(), kill.clone());
            tasks.spawn(async move {
                service.metrics.connected();
                // Boxed, because `run_until_cancelled` would reserve memory for it twice in each connection.
                kill.run_until_cancelled(Box::pin(service.serve(stream, peer, stop))).await;
                service.metrics.disconnected();
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
        let [busy, finished] =
            [&self.service.busy_at_stop, &self.service.finished_at_stop].map(|count| count.load(Ordering::Relaxed));
        RequestsAtStop { finished, cut_off: busy - finished }
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

impl Service {
    async fn serve(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, stop: CancellationToken) {
        let Ok(local) = stream.local_addr() else { return };
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let deadlines = ConnectionDeadlines::new(self.timeouts);
        match &self.tls {
            None => self.answer(stream, deadlines, (local, peer), Scheme::HTTP, stop).await,
            // Boxed, because it is three times as large and would make every connection as large.
            Some(tls) => {
                let shaking = Box::pin(tokio::time::timeout(self.timeouts.head, tls.acceptor().accept(stream)));
                if let Some(Ok(Ok(stream))) = stop.run_until_cancelled(shaking).await {
                    Box::pin(self.answer(stream, deadlines, (local, peer), Scheme::HTTPS, stop)).await;
                }
            }
        }
    }

    async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
        self: &Arc<Self>,
        stream: S,
        deadlines: Arc<ConnectionDeadlines>,
        (local, peer): (SocketAddr, SocketAddr),
        scheme: Scheme,
        stop: CancellationToken,
    ) {
        let timed_stream = TokioIo::new(TimedStream::new(stream, Arc::clone(&deadlines)));
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let (service, deadlines, scheme) = (Arc::clone(self), Arc::clone(&deadlines), scheme.clone());
            // Not inside the future, so that it runs before anything more is read.
            let bare = deadlines.head_ended(request.body());
            async move {
                let deadline = deadlines.answering();
                let addresses = (LocalAddr(Addr::from(local)), RemoteAddr(Addr::from(peer)));
                let mut request = Request::from((request, addresses.0, addresses.1, scheme));
                request.set_data(Deadline(deadline));
                if bare {
                    request.set_data(BareLf);
                }
                let response = service.endpoint.get_response(request).await;
                let last = response.header(CONNECTION).is_some_and(|value| value.eq_ignore_ascii_case("close"));
                Ok::<_, Infallible>(hyper::Response::from(response).map(|body| deadlines.answered(last, body)))
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            // A client may close its sending side after the request. This also lets a request finish whose client has
            // disconnected.
            .half_close(true)
            .max_buf_size(HEAD)
            .serve_connection(timed_stream, service);
        let mut connection = std::pin::pin!(connection);
        // Errors here are clients that disconnected or were too slow, so there is no one to report to.
        // A stop does not wait for connections without a request in progress.
        if stop.run_until_cancelled(connection.as_mut()).await.is_none() && deadlines.is_busy() {
            self.busy_at_stop.fetch_add(1, Ordering::Relaxed);
            connection.as_mut().graceful_shutdown();
            if connection.await.is_ok() {
                self.finished_at_stop.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
