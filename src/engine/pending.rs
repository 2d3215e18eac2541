//! The future result of an action, available once the action and its event are on disk.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::error::Error;
use super::refusals::RefusalCounter;
use crate::store;

/// The result of an action, available once the action and its event are on disk. Tasks await it; threads call
/// [`Pending::wait`].
#[must_use = "the action may have failed"]
pub struct Pending<T> {
    answer: store::Reply<T, Error>,
    counter: Option<RefusalCounter>,
}

impl<T> Pending<T> {
    /// An action whose change was passed to the writer.
    pub(crate) const fn coming(answer: store::Reply<T, Error>) -> Self {
        Self { answer, counter: None }
    }

    /// An action that was refused.
    pub(crate) const fn refused(error: Error) -> Self {
        Self::coming(store::Reply::refused(error))
    }

    /// Lets `counter` see the result when it is returned: only then is it certain that the transaction was not lost.
    pub(crate) fn counted_by(self, counter: RefusalCounter) -> Self {
        Self { counter: Some(counter), ..self }
    }

    /// Blocks this thread until the result is available.
    pub fn wait(self) -> Result<T, Error> {
        counted(self.counter.as_ref(), self.answer.wait())
    }
}

impl<T> IntoFuture for Pending<T> {
    type Output = Result<T, Error>;
    type IntoFuture = PendingAnswer<T>;

    fn into_future(self) -> PendingAnswer<T> {
        PendingAnswer { answer: self.answer.into_future(), counter: self.counter }
    }
}

/// The result of an action, as a future.
pub struct PendingAnswer<T> {
    answer: store::ReplyFuture<T, Error>,
    counter: Option<RefusalCounter>,
}

impl<T> Future for PendingAnswer<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T, Error>> {
        Pin::new(&mut self.answer).poll(context).map(|answer| counted(self.counter.as_ref(), answer))
    }
}

fn counted<T>(counter: Option<&RefusalCounter>, answer: Result<T, Error>) -> Result<T, Error> {
    if let (Some(counter), Err(error)) = (counter, &answer) {
        counter.see(error);
    }
    answer
}
