//! How slow may a client be? A connection that keeps its deadlines itself: head, idle time, taking in the answer, and its end.

mod frames;
mod unasked;

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep_until};

use self::frames::Frames;
use self::unasked::Unasked;

/// How long the rest of a refused request is read and thrown away after its answer. A connection that is closed with
/// bytes unread is reset, and a reset can take away the answer too (RFC 9112, section 9.6).
const LINGER: Duration = Duration::from_secs(1);

/// How long each part of a connection's life may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// From the first byte of a head, or from the start, to its last.
    pub head: Duration,
    /// From the first byte of a request to its last; and without a step forward in an answer.
    pub request: Duration,
    /// Between an answer and the next request.
    pub idle: Duration,
}

/// What a connection is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The first byte, since this moment.
    New(Instant),
    /// The rest of a head that began at this moment.
    Head(Instant),
    /// Our own answer.
    Answer,
    /// The client, to take in what there is of the answer; more may follow, soon or late.
    Sending,
    /// The client, to take in the rest of the answer.
    SendingRest,
    /// The client, to take the last answer in; of its request something was not read.
    SendingLast,
    /// The next request, since this moment.
    Next(Instant),
}

/// What the connection and the service that answers on it both know.
#[derive(Debug)]
pub struct ConnectionDeadlines {
    phase: Mutex<Phase>,
    frames: Mutex<Frames>,
    timeouts: Timeouts,
}

impl ConnectionDeadlines {
    /// A connection that was opened now.
    pub fn new(timeouts: Timeouts) -> Arc<Self> {
        Arc::new(Self { phase: Mutex::new(Phase::New(Instant::now())), frames: Mutex::new(Frames::new()), timeouts })
    }

    /// hyper has read a head, and this body follows; gives whether a line of the head ended in LF alone.
    pub fn head_ended(&self, body: &impl Body) -> bool {
        let length = if body.is_end_stream() { Some(0) } else { body.size_hint().exact() };
        self.frames().head_ended(length)
    }

    /// A head is complete; gives the moment by which the body must be too.
    pub fn answering(&self) -> Instant {
        let began = match std::mem::replace(&mut *self.phase(), Phase::Answer) {
            Phase::New(began) | Phase::Head(began) => began,
            Phase::Answer | Phase::Sending | Phase::SendingRest | Phase::SendingLast | Phase::Next(_) => Instant::now(),
        };
        began + self.timeouts.request
    }

    /// The head of an answer is ready, and its body will be `body`; `last` when it ends the connection.
    pub fn answered<B>(self: &Arc<Self>, last: bool, body: B) -> TimedBody<B> {
        *self.phase() = if last { Phase::SendingLast } else { Phase::Sending };
        TimedBody { body, deadlines: Arc::clone(self) }
    }

    /// Nothing follows what was given of the answer.
    fn given(&self) {
        let mut phase = self.phase();
        if *phase == Phase::Sending {
            *phase = Phase::SendingRest;
        }
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn frames(&self) -> MutexGuard<'_, Frames> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes came in: the first, and the first after an answer, begin a head.
    fn received(&self) {
        let mut phase = self.phase();
        match *phase {
            Phase::New(began) => *phase = Phase::Head(began),
            Phase::Next(_) => *phase = Phase::Head(Instant::now()),
            Phase::Head(_) | Phase::Answer | Phase::Sending | Phase::SendingRest | Phase::SendingLast => {}
        }
    }

    /// Nothing is left to be sent for now; whether that was the end of an answer.
    fn sent(&self) -> bool {
        let mut phase = self.phase();
        let ended = *phase == Phase::SendingRest;
        if ended {
            *phase = Phase::Next(Instant::now());
        }
        ended
    }

    /// Whether a request was received that is yet to be answered, or an answer is on its way.
    pub fn is_busy(&self) -> bool {
        matches!(*self.phase(), Phase::Answer | Phase::Sending | Phase::SendingRest | Phase::SendingLast)
    }

    /// Whether nothing was asked that is yet to be answered: what is written then is hyper's own.
    fn is_unasked(&self) -> bool {
        matches!(*self.phase(), Phase::New(_) | Phase::Head(_) | Phase::Next(_))
    }

    /// Whether a request was begun and will not be read to its end.
    fn is_refused(&self) -> bool {
        matches!(*self.phase(), Phase::Head(_) | Phase::SendingLast)
    }

    fn read_deadline(&self) -> Option<Instant> {
        match *self.phase() {
            Phase::New(began) | Phase::Head(began) => Some(began + self.timeouts.head),
            Phase::Next(since) => Some(since + self.timeouts.idle),
            Phase::Answer | Phase::Sending | Phase::SendingRest | Phase::SendingLast => None,
        }
    }
}

/// The body of an answer. hyper lets go of it once it has all of it, which is how the pace knows that nothing follows: an
/// answer that is made as it goes out may pause for longer than a connection may be idle.
pub struct TimedBody<B> {
    body: B,
    deadlines: Arc<ConnectionDeadlines>,
}

impl<B: Body + Unpin> Body for TimedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for TimedBody<B> {
    fn drop(&mut self) {
        self.deadlines.given();
    }
}

/// A stream that fails with `TimedOut` when its client is too slow.
pub struct TimedStream<S> {
    stream: S,
    deadlines: Arc<ConnectionDeadlines>,
    /// What was received of the next part: a body, or another head.
    ahead: Vec<u8>,
    read_alarm: Alarm,
    write_alarm: Alarm,
    write_stalled: Option<Instant>,
    unasked: Unasked,
    /// Until when the rest of a refused request is thrown away, once our side is closed.
    lingers: Option<Instant>,
}

impl<S> TimedStream<S> {
    /// Keeps `deadlines` over `stream`.
    pub fn new(stream: S, deadlines: Arc<ConnectionDeadlines>) -> Self {
        let (read_alarm, write_alarm) = (Alarm::default(), Alarm::default());
        let unasked = Unasked::default();
        Self {
            stream,
            deadlines,
            ahead: Vec::new(),
            read_alarm,
            write_alarm,
            write_stalled: None,
            unasked,
            lingers: None,
        }
    }

