//! Serves the requests of one connection with an endpoint, within the deadlines for slow clients.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use poem::http::header::CONNECTION;
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Addr, Endpoint, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::timed_stream::{ConnectionDeadlines, TimedStream, Timeouts};
use crate::api::http::head::BareLf;
use crate::api::http::receive::Deadline;
use crate::config::Settings;

/// The maximum size of a request's head, and of each buffer of a connection, in bytes.
const HEAD: usize = 16 * 1024;

/// What became of the requests that were in progress when the server stopped.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestsAtStop {
    /// How many were finished.
    pub finished: usize,
    /// How many were cut off, because they took longer than the stop timeout or their connection broke.
    pub cut_off: usize,
}

/// The two ends of a connection.
#[derive(Clone)]
pub(super) struct Ends {
    pub(super) local: Addr,
    pub(super) peer: Addr,
}

/// What answers the requests of connections.
pub(super) struct Service<E> {
    endpoint: E,
    timeouts: Timeouts,
    /// The connections with a request in progress at the stop: all, and those that have finished it.
    busy_at_stop: AtomicUsize,
    finished_at_stop: AtomicUsize,
}

impl<E: Endpoint<Output = Response>> Service<E> {
    /// Creates a service with the timeouts of these settings.
    pub(super) const fn new(endpoint: E, settings: &Settings) -> Self {
        let timeouts =
            Timeouts { head: settings.header_timeout, request: settings.request_timeout, idle: settings.idle_timeout };
        Self { endpoint, timeouts, busy_at_stop: AtomicUsize::new(0), finished_at_stop: AtomicUsize::new(0) }
    }

    /// The timeouts of a connection.
    pub(super) const fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// Returns what became of the requests in progress at the stop.
    pub(super) fn at_stop(&self) -> RequestsAtStop {
        let [busy, finished] = [&self.busy_at_stop, &self.finished_at_stop].map(|count| count.load(Ordering::Relaxed));
        RequestsAtStop { finished, cut_off: busy - finished }
    }

    /// Answers requests until the client or `stop` ends the connection.
    pub(super) async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
        self: &Arc<Self>,
        stream: S,
        deadlines: Arc<ConnectionDeadlines>,
        ends: Ends,
        scheme: Scheme,
        stop: CancellationToken,
    ) {
        let timed_stream = TokioIo::new(TimedStream::new(stream, Arc::clone(&deadlines)));
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let (service, deadlines, scheme) = (Arc::clone(self), Arc::clone(&deadlines), scheme.clone());
            let Ends { local, peer } = ends.clone();
            // Not inside the future, so that it runs before anything more is read.
            let bare = deadlines.head_ended(request.body());
            async move {
                let deadline = deadlines.answering();
                let mut request = Request::from((request, LocalAddr(local), RemoteAddr(peer), scheme));
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
