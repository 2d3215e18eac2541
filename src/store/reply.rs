//! The pending result of a change. It arrives after the commit, for a thread that waits or a task that is woken.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::StoreError;

/// A change that was handed to the writer, or one that was refused before.
#[must_use = "without it, it is unknown whether the change was made"]
#[derive(Debug)]
pub struct Reply<T, E>(Result<oneshot::Receiver<Result<T, E>>, E>);

impl<T, E: From<StoreError>> Reply<T, E> {
    pub(super) const fn coming(answer: oneshot::Receiver<Result<T, E>>) -> Self {
        Self(Ok(answer))
    }

    /// Creates the reply of a change that is not made.
    pub const fn refused(error: E) -> Self {
        Self(Err(error))
    }

    /// Blocks this thread until the change is on disk.
    pub fn wait(self) -> Result<T, E> {
        self.0?.recv().map_err(|_| stopped())?
    }
}

impl<T, E: From<StoreError>> IntoFuture for Reply<T, E> {
    type Output = Result<T, E>;
    type IntoFuture = ReplyFuture<T, E>;

    fn into_future(self) -> ReplyFuture<T, E> {
        ReplyFuture(self.0.map(IntoFuture::into_future).map_err(Some))
    }
}

/// The future of a [`Reply`].
pub struct ReplyFuture<T, E>(Result<oneshot::AsyncReceiver<Result<T, E>>, Option<E>>);

// Nothing in it is pinned.
impl<T, E> Unpin for ReplyFuture<T, E> {}

impl<T, E: From<StoreError>> Future for ReplyFuture<T, E> {
    type Output = Result<T, E>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T, E>> {
        match &mut self.0 {
            Err(refused) => Poll::Ready(Err(refused.take().unwrap_or_else(|| stopped().into()))),
            Ok(answer) => Pin::new(answer).poll(context).map(|answer| answer.map_err(|_| stopped())?),
        }
    }
}

/// Nobody commits changes any more.
pub(super) fn stopped() -> StoreError {
    StoreError::Internal("the writer has stopped".to_owned())
}
