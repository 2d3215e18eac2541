//! How much of a request is taken in, and for how long? At most 64 KiB, and only until its deadline.

use std::time::{Duration, Instant};

use poem::error::ReadBodyError;
use poem::http::{StatusCode, header};
use poem::{Endpoint, Middleware, Request};

/// The most bytes of a body.
pub const MOST: usize = 64 * 1024;

/// When the whole request must have been received; the listener sets it.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(pub Instant);

/// The middleware that takes the body in before anything else is done.
pub struct Receive;

/// An endpoint that is only called with a request that is all there.
pub struct Received<E>(E);

impl<E: Endpoint> Middleware<E> for Receive {
    type Output = Received<E>;

    fn transform(&self, inner: E) -> Received<E> {
        Received(inner)
    }
}

impl<E: Endpoint> Endpoint for Received<E> {
    type Output = E::Output;

    async fn call(&self, mut request: Request) -> poem::Result<E::Output> {
        let declared = request.header(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        if declared.is_some_and(|length| length > MOST as u64) {
            return Err(ReadBodyError::PayloadTooLarge.into());
        }
        if declared == Some(0) || (declared.is_none() && !request.headers().contains_key(header::TRANSFER_ENCODING)) {
            return self.0.call(request).await;
        }
        let deadline = request.data::<Deadline>().map_or_else(|| Instant::now() + Duration::from_secs(30), |at| at.0);
        let body = request.take_body().into_bytes_limit(MOST);
        let bytes = tokio::time::timeout_at(deadline.into(), body).await;
        request.set_body(bytes.map_err(|_| poem::Error::from_status(StatusCode::REQUEST_TIMEOUT))??);
        self.0.call(request).await
    }
}
