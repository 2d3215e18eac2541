//! What will an action answer? Known once it and its event are on disk, and seen on its way out by whoever counts refusals.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::error::Error;
use super::refusals::RefusalCounter;
use crate::store;

/// What an action will answer, once it and its event are on disk: a task awaits it, a thread waits for it.
#[must_use = "nobody knows whether it was done"]
pub struct Pending<T> {
    answer: store::Reply<T, Error>,
    counter: Option<RefusalCounter>,
}

impl<T> Pending<T> {
    /// An action whose change was handed to the writer.
    pub(crate) const fn coming(answer: store::Reply<T, Error>) -> Self {
        Self { answer, counter: None }
    }

    /// An action that is not done.
    pub(crate) const fn refused(error: Error) -> Self {
        Self::coming(store::Reply::refused(error))
    }

    /// Lets `counter` see the answer on its way out: only then is it known that no lost transaction took its place.
    pub(crate) fn counted_by(self, counter: RefusalCounter) -> Self {
        Self { counter: Some(counter), ..self }
    }

    /// Waits on this thread.
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

/// The answer of an action, for a task.
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
