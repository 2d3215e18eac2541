//! What will an action answer? Known once it and its event are on disk, and seen on its way out by whoever counts refusals.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::error::Error;
use super::signed_call::Watch;
use crate::store;

/// What an action will answer, once it and its event are on disk: a task awaits it, a thread waits for it.
#[must_use = "nobody knows whether it was done"]
pub struct Pending<T> {
    // The inner result is the action's; the outer one is the writer's.
    answer: store::Pending<Result<T, Error>, Error>,
    watch: Option<Watch>,
}

impl<T> Pending<T> {
    /// An action whose change was handed to the writer.
    pub(super) const fn coming(answer: store::Pending<Result<T, Error>, Error>) -> Self {
        Self { answer, watch: None }
    }

    /// An action that is not done.
    pub(super) const fn refused(error: Error) -> Self {
        Self::coming(store::Pending::refused(error))
    }

    /// Lets `watch` see the answer on its way out: only then is it known that no lost transaction took its place.
    pub(super) fn watched(self, watch: Watch) -> Self {
        Self { watch: Some(watch), ..self }
    }

    /// Waits on this thread.
    pub fn wait(self) -> Result<T, Error> {
        seen(self.watch.as_ref(), self.answer.wait())
    }
}

impl<T> IntoFuture for Pending<T> {
    type Output = Result<T, Error>;
    type IntoFuture = Answer<T>;

    fn into_future(self) -> Answer<T> {
        Answer { answer: self.answer.into_future(), watch: self.watch }
    }
}

/// The answer of an action, for a task.
pub struct Answer<T> {
    answer: store::Answer<Result<T, Error>, Error>,
    watch: Option<Watch>,
}

impl<T> Future for Answer<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T, Error>> {
        Pin::new(&mut self.answer).poll(context).map(|answer| seen(self.watch.as_ref(), answer))
    }
}

fn seen<T>(watch: Option<&Watch>, answer: Result<Result<T, Error>, Error>) -> Result<T, Error> {
    let answer = answer.and_then(|answer| answer);
    if let (Some(watch), Err(error)) = (watch, &answer) {
        watch.see(error);
    }
    answer
}
