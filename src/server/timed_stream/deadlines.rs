//! What a connection is waiting for, and until when it may.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::body::{Body, Frame, SizeHint};

use super::frames::Frames;

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
    pub(super) timeouts: Timeouts,
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

    pub(super) fn frames(&self) -> MutexGuard<'_, Frames> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records received bytes: the first ones, and the first ones after a response, begin a head.
    pub(super) fn received(&self) {
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
    pub(super) fn sent(&self) -> bool {
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
    pub(super) fn is_unasked(&self) -> bool {
        matches!(*self.phase(), ConnectionPhase::New(_) | ConnectionPhase::Head(_) | ConnectionPhase::Next(_))
    }

    /// Whether a request has begun and will not be read to its end.
    pub(super) fn is_refused(&self) -> bool {
        matches!(*self.phase(), ConnectionPhase::Head(_) | ConnectionPhase::SendingLast)
    }

    pub(super) fn read_deadline(&self) -> Option<Instant> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A moment after `earlier`.
    fn later_than(earlier: Instant) -> Instant {
        std::iter::repeat_with(Instant::now).find(|now| *now > earlier).expect("time passes")
    }

    #[test]
    fn a_request_has_its_time_from_its_first_byte() {
        let [head, request, idle] = [1, 2, 3].map(Duration::from_secs);
        let deadlines = ConnectionDeadlines::new(Timeouts { head, request, idle });
        let opened = later_than(Instant::now());
        later_than(opened);
        // The first request begins with the connection.
        deadlines.received();
        assert!(deadlines.read_deadline() < Some(opened + head));
        assert!(deadlines.answering() < opened + request);
        // The next one begins with its first byte, not with the response before it.
        drop(deadlines.answered(false, String::new()));
        assert!(deadlines.sent());
        let answered = later_than(Instant::now());
        assert!(deadlines.read_deadline() < Some(answered + idle));
        deadlines.received();
        let began = later_than(Instant::now());
        assert!(deadlines.read_deadline() > Some(answered + head) && deadlines.read_deadline() < Some(began + head));
        deadlines.received();
        let deadline = deadlines.answering();
        assert!(deadline > answered + request && deadline < began + request);
    }
}
