//! How is a change put on disk? One thread takes all that wait, runs each in a savepoint of one transaction, commits once, then answers all.

use std::cell::Cell;
use std::fs::File;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use super::commit_notifier::CommitNotifier;
use super::heads::Heads;
use super::index::Index;
use super::reserve::Reserve;
use super::space::{self, Space, Urgency};
use super::touched::Touches;
use super::wal::Wal;
use super::writer_metrics::{Figures, WriterMetrics};
use super::{Options, ReadTx, Reply, StoreError, halt};
use crate::domain::panic;

/// Changes that may wait before a caller is told to come again.
pub(super) const QUEUE: usize = 4_096;

/// Changes of one transaction.
const BATCH: usize = 512;

/// While nothing is written, the log and the reserve are looked after so often.
const IDLE: Duration = Duration::from_secs(1);

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
    F: FnOnce(&WriteTx<'_>) -> Result<T, E> + Send,
{
    fn urgency(&self) -> Urgency {
        self.urgency
    }

    fn run(&mut self, tx: &WriteTx<'_>) -> bool {
        let Some(work) = self.work.take() else { return false };
        let outcome = catch_unwind(AssertUnwindSafe(|| work(tx))).unwrap_or_else(|panic| {
            Err(StoreError::Internal(format!("a change panicked: {}", panic::text(&*panic))).into())
        });
        self.outcome.insert(outcome).is_ok()
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
    figures: Arc<Figures>,
}

impl Writer {
    pub(super) fn start(
        conn: Connection,
        (index, notifier): (Arc<Index>, Arc<CommitNotifier>),
        file: Arc<File>,
        options: &Options,
    ) -> Result<Self, StoreError> {
        let (queue, jobs) = sync_channel(QUEUE);
        let figures = Arc::new(Figures::default());
        let thread = Thread {
            page_size: conn.query_row("PRAGMA page_size", [], |row| row.get(0))?,
            wal: Wal::take_over(&conn, &options.path, file)?,
            reserve: Reserve::of(&options.path, options.room.reserve),
            conn,
            heads: Heads::default(),
            touches: Touches::default(),
            index,
            notifier,
            notified_id: Cell::new(0),
            options: options.clone(),
            figures: Arc::clone(&figures),
        };
        let thread = std::thread::Builder::new().name("writer".to_owned()).spawn(move || thread.run(&jobs))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), figures })
    }

    /// Hands a change over. It is refused at once when too many wait.
    pub(super) fn write<T, E>(
        &self,
        urgency: Urgency,
        work: impl FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Reply<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Task { urgency, work: Some(work), outcome: None, reply });
        let Some(queue) = &self.queue else { return Reply::refused(stopped().into()) };
        self.figures.wait();
        match queue.try_send(job) {
            Ok(()) => Reply::coming(answer),
            Err(error) => {
                self.figures.waited();
                Reply::refused(match error {
                    TrySendError::Full(_) => StoreError::Busy.into(),
                    TrySendError::Disconnected(_) => stopped().into(),
                })
            }
        }
    }

    pub(super) fn figures(&self) -> WriterMetrics {
        self.figures.read()
    }
}

