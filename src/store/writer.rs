//! The writer. One thread takes all queued changes, runs each in a savepoint of one transaction, commits once, then
//! replies to all callers.

mod thread;

use std::fs::File;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use self::thread::Thread;
use super::commit_notifier::CommitNotifier;
use super::heads::Heads;
use super::index::Index;
use super::reply::stopped;
use super::space::Urgency;
use super::touched::Touches;
use super::writer_metrics::{WriterCounters, WriterMetrics};
use super::{Options, ReadTx, Reply, StoreError};
use crate::domain::panic;

/// How many changes may be queued before callers are told to retry.
pub(super) const QUEUE: usize = 4_096;

/// Write access, created only on the writer's thread. What a change writes with it is committed or undone as a whole.
pub struct WriteTx<'c> {
    read: ReadTx<'c>,
    pub(super) heads: &'c Heads,
    pub(super) touches: &'c Touches,
    in_reserve: bool,
}

impl<'c> Deref for WriteTx<'c> {
    type Target = ReadTx<'c>;

    fn deref(&self) -> &ReadTx<'c> {
        &self.read
    }
}

impl WriteTx<'_> {
    /// Runs one statement and returns the number of rows that it changed.
    pub(super) fn execute(&self, sql: &str, params: impl rusqlite::Params) -> Result<usize, StoreError> {
        self.must_be_in_transaction()?;
        Ok(self.conn.prepare_cached(sql)?.execute(params)?)
    }

    /// Runs one statement that changes at most one row, and returns what its RETURNING clause yields.
    pub(super) fn returning<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        self.must_be_in_transaction()?;
        self.row(sql, params, read)
    }

    /// Fails if an earlier statement has ended the transaction, because another statement would then commit by itself.
    fn must_be_in_transaction(&self) -> Result<(), StoreError> {
        if self.conn.is_autocommit() { Err(StoreError::Full) } else { Ok(()) }
    }

    /// Returns whether writes now use the reserve of a full disk.
    #[must_use]
    pub const fn in_reserve(&self) -> bool {
        self.in_reserve
    }

    /// Returns how many rows this connection has changed so far, to detect changes in between.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.conn.total_changes()
    }
}

/// Why a change is answered with an error, and what becomes of what it wrote. A plain error undoes it.
#[derive(Debug)]
pub enum Rejection<E> {
    /// The change failed: what it wrote is undone.
    Undone(E),
    /// The change was refused: what it wrote is the record of that, and is committed.
    Recorded(E),
}

impl<E: From<StoreError>> From<StoreError> for Rejection<E> {
    fn from(error: StoreError) -> Self {
        Self::Undone(error.into())
    }
}

/// A queued change, with the channel to its caller.
trait Job: Send {
    fn urgency(&self) -> Urgency;
    /// Runs the change; returns whether to keep it.
    fn run(&mut self, tx: &WriteTx<'_>) -> bool;
    /// Replies with the result of `run`, unless its transaction was lost.
    fn answer(self: Box<Self>, lost: Option<Lost>);
}

/// Why a change was not made although its own work may have succeeded.
#[derive(Clone, Copy, Debug)]
enum Lost {
    Full,
    Busy,
    Internal,
}

impl From<Lost> for StoreError {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Full => Self::Full,
            Lost::Busy => Self::Busy,
            Lost::Internal => Self::Internal("the transaction was rolled back".to_owned()),
        }
    }
}

impl From<&StoreError> for Lost {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Full => Self::Full,
            StoreError::Busy => Self::Busy,
            StoreError::Unusable(_)
            | StoreError::InUse { .. }
            | StoreError::Foreign { .. }
            | StoreError::Damaged { .. }
            | StoreError::Internal(_) => Self::Internal,
        }
    }
}

struct Task<T, E, F> {
    urgency: Urgency,
    work: Option<F>,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Job for Task<T, E, F>
where
    T: Send,
    E: From<StoreError> + Send,
    F: FnOnce(&WriteTx<'_>) -> Result<T, Rejection<E>> + Send,
{
    fn urgency(&self) -> Urgency {
        self.urgency
    }

    fn run(&mut self, tx: &WriteTx<'_>) -> bool {
        let Some(work) = self.work.take() else { return false };
        let outcome = catch_unwind(AssertUnwindSafe(|| work(tx))).unwrap_or_else(|panic| {
            Err(StoreError::Internal(format!("a change panicked: {}", panic::text(&*panic))).into())
        });
        let (commits, outcome) = match outcome {
            Ok(value) => (true, Ok(value)),
            Err(Rejection::Recorded(error)) => (true, Err(error)),
            Err(Rejection::Undone(error)) => (false, Err(error)),
        };
        self.outcome = Some(outcome);
        commits
    }

    fn answer(self: Box<Self>, lost: Option<Lost>) {
        // A refusal is void too: what it was based on may have been undone.
        let outcome = match (lost, self.outcome) {
            (None, Some(outcome)) => outcome,
            (Some(lost), _) => Err(StoreError::from(lost).into()),
            (None, None) => Err(StoreError::Internal("a change was not run".to_owned()).into()),
        };
        // The caller may be gone; the change stands nevertheless.
        let _ = self.reply.send(outcome);
    }
}

/// The handle of the writer's thread. Dropping it empties the queue, checkpoints the log and joins the thread.
pub(super) struct Writer {
    queue: Option<SyncSender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
    counters: Arc<WriterCounters>,
}

impl Writer {
    pub(super) fn start(
        conn: Connection,
        (index, notifier): (Arc<Index>, Arc<CommitNotifier>),
        file: Arc<File>,
        options: &Options,
    ) -> Result<Self, StoreError> {
        let (queue, jobs) = sync_channel(QUEUE);
        let counters = Arc::new(WriterCounters::default());
        let thread = Thread::new(conn, index, notifier, file, options, Arc::clone(&counters))?;
        let thread = std::thread::Builder::new().name("writer".to_owned()).spawn(move || thread.run(&jobs))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), counters })
    }

    /// Queues a change that commits if it succeeds. It is refused immediately if the queue is full.
    pub(super) fn write<T, E>(
        &self,
        urgency: Urgency,
        work: impl FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Reply<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.decide(urgency, move |tx| work(tx).map_err(Rejection::Undone))
    }

    /// The same with a change that may commit its refusal, too.
    pub(super) fn decide<T, E>(
        &self,
        urgency: Urgency,
        work: impl FnOnce(&WriteTx<'_>) -> Result<T, Rejection<E>> + Send + 'static,
    ) -> Reply<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Task { urgency, work: Some(work), outcome: None, reply });
        let Some(queue) = &self.queue else { return Reply::refused(stopped().into()) };
        self.counters.wait();
        match queue.try_send(job) {
            Ok(()) => Reply::coming(answer),
            Err(error) => {
                self.counters.waited();
                Reply::refused(match error {
                    TrySendError::Full(_) => StoreError::Busy.into(),
                    TrySendError::Disconnected(_) => stopped().into(),
                })
            }
        }
    }

    pub(super) fn metrics(&self) -> WriterMetrics {
        self.counters.read()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