    /// Passes a write's outcome on, unless nothing has moved for too long.
    fn written<T>(&mut self, context: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.write_stalled = None;
            return outcome;
        }
        let since = *self.write_stalled.get_or_insert_with(Instant::now);
        self.write_alarm.check(context, Some(since + self.deadlines.timeouts.request)).map(Err)
    }
}

impl<S: AsyncRead + Unpin> TimedStream<S> {
    /// Reads a head, or some of a body, and nothing of what follows it.
    fn poll_part(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut frames = self.deadlines.frames();
        if self.ahead.is_empty() {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
            let received = &buffer.filled()[before..];
            let taken = frames.measure(received);
            self.ahead = received[taken..].to_vec();
            buffer.set_filled(before + taken);
        } else {
            let some = self.ahead.len().min(buffer.remaining());
            let taken = frames.measure(&self.ahead[..some]);
            buffer.put_slice(&self.ahead[..taken]);
            self.ahead.drain(..taken);
        }
        Poll::Ready(Ok(()))
    }

    /// Reads until the client has closed its side too, at the latest until `until`.
    fn throw_away(&mut self, context: &mut Context<'_>, until: Instant) -> Poll<()> {
        if self.read_alarm.check(context, Some(until)).is_ready() {
            return Poll::Ready(());
        }
        let mut scratch = [0; 4_096];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let outcome = this.poll_part(context, buffer);
        if buffer.filled().len() > before {
            this.deadlines.received();
        }
        // Checked also when bytes came: a byte a second must not win time.
        let deadline = this.deadlines.read_deadline();
        if outcome.is_pending() || deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return this.read_alarm.check(context, deadline).map(Err);
        }
        outcome
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TimedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let outcome = if this.deadlines.is_unasked() {
            this.unasked.poll_write(&mut this.stream, context, bytes)
        } else {
            Pin::new(&mut this.stream).poll_write(context, bytes)
        };
        this.written(context, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.deadlines.is_unasked() {
            let first = bytes.iter().find(|bytes| !bytes.is_empty());
            return self.poll_write(context, first.map_or(&[], |first| first));
        }
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.written(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let outcome = Pin::new(&mut this.stream).poll_flush(context);
        // Nobody reads again before the next bytes come, so the alarm for their absence must be set here.
        if matches!(outcome, Poll::Ready(Ok(()))) && this.deadlines.sent() {
            let deadline = this.deadlines.read_deadline();
            if this.read_alarm.check(context, deadline).is_ready() {
                context.waker().wake_by_ref();
            }
        }
        this.written(context, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let until = if let Some(until) = this.lingers {
            until
        } else {
            let outcome = Pin::new(&mut this.stream).poll_shutdown(context);
            if !matches!(outcome, Poll::Ready(Ok(()))) || !this.deadlines.is_refused() {
                return this.written(context, outcome);
            }
            *this.lingers.insert(Instant::now() + LINGER.min(this.deadlines.timeouts.request))
        };
        this.throw_away(context, until).map(Ok)
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

#[cfg(test)]
mod tests;
