//! How slow may a client be? A connection that keeps its deadlines itself: head, idle time, and taking in the answer.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep_until};

/// How long each part of a connection's life may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// From the first byte of a head, or from the start, to its last.
    pub head: Duration,
    /// From the first byte of a request to its last; and without a step forward in an answer.
    pub request: Duration,
    /// Between an answer and the next request.
    pub idle: Duration,
}

/// What a connection is waiting for.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The rest of a head that began at this moment.
    Head(Instant),
    /// Our own answer.
    Answer,
    /// The next request, since this moment.
    Next(Instant),
}

/// What the connection and the service that answers on it both know.
#[derive(Debug)]
pub struct Pace {
    phase: Mutex<Phase>,
    deadlines: Deadlines,
}

impl Pace {
    /// A connection that was opened now.
    pub fn new(deadlines: Deadlines) -> Arc<Self> {
        Arc::new(Self { phase: Mutex::new(Phase::Head(Instant::now())), deadlines })
    }

    /// A head is complete; gives the moment by which the body must be too.
    pub fn answering(&self) -> Instant {
        let began = match self.replace(Phase::Answer) {
            Phase::Head(began) => began,
            Phase::Answer | Phase::Next(_) => Instant::now(),
        };
        began + self.deadlines.request
    }

    /// An answer is ready.
    pub fn answered(&self) {
        self.replace(Phase::Next(Instant::now()));
    }

    fn replace(&self, phase: Phase) -> Phase {
        std::mem::replace(&mut *self.phase.lock().unwrap_or_else(PoisonError::into_inner), phase)
    }

    /// Bytes came in: the first after an answer begin a head.
    fn received(&self) {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*phase, Phase::Next(_)) {
            *phase = Phase::Head(Instant::now());
        }
    }

    fn read_deadline(&self) -> Option<Instant> {
        match *self.phase.lock().unwrap_or_else(PoisonError::into_inner) {
            Phase::Head(began) => Some(began + self.deadlines.head),
            Phase::Next(since) => Some(since + self.deadlines.idle),
            Phase::Answer => None,
        }
    }
}

/// A stream that fails with `TimedOut` when its client is too slow.
pub struct Paced<S> {
    stream: S,
    pace: Arc<Pace>,
    read_alarm: Alarm,
    write_alarm: Alarm,
    write_stalled: Option<Instant>,
}

impl<S> Paced<S> {
    /// Keeps `pace` over `stream`.
    pub fn new(stream: S, pace: Arc<Pace>) -> Self {
        Self { stream, pace, read_alarm: Alarm::default(), write_alarm: Alarm::default(), write_stalled: None }
    }

    /// Passes a write's outcome on, unless nothing has moved for too long.
    fn written<T>(&mut self, context: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.write_stalled = None;
            return outcome;
        }
        let since = *self.write_stalled.get_or_insert_with(Instant::now);
        self.write_alarm.check(context, Some(since + self.pace.deadlines.request)).map(Err)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let outcome = Pin::new(&mut this.stream).poll_read(context, buffer);
        if outcome.is_ready() {
            this.pace.received();
        }
        // Checked also when bytes came: a byte a second must not win time.
        let deadline = this.pace.read_deadline();
        if outcome.is_pending() || deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return this.read_alarm.check(context, deadline).map(Err);
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.written(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        self.written(context, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(context);
        self.written(context, outcome)
    }
}

/// A timer that is only made when something has to wait.
#[derive(Default)]
struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready with an error once `deadline` has passed; else wakes the task then.
    fn check(&mut self, context: &mut Context<'_>, deadline: Option<Instant>) -> Poll<io::Error> {
        let Some(deadline) = deadline.map(tokio::time::Instant::from_std) else { return Poll::Pending };
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        sleep.as_mut().poll(context).map(|()| io::ErrorKind::TimedOut.into())
    }
}
