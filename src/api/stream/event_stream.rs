//! One event stream: sends what is new in the audit log, page by page, and reads the next page only when the client has
//! taken the previous one.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::Shared;
use super::message::Message;
use super::search::SearchTurn;
use super::stream_quota::StreamSlot;
use crate::actions::stream::{self, Follower, StreamPage};
use crate::api::event::shown;
use crate::api::http::bridge::blocking;
use crate::domain::time::Time;
use crate::engine::app::App;
use crate::engine::error::{Error, ErrorKind};
use crate::store::audit::Shown;

/// Minimum pause between two reads after the log had nothing more, and the share of it for each open stream: together,
/// all streams read at most 1,000 times a second.
const STEP: Duration = Duration::from_millis(100);
const STEP_EACH: Duration = Duration::from_millis(1);

/// Size in bytes after which no further event is added to a piece. At most this much and one event of each stream waits
/// in memory.
const ENOUGH: usize = 64 * 1_024;

/// How long a client waits before it reconnects, in milliseconds.
const RETRY: u32 = 2_000;

/// A stream of events to one client.
pub struct EventStream {
    app: Arc<App>,
    shared: Arc<Shared>,
    follower: Follower,
    pub(super) last_id: watch::Receiver<i64>,
    /// Number of the last entry that was searched.
    pub(super) position: i64,
    /// The id to resume from, as sent to the client: the last entry of its own organization that was searched, whether
    /// shown or not. It is never `position`, which counts the entries of all organizations.
    resume_from: i64,
    phase: Phase,
    /// When the log was last read.
    looked_at: Instant,
    /// When a piece was last handed over.
    given: Instant,
    /// When the credential expires.
    ends: Option<Time>,
    _place: StreamSlot,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing was sent yet.
    New,
    /// The log has more.
    Behind,
    /// The log has more, but a whole read did not fill a page.
    Searching,
    /// The log had no more.
    Waiting,
    /// The last message was sent.
    Over,
}

/// Why a stream ends.
enum End {
    Stopped,
    Slow,
    Refused(Error),
}

impl EventStream {
    /// Creates a stream of what follows the entry `after`.
    pub fn new(app: Arc<App>, shared: Arc<Shared>, slot: StreamSlot, follower: Follower, after: i64) -> Self {
        let (last_id, now) = (shared.last_id.clone(), Instant::now());
        Self {
            app,
            shared,
            follower,
            last_id,
            position: after,
            resume_from: after,
            phase: Phase::New,
            looked_at: now,
            given: now,
            ends: None,
            _place: slot,
        }
    }

