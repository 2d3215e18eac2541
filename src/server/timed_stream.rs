//! A connection that enforces its own deadlines: for the request head, idle time, reading the response, and closing.

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

/// How long the rest of a refused request is read and discarded after the response. Closing a connection with unread
/// bytes resets it, and the client may then lose the response too (RFC 9112, section 9.6).
const LINGER: Duration = Duration::from_secs(1);

/// The timeouts of each phase of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a whole head, from its first byte or from the start of the connection.
    pub head: Duration,
    /// For a whole request, from its first byte; also the longest time without progress in sending a response.
    pub request: Duration,
    /// Between a response and the next request.
    pub idle: Duration,
}

/// What a connection is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConnectionPhase {
    /// The first byte, since this time.
    New(Instant),
    /// The rest of a head that began at this time.
    Head(Instant),
    /// The server's own response.
    Answer,
    /// The client, to read what there is of the response; more may follow at any time.
    Sending,
    /// The client, to read the rest of the response.
    SendingRest,
    /// The client, to read the last response; part of its request was not read.
    SendingLast,
    /// The next request, since this time.
    Next(Instant),
}

/// The state that a connection shares with its service.
#[derive(Debug)]
pub struct ConnectionDeadlines {
    phase: Mutex<ConnectionPhase>,
    frames: Mutex<Frames>,
    timeouts: Timeouts,
}

impl ConnectionDeadlines {
    /// Creates the state of a new connection.
    pub fn new(timeouts: Timeouts) -> Arc<Self> {
        Arc::new(Self {
            phase: Mutex::new(ConnectionPhase::New(Instant::now())),
            frames: Mutex::new(Frames::new()),
            timeouts,
        })
    }

    /// Records that hyper has read a head that this body follows. Returns whether a line of the head ended in LF alone.
    pub fn head_ended(&self, body: &impl Body) -> bool {
        let length = if body.is_end_stream() { Some(0) } else { body.size_hint().exact() };
        self.frames().head_ended(length)
    }

    /// Records that a head is complete. Returns the deadline for its body.
    pub fn answering(&self) -> Instant {
        let began = match std::mem::replace(&mut *self.phase(), ConnectionPhase::Answer) {
            ConnectionPhase::New(began) | ConnectionPhase::Head(began) => began,
            ConnectionPhase::Answer
            | ConnectionPhase::Sending
            | ConnectionPhase::SendingRest
            | ConnectionPhase::SendingLast
            | ConnectionPhase::Next(_) => Instant::now(),
        };
        began + self.timeouts.request
    }

    /// Records that the head of a response is ready and `body` follows; `last` if it ends the connection.
    pub fn answered<B>(self: &Arc<Self>, last: bool, body: B) -> TimedBody<B> {
        *self.phase() = if last { ConnectionPhase::SendingLast } else { ConnectionPhase::Sending };
        TimedBody { body, deadlines: Arc::clone(self) }
    }

    /// Records that the response is complete.
    fn given(&self) {
        let mut phase = self.phase();
        if *phase == ConnectionPhase::Sending {
            *phase = ConnectionPhase::SendingRest;
        }
    }

    fn phase(&self) -> MutexGuard<'_, ConnectionPhase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn frames(&self) -> MutexGuard<'_, Frames> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records received bytes: the first ones, and the first ones after a response, begin a head.
    fn received(&self) {
        let mut phase = self.phase();
        match *phase {
            ConnectionPhase::New(began) => *phase = ConnectionPhase::Head(began),
            ConnectionPhase::Next(_) => *phase = ConnectionPhase::Head(Instant::now()),
            ConnectionPhase::Head(_)
            | ConnectionPhase::Answer
            | ConnectionPhase::Sending
            | ConnectionPhase::SendingRest
            | ConnectionPhase::SendingLast => {}
        }
    }

    /// Records that everything so far was sent. Returns whether that was the end of a response.
    fn sent(&self) -> bool {
        let mut phase = self.phase();
        let ended = *phase == ConnectionPhase::SendingRest;
        if ended {
            *phase = ConnectionPhase::Next(Instant::now());
        }
        ended
    }

    /// Whether a request is in progress or a response is being sent.
    pub fn is_busy(&self) -> bool {
        matches!(
            *self.phase(),
            ConnectionPhase::Answer
                | ConnectionPhase::Sending
                | ConnectionPhase::SendingRest
                | ConnectionPhase::SendingLast
        )
    }

    /// Whether no request is in progress, so that any bytes written are hyper's own response.
    fn is_unasked(&self) -> bool {
        matches!(*self.phase(), ConnectionPhase::New(_) | ConnectionPhase::Head(_) | ConnectionPhase::Next(_))
    }

    /// Whether a request has begun and will not be read to its end.
    fn is_refused(&self) -> bool {
        matches!(*self.phase(), ConnectionPhase::Head(_) | ConnectionPhase::SendingLast)
    }

    fn read_deadline(&self) -> Option<Instant> {
        match *self.phase() {
            ConnectionPhase::New(began) | ConnectionPhase::Head(began) => Some(began + self.timeouts.head),
            ConnectionPhase::Next(since) => Some(since + self.timeouts.idle),
            ConnectionPhase::Answer
            | ConnectionPhase::Sending
            | ConnectionPhase::SendingRest
            | ConnectionPhase::SendingLast => None,
        }
    }
}

/// The body of a response. hyper drops it once it has all of it, which marks the response as complete: a streamed
/// response may pause for longer than a connection may be idle.
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
    /// Bytes already received of the next part: a body, or another head.
    ahead: Vec<u8>,
    read_alarm: Alarm,
    write_alarm: Alarm,
    write_stalled: Option<Instant>,
    unasked: Unasked,
    /// Until when the rest of a refused request is discarded, once the server's side is closed.
    lingers: Option<Instant>,
}

impl<S> TimedStream<S> {
    /// Wraps `stream` to enforce `deadlines`.
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

    /// Returns the outcome of a write, or an error if there was no progress for too long.
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
    /// Reads a head or part of a body, and nothing beyond it.
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

    /// Reads and discards until the client has closed its side too, at most until `until`.
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
        // Checked also when bytes arrived, so that a slow trickle does not extend the deadline.
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
        // The next read may come only with the next bytes, so the timer for their absence is set here.
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

/// A timer that is created only when something has to wait.
#[derive(Default)]
struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Returns an error once `deadline` has passed; otherwise wakes the task at that time.
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