fn stopped() -> StoreError {
    StoreError::Internal("the writer has stopped".to_owned())
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Thread {
    conn: Connection,
    heads: Heads,
    touches: Touches,
    index: Arc<Index>,
    notifier: Arc<CommitNotifier>,
    /// The last entry that listeners were told of.
    notified_id: Cell<i64>,
    page_size: u32,
    wal: Wal,
    reserve: Reserve,
    options: Options,
    figures: Arc<Figures>,
}

impl Thread {
    fn run(self, jobs: &Receiver<Box<dyn Job>>) {
        self.fill_reserve();
        loop {
            let first = match jobs.recv_timeout(IDLE) {
                Ok(first) => first,
                Err(RecvTimeoutError::Timeout) => {
                    self.wal.idle(&self.conn);
                    self.fill_reserve();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let mut batch = vec![first];
            batch.extend(jobs.try_iter().take(BATCH - 1));
            // A full file may end the transaction at an ordinary change; what revokes must not go down with it.
            batch.sort_by_key(|job| job.urgency());
            let ordinary = batch.partition_point(|job| job.urgency() == Urgency::Ordinary);
            if ordinary < batch.len() && self.reserve.is_needed() {
                self.make_room();
            }
            if (1..batch.len()).contains(&ordinary) && space::is_near_reserve(&self.options) {
                // Nor at a COMMIT that finds the disk full, after which nothing can be run again: it has the disk first.
                self.commit_all(batch.split_off(ordinary));
            }
            self.commit_all(batch);
            self.fill_reserve();
        }
        self.wal.end(&self.conn);
    }

    /// Gives what revokes free room on a full disk: the log's, then the reserve's, then what the log has taken of that.
    fn make_room(&self) {
        self.wal.give_back(&self.conn);
        if let Err(error) = self.reserve.give() {
            tracing::error!(%error, "no room could be taken from the reserve of the disk");
        }
        if self.reserve.is_needed() {
            self.wal.cut(&self.conn);
        }
    }

    fn fill_reserve(&self) {
        if let Err(error) = self.reserve.fill() {
            tracing::warn!(%error, "the reserve of the disk could not be filled; it is tried again");
        }
    }

    fn commit_all(&self, mut batch: Vec<Box<dyn Job>>) {
        while !batch.is_empty() {
            batch = self.commit(batch);
        }
    }

    /// Runs a batch in one transaction and answers each of its changes, but for those that it gives back to be tried in another.
    fn commit(&self, mut batch: Vec<Box<dyn Job>>) -> Vec<Box<dyn Job>> {
        let mut fates = Vec::with_capacity(batch.len());
        let lost = self.transaction(&mut batch, &mut fates).err();
        let mut again = Vec::new();
        self.wal.must_be_in_place(&self.conn);
        if lost.is_some() {
            // The change that ended the transaction is the one without a fate; after an ordinary one the rest has not run.
            if batch.get(fates.len()).is_some_and(|job| job.urgency() == Urgency::Ordinary) {
                again = batch.split_off(batch.partition_point(|job| job.urgency() == Urgency::Ordinary));
            }
            self.heads.forget();
            self.touches.forget();
            if !self.conn.is_autocommit()
                && let Err(error) = self.conn.execute_batch("ROLLBACK")
            {
                tracing::error!(%error, "a rollback failed");
            }
        } else {
            self.index.renew(&ReadTx { conn: &self.conn }, &self.touches);
            self.notify();
            self.figures.committed(batch.len());
        }
        let committed = lost.is_none();
        let fates = fates.into_iter().chain(std::iter::repeat(None));
        for (job, fate) in batch.into_iter().zip(fates) {
            self.figures.waited();
            job.answer(lost.or(fate));
        }
        if committed {
            self.wal.committed(&self.conn);
        }
        again
    }

    /// How much may be written now. On a full disk the log gives back what it does not need.
    fn space(&self) -> Result<Space, StoreError> {
        let space = Space::look(&self.conn, &self.options, self.page_size)?;
        if space.beyond_reserve() {
            return Ok(space);
        }
        self.wal.give_back(&self.conn);
        Space::look(&self.conn, &self.options, self.page_size)
    }

    fn transaction(&self, batch: &mut [Box<dyn Job>], fates: &mut Vec<Option<Lost>>) -> Result<(), Lost> {
        let space = self.space().map_err(|error| self.log(&error))?;
        self.statement("BEGIN IMMEDIATE")?;
        self.wal.mark(&self.conn).map_err(|error| self.log(&error.into()))?;
        for job in batch {
            fates.push(self.savepoint(job.as_mut(), &space)?);
        }
        self.statement("COMMIT").inspect_err(|lost| {
            if matches!(lost, Lost::Internal) {
                halt::disk_failed();
            }
        })
    }

    /// Runs one change; `Ok(Some(..))` when it alone found no room, `Err` when the whole transaction is gone.
    fn savepoint(&self, job: &mut dyn Job, space: &Space) -> Result<Option<Lost>, Lost> {
        if !space.admits(&self.conn, job.urgency()).map_err(|error| self.log(&error))? {
            return Ok(Some(Lost::Full));
        }
        self.statement("SAVEPOINT change")?;
        self.heads.begin();
        let read = ReadTx { conn: &self.conn };
        let kept =
            job.run(&WriteTx { read, heads: &self.heads, touches: &self.touches, in_reserve: !space.beyond_reserve() });
        if self.conn.is_autocommit() {
            // SQLITE_FULL, IOERR or NOMEM ended the transaction: a further statement would commit by itself.
            return Err(Lost::Full);
        }
        if !kept {
            self.heads.undo();
            self.statement("ROLLBACK TO change")?;
        }
        self.statement("RELEASE change")?;
        Ok(None)
    }

    fn notify(&self) {
        let last = self.heads.last_id().unwrap_or(0);
        if last > self.notified_id.replace(last) {
            self.notifier.notify(last);
        }
    }

    fn statement(&self, sql: &str) -> Result<(), Lost> {
        let result = self.conn.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
        result.map(|_| ()).map_err(|error| self.log(&StoreError::from(error)))
    }

    #[expect(clippy::unused_self, reason = "reads as what it does where it is called")]
    fn log(&self, error: &StoreError) -> Lost {
        tracing::error!(%error, "the store failed");
        Lost::from(error)
    }
}