    /// Returns the pieces of the body. Each is produced when it is polled for.
    pub fn pieces(self) -> impl Stream<Item = io::Result<String>> + Send + 'static {
        futures_util::stream::unfold(self, |mut live| async {
            let piece = live.next().await?;
            // Until the next poll, this piece is being sent.
            live.given = Instant::now();
            Some((Ok(piece), live))
        })
    }

    async fn next(&mut self) -> Option<String> {
        match self.phase {
            Phase::Over => return None,
            Phase::New => {
                self.phase = Phase::Behind;
                return Some(format!("retry: {RETRY}\nid: {}\n\n", self.resume_from));
            }
            _ if self.given.elapsed() >= self.shared.settings.patience => return Some(self.end(End::Slow)),
            Phase::Behind | Phase::Searching | Phase::Waiting => {}
        }
        loop {
            let turn = match self.phase {
                Phase::Searching => self.turn().await,
                Phase::Waiting => {
                    self.wait().await;
                    None
                }
                Phase::New | Phase::Behind | Phase::Over => None,
            };
            if self.shared.stop.is_cancelled() {
                return Some(self.end(End::Stopped));
            }
            let stands = self.phase == Phase::Searching && turn.is_none();
            let result = if stands { Ok(String::new()) } else { self.look(turn).await };
            match result {
                Err(error) => return Some(self.end(End::Refused(error))),
                Ok(lines) if !lines.is_empty() => return Some(lines),
                Ok(_) if self.given.elapsed() >= self.shared.settings.comment => {
                    return Some(format!(": still here\nid: {}\n\n", self.resume_from));
                }
                Ok(_) => {}
            }
        }
    }

    /// Waits for a turn to search, at most until a comment is due.
    async fn turn(&self) -> Option<SearchTurn> {
        let turn = timeout_at(self.given + self.shared.settings.comment, self.shared.searches.turn());
        self.shared.stop.run_until_cancelled(turn).await?.ok()
    }

    /// Waits until there may be something to send, and a little longer, so that changes that are close together are
    /// read at once.
    async fn wait(&mut self) {
        let mut until = self.given + self.shared.settings.comment;
        if let Some(ends) = self.ends {
            let left = ends.millis().saturating_sub(self.app.now().millis());
            until = until.min(Instant::now() + Duration::from_millis(u64::try_from(left).unwrap_or(0)));
        }
        let pause = STEP.max(STEP_EACH * self.shared.stream_quota.open());
        let (stop, earliest) = (self.shared.stop.clone(), self.looked_at + pause);
        let waited = async {
            tokio::select! {
                // An error means that the sender is gone, and so the server.
                _ = self.last_id.changed() => {}
                () = sleep_until(until) => {}
            }
            sleep_until(earliest).await;
        };
        let _ = stop.run_until_cancelled(waited).await;
    }

    /// Reads a page on a blocking thread and returns it as messages.
    pub(super) async fn look(&mut self, turn: Option<SearchTurn>) -> Result<String, Error> {
        let permit = self.shared.scan_limit.begin(None).await?;
        // Before the page is read, so that a later entry notifies again.
        self.last_id.mark_unchanged();
        let (follower, after) = (self.follower.clone(), self.position);
        let read = blocking(&self.app, move |app| {
            let began = Instant::now();
            let StreamPage { mut slice, ends } = stream::page(app, &follower, after)?;
            let messages = EventMessages::of(std::mem::take(&mut slice.events))?;
            if let Some(turn) = turn {
                turn.over(began.elapsed());
            }
            drop(permit);
            Ok((slice, ends, messages))
        });
        let (slice, ends, messages) = read.await?;
        let resume_from = if messages.cut { messages.last } else { slice.own }.unwrap_or(self.resume_from);
        (self.resume_from, self.ends, self.looked_at) = (resume_from, ends, Instant::now());
        self.position = if messages.cut { resume_from } else { slice.upto };
        self.phase = match slice.more {
            _ if messages.cut => Phase::Behind,
            true if slice.full => Phase::Behind,
            true => Phase::Searching,
            false => Phase::Waiting,
        };
        Ok(messages.text)
    }

    /// Returns the last message.
    fn end(&mut self, end: End) -> String {
        self.phase = Phase::Over;
        let (reason, message) = match end {
            End::Stopped => ("stopped", "The server is stopping: reconnect and resume from resumeFrom".to_owned()),
            End::Slow => (
                "slow",
                "The client read too slowly while events were waiting: reconnect and resume from resumeFrom".to_owned(),
            ),
            End::Refused(error) => {
                if let Some(cause) = &error.cause {
                    tracing::error!(cause, "an event stream ended with an internal error");
                }
                (reason(error.kind), error.message)
            }
        };
        let data = json!({ "reason": reason, "message": message, "resumeFrom": self.resume_from }).to_string();
        let mut text = String::new();
        Message { id: self.resume_from.to_string(), event: "end".to_owned(), data }.write(&mut text);
        text
    }
}

const fn reason(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Unauthenticated => "credential",
        ErrorKind::Denied | ErrorKind::Missing | ErrorKind::Gone | ErrorKind::Conflict => "role",
        ErrorKind::Invalid | ErrorKind::TooMany | ErrorKind::Unavailable | ErrorKind::Internal => "server",
    }
}

/// Events as text.
struct EventMessages {
    text: String,
    /// Id of the last event.
    last: Option<i64>,
    /// Whether events were left over because the piece was full.
    cut: bool,
}

impl EventMessages {
    fn of(events: Vec<Shown>) -> Result<Self, Error> {
        let mut messages = Self { text: String::new(), last: None, cut: false };
        for event in events.into_iter().map(shown) {
            if messages.text.len() >= ENOUGH {
                messages.cut = true;
                break;
            }
            messages.last = Some(event.id);
            let (id, data) = (event.id.to_string(), serde_json::to_string(&event).map_err(Error::internal)?);
            Message { id, event: event.event, data }.write(&mut messages.text);
        }
        Ok(messages)
    }
}
