//! How is a change put on disk? One thread takes all that wait, runs each in a savepoint of one transaction, commits once, then answers all.

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

/// Changes that may wait before a caller is told to come again.
pub(super) const QUEUE: usize = 4_096;

/// The right to write: only the writer's thread makes one, and what is written with it commits or is undone as a whole.
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
    /// Runs one statement and gives the number of rows that it changed.
    pub(super) fn execute(&self, sql: &str, params: impl rusqlite::Params) -> Result<usize, StoreError> {
        self.must_be_in_transaction()?;
        Ok(self.conn.prepare_cached(sql)?.execute(params)?)
    }

    /// Runs one statement that changes at most one row and gives what it returns of it.
    pub(super) fn returning<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        self.must_be_in_transaction()?;
        self.row(sql, params, read)
    }

    /// An earlier statement may have ended the transaction, so that another one would commit by itself.
    fn must_be_in_transaction(&self) -> Result<(), StoreError> {
        if self.conn.is_autocommit() { Err(StoreError::Full) } else { Ok(()) }
    }

    /// Whether what is written now uses the reserve of a full disk.
    #[must_use]
    pub const fn in_reserve(&self) -> bool {
        self.in_reserve
    }

    /// How many rows this connection has changed so far: whether something was changed in between.
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

/// A change that waits, with the way back to who asked for it.
trait Job: Send {
    fn urgency(&self) -> Urgency;
    /// Does the work; whether it is to be kept.
    fn run(&mut self, tx: &WriteTx<'_>) -> bool;
    /// Answers with what `run` found, if its transaction stands.
    fn answer(self: Box<Self>, lost: Option<Lost>);
}

/// Why a change was not made although its own work may have been well.
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
        // A refusal too was true only within the transaction: what it found may be undone.
        let outcome = match (lost, self.outcome) {
            (None, Some(outcome)) => outcome,
            (Some(lost), _) => Err(StoreError::from(lost).into()),
            (None, None) => Err(StoreError::Internal("a change was not run".to_owned()).into()),
        };
        // Whoever asked may have gone; the change stands all the same.
        let _ = self.reply.send(outcome);
    }
}

/// The handle of the writer's thread. Dropping it lets the queue run empty, checkpoints and joins.
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

    /// Hands a change over that commits if it succeeds. It is refused at once when too many wait.
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
