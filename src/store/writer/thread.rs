//! The writer's thread. Everything queued forms one batch, and each change runs in a savepoint of the batch's
//! transaction.

use std::cell::Cell;
use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use rusqlite::Connection;

use super::{Job, Lost, WriteTx};
use crate::store::commit_notifier::CommitNotifier;
use crate::store::heads::Heads;
use crate::store::index::Index;
use crate::store::reserve::Reserve;
use crate::store::space::{self, Space, Urgency};
use crate::store::touched::Touches;
use crate::store::wal::Wal;
use crate::store::writer_metrics::WriterCounters;
use crate::store::{Options, ReadTx, StoreError, halt};

/// The maximum number of changes per transaction.
const BATCH: usize = 512;

/// While nothing is written, the log and the reserve are maintained this often.
const IDLE: Duration = Duration::from_secs(1);

/// The thread of the only writer.
pub(super) struct Thread {
    conn: Connection,
    heads: Heads,
    touches: Touches,
    index: Arc<Index>,
    notifier: Arc<CommitNotifier>,
    /// The last entry that listeners were notified of.
    notified_id: Cell<i64>,
    page_size: u32,
    wal: Wal,
    reserve: Reserve,
    options: Options,
    counters: Arc<WriterCounters>,
}

impl Thread {
    /// Takes over the database of `conn`; `file` is a descriptor of it that stays open.
    pub(super) fn new(
        conn: Connection,
        index: Arc<Index>,
        notifier: Arc<CommitNotifier>,
        file: Arc<File>,
        options: &Options,
        counters: Arc<WriterCounters>,
    ) -> Result<Self, StoreError> {
        Ok(Self {
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
            counters,
        })
    }

    /// Runs queued changes until the queue is closed.
    pub(super) fn run(self, jobs: &Receiver<Box<dyn Job>>) {
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
            // A full file may end the transaction at an ordinary change; revocations must not be lost with it.
            batch.sort_by_key(|job| job.urgency());
            let ordinary = batch.partition_point(|job| job.urgency() == Urgency::Ordinary);
            if ordinary < batch.len() && self.reserve.is_needed() {
                self.make_room();
            }
            if (1..batch.len()).contains(&ordinary) && space::is_near_reserve(&self.options) {
                // Nor at a COMMIT that finds the disk full, after which nothing can be run again: revocations are
                // committed first.
                self.commit_all(batch.split_off(ordinary));
            }
            self.commit_all(batch);
            self.fill_reserve();
        }
        self.wal.end(&self.conn);
    }

    /// Frees space on a full disk for revocations: from the log, then from the reserve, then what the log has taken of
    /// that.
    fn make_room(&self) {
        self.wal.give_back(&self.conn);
        if let Err(error) = self.reserve.give() {
            tracing::error!(%error, "no space could be freed from the disk reserve");
        }
        if self.reserve.is_needed() {
            self.wal.cut(&self.conn);
        }
    }

    fn fill_reserve(&self) {
        if let Err(error) = self.reserve.fill() {
            tracing::warn!(%error, "the disk reserve could not be filled; retrying");
        }
    }

    fn commit_all(&self, mut batch: Vec<Box<dyn Job>>) {
        while !batch.is_empty() {
            batch = self.commit(batch);
        }
    }

    /// Runs a batch in one transaction and replies to each caller. Returns the changes that must be run in another
    /// transaction.
    fn commit(&self, mut batch: Vec<Box<dyn Job>>) -> Vec<Box<dyn Job>> {
        let mut fates = Vec::with_capacity(batch.len());
        let lost = self.transaction(&mut batch, &mut fates).err();
        let mut again = Vec::new();
        self.wal.must_be_in_place(&self.conn);
        if lost.is_some() {
            // The change that ended the transaction is the one without a fate; if it was ordinary, the rest has not
            // run.
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
            self.counters.committed(batch.len());
        }
        let committed = lost.is_none();
        let fates = fates.into_iter().chain(std::iter::repeat(None));
        for (job, fate) in batch.into_iter().zip(fates) {
            self.counters.waited();
            job.answer(lost.or(fate));
        }
        if committed {
            self.wal.committed(&self.conn);
        }
        again
    }

    /// Returns how much may be written now. On a full disk, the log is truncated first.
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

    /// Runs one change. `Ok(Some(..))` if it alone found no space, `Err` if the whole transaction is lost.
    fn savepoint(&self, job: &mut dyn Job, space: &Space) -> Result<Option<Lost>, Lost> {
        if !space.admits(&self.conn, job.urgency()).map_err(|error| self.log(&error))? {
            return Ok(Some(Lost::Full));
        }
        self.statement("SAVEPOINT change")?;
        self.heads.begin();
        let read = ReadTx { conn: &self.conn };
        let commits =
            job.run(&WriteTx { read, heads: &self.heads, touches: &self.touches, in_reserve: !space.beyond_reserve() });
        if self.conn.is_autocommit() {
            // SQLITE_FULL, IOERR or NOMEM ended the transaction: another statement would commit by itself.
            return Err(Lost::Full);
        }
        if !commits {
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

    #[expect(clippy::unused_self, reason = "reads well at the call sites")]
    fn log(&self, error: &StoreError) -> Lost {
        tracing::error!(%error, "a database operation failed");
        Lost::from(error)
    }
}
