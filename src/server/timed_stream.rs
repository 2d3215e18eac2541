//! A connection that enforces its own deadlines: for the request head, idle time, reading the response, and closing.

mod deadlines;
mod frames;
mod unasked;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep_until};

pub use self::deadlines::{ConnectionDeadlines, Timeouts};
use self::unasked::Unasked;

/// How long the rest of a refused request is read and discarded after the response. Closing a connection with unread
/// bytes resets it, and the client may then lose the response too (RFC 9112, section 9.6).
const LINGER: Duration = Duration::from_secs(1);

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
