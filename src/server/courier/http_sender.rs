//! Sends one attempt: a POST on a new connection, within 15 seconds. Only the status and `Retry-After` of the response
//! matter.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use http_body_util::Full;
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderMap, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use tokio::io::AsyncReadExt;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::rustls::RootCertStore;

use super::connect::{Connector, EACH, Stream, is_own, trusting};
use super::resolver::Resolver;
use crate::crypto::webhook_signature;
use crate::domain::address::Target;
use crate::domain::delivery::{Attempt, Outcome};
use crate::domain::time::Time;
use crate::engine::environment::Environment;

/// The timeout of an attempt.
const WHOLE: Duration = Duration::from_secs(15);

/// The maximum number of bytes read from the head and from the body of a response.
const HEAD: usize = 16 * 1024;
const BODY: usize = 64 * 1024;

/// How long the body of a response is read. The result is in the head, but a receiver might treat a connection that is
/// closed during its response as a failure.
const LISTEN: Duration = Duration::from_secs(2);

/// Sends deliveries to their receivers.
pub struct HttpSender {
    connector: Connector,
    /// For the wall clock: receivers compare the timestamp with their own clock, so it must not stand still after the
    /// clock was set back.
    env: Environment,
}

impl HttpSender {
    /// Creates a sender that resolves names with `resolver` and trusts the system's certificates. It may reach the
    /// private networks in `opened`.
    #[must_use]
    pub fn new(resolver: Arc<dyn Resolver>, opened: Vec<IpNet>, env: Environment) -> Self {
        Self { connector: Connector { resolver, opened, tls: OnceCell::new(), is_own, each: EACH }, env }
    }

    /// Trusts these certificates instead of the system's.
    #[must_use]
    pub fn trusting(mut self, roots: RootCertStore) -> Self {
        self.connector.tls = OnceCell::new_with(Some(trusting(roots)));
        self
    }

    /// Makes one attempt.
    pub async fn send(&self, attempt: &Attempt) -> Outcome {
        self.exchange(attempt, Instant::now() + WHOLE).await.unwrap_or_else(|why| Outcome::Failed { why })
    }

    async fn exchange(&self, attempt: &Attempt, end: Instant) -> Result<Outcome, &'static str> {
        let target = Target::parse(&attempt.url).map_err(|_| "the URL is not valid for a webhook")?;
        let request = self.request(attempt, &target)?;
        let stream = self.connector.connect(&target, end).await?;
        // Ends the connection when it is dropped, whatever the result.
        let mut connection = JoinSet::new();
        let asking = async {
            let mut sender = open(stream, &mut connection).await?;
            sender.send_request(request).await
        };
        let response = match timeout_at(end, asking).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.is_parse() => return Err("the receiver's response is not HTTP, or is too long"),
            Ok(Err(_)) => return Err("the receiver closed the connection without a response"),
            Err(_) => return Err("the receiver did not respond in time"),
        };
        let outcome = self.outcome(&response);
        let _ = timeout_at(end.min(Instant::now() + LISTEN), listen(response.into_body())).await;
        Ok(outcome)
    }

    fn request(&self, attempt: &Attempt, target: &Target) -> Result<Request<Full<Bytes>>, &'static str> {
        let (id, seconds) = (attempt.id.to_string(), self.env.wall_clock().millis().div_euclid(1_000));
        let signature = webhook_signature::sign(&attempt.secrets, &id, seconds, &attempt.body);
        let request = Request::builder()
            .method(Method::POST)
            .uri(target.path())
            .header(HOST, target.authority())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("orgkeys/", env!("CARGO_PKG_VERSION")))
            .header(CONNECTION, "close")
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signature);
        request.body(Full::new(Bytes::from(attempt.body.clone()))).map_err(|_| "the URL cannot be requested")
    }

    fn outcome(&self, response: &Response<Incoming>) -> Outcome {
        match response.status() {
            status if status.is_success() => Outcome::Taken { status: status.as_u16() },
            StatusCode::GONE => Outcome::Gone,
            status => {
                let retry_after = retry_after(response.headers(), self.env.wall_clock());
                Outcome::Refused { status: status.as_u16(), retry_after }
            }
        }
    }
}

async fn open(
    stream: Box<dyn Stream>,
    connection: &mut JoinSet<hyper::Result<()>>,
) -> hyper::Result<http1::SendRequest<Full<Bytes>>> {
    // Interim responses have heads too, and a receiver could send an endless number of them.
    let (reading, writing) = tokio::io::split(stream);
    let stream = tokio::io::join(reading.take((HEAD + BODY) as u64), writing);
    let (sender, driver) = http1::Builder::new().max_buf_size(HEAD).handshake(TokioIo::new(stream)).await?;
    connection.spawn(driver);
    Ok(sender)
}

/// Reads a body up to the limit and discards it.
async fn listen(mut body: Incoming) {
    let mut read = 0;
    while read < BODY {
        match std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            Some(Ok(frame)) => read += frame.data_ref().map_or(0, Bytes::len),
            Some(Err(_)) | None => return,
        }
    }
}

/// Returns how long the receiver asks to wait: a number of seconds, or until a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now: Time) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that overflows still asks to wait.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::from(u32::MAX))));
    }
    let until = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    let until = i64::try_from(until.as_millis()).ok()?;
    Some(Duration::from_millis(u64::try_from(until.saturating_sub(now.millis())).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-01-15T10:30:00Z.
    const NOW: Time = Time::from_millis(1_705_314_600_000);

    fn read(value: &'static str) -> Option<Duration> {
        retry_after(&HeaderMap::from_iter([(RETRY_AFTER, hyper::header::HeaderValue::from_static(value))]), NOW)
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(read("120"), Some(Duration::from_mins(2)));
        assert_eq!(read("0"), Some(Duration::ZERO));
        assert_eq!(read("Mon, 15 Jan 2024 10:35:00 GMT"), Some(Duration::from_mins(5)));
        assert_eq!(read("Monday, 15-Jan-24 10:35:00 GMT"), Some(Duration::from_mins(5)));
        assert_eq!(read("Mon, 15 Jan 2024 10:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(read("99999999999999999999"), Some(Duration::from_secs(u64::from(u32::MAX))));
    }

    #[test]
    fn invalid_retry_after_values_are_ignored() {
        for value in
            ["", "-1", "1.5", "soon", "+5", "0x10", "Mon, 99 Jan 2024 10:35:00 GMT", "Thu, 01 Jan 1960 00:00:00 GMT"]
        {
            assert_eq!(read(value), None, "{value}");
        }
    }
}
