//! The backups that the running server makes by itself, if `backup_dir` is set. Each one is verified before it gets its
//! name, and old ones are removed only after that.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::audit;
use crate::domain::time::Time;
use crate::engine::environment::Environment;
use crate::engine::system::System;
use crate::store::StoreError;
use crate::store::backup::{self, Made, Snapshot};
use crate::store::backup_dir::{self, DatedFile};

/// The longest wait after a backup that failed.
const RETRY: Duration = Duration::from_mins(1);

/// The maximum number of old files that are looked at, and removed, after one backup, so that a stop does not wait long.
const MOST_AT_ONCE: usize = 100;

/// What the settings say about periodic backups.
#[derive(Clone, Debug)]
pub struct BackupPlan {
    /// The directory that they are written to.
    pub dir: PathBuf,
    /// The time from the beginning of one to the beginning of the next.
    pub interval: Duration,
    /// How long they are kept.
    pub keep: Duration,
}

/// The periodic backups of one server.
#[derive(Debug)]
pub struct PeriodicBackups {
    plan: BackupPlan,
    database: PathBuf,
    /// Bytes that the server reserves for revocations on its disk.
    reserve: u64,
    env: Environment,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    stats: BackupStats,
    /// Since when backups have been failing, and how many did.
    outage: Option<(Instant, u64)>,
    /// Old files that stay, because they are no earlier states of this database.
    foreign: BTreeSet<PathBuf>,
}

/// What became of the periodic backups.
#[derive(Clone, Copy, Debug, Default)]
pub struct BackupStats {
    /// The state that the last one holds.
    pub last: Option<Time>,
    /// How long it took, with its verification.
    pub took: Duration,
    /// How many failed since the server started.
    pub failures: u64,
}

impl PeriodicBackups {
    /// The backups of the database of `system`, which reserves `reserve` bytes of its disk. Those that an earlier
    /// process made count.
    #[must_use]
    pub fn new(plan: BackupPlan, system: &System, reserve: u64) -> Self {
        let app = system.app();
        let last = backup_dir::list(&plan.dir).ok().and_then(|files| files.last().map(|file| file.at));
        let known = State { stats: BackupStats { last, ..BackupStats::default() }, ..State::default() };
        let (database, env) = (app.database().to_owned(), app.env.clone());
        Self { plan, database, reserve, env, state: Mutex::new(known) }
    }

    /// Returns what became of them.
    #[must_use]
    pub fn stats(&self) -> BackupStats {
        self.state().stats
    }

    /// Returns the time from the beginning of one backup to the beginning of the next.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.plan.interval
    }

    /// Returns how long to wait for the first backup of this process.
    #[must_use]
    pub fn first_wait(&self) -> Duration {
        let Some(last) = self.stats().last else { return Duration::ZERO };
        let wait = last.plus(self.plan.interval).millis().saturating_sub(self.env.now().millis());
        Duration::from_millis(u64::try_from(wait).unwrap_or_default()).min(self.plan.interval)
    }

    /// Makes a backup, and removes old ones. Gives up soon when `stopping` becomes true. Returns how long to wait for the
    /// next.
    pub fn run(&self, stopping: &AtomicBool) -> Duration {
        let began = Instant::now();
        let done = self.make(stopping).and_then(|made| {
            let took = began.elapsed();
            let mut state = self.state();
            state.stats = BackupStats { last: Some(made.at), took, ..state.stats };
            drop(state);
            let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(file = %made.path.display(), sha256 = made.sha256, ms = milliseconds, "a backup was made and verified");
            self.remove_old(&made.path)
        });
        match done {
            Ok(()) => self.succeeded(),
            Err(_) if stopping.load(Ordering::Relaxed) => {}
            Err(error) => {
                self.failed(&self.explained(error));
                return RETRY.min(self.plan.interval);
            }
        }
        self.plan.interval.saturating_sub(began.elapsed())
    }

    /// Counts a failure, and logs it if it is the first one of an outage.
    pub fn failed(&self, error: &str) {
        let mut state = self.state();
        state.stats.failures += 1;
        let (_, count) = state.outage.get_or_insert_with(|| (Instant::now(), 0));
        *count += 1;
        if *count == 1 {
            tracing::error!(error, "a periodic backup failed; further failures are not logged until one succeeds");
        }
    }

    fn succeeded(&self) {
        let ended = self.state().outage.take();
        if let Some((since, failures)) = ended {
            tracing::info!(seconds = since.elapsed().as_secs(), failures, "periodic backups succeed again");
        }
    }

    fn make(&self, stopping: &AtomicBool) -> Result<VerifiedBackup, StoreError> {
        let Self { plan: BackupPlan { dir, .. }, database, .. } = self;
        backup_dir::prepare(dir)?;
        let kept_free = backup_dir::kept_free(dir, database, self.reserve)?;
        let go_on = |bytes| {
            let gives_up = stopping.load(Ordering::Relaxed);
            if gives_up { Err(StoreError::Busy) } else { backup_dir::has_room(dir, bytes, kept_free) }
        };
        // Read before the snapshot is taken, so everything that was recorded until then is in it.
        let at = self.env.now();
        let path = dir.join(backup_dir::name(at));
        let Made { sha256, .. } = backup::make_beside_writer(database, &path, at, &go_on, verify)?;
        Ok(VerifiedBackup { at, path, sha256 })
    }

    /// Removes backups that are too old, of those that the new one continues. Age is measured by the safe time, so that a
    /// clock that leaps ahead does not remove everything.
    fn remove_old(&self, new: &Path) -> Result<(), StoreError> {
        let kept_from = self.env.safe_now().minus(self.plan.keep);
        let mut old = backup_dir::list(&self.plan.dir)?;
        let foreign = self.state().foreign.clone();
        old.retain(|file| file.at < kept_from && file.path != new && !foreign.contains(&file.path));
        if old.is_empty() {
            return Ok(());
        }
        let newer = Snapshot::open(new)?;
        for DatedFile { path, .. } in old.into_iter().take(MOST_AT_ONCE) {
            if !backup_dir::is_earlier_state(&path, &newer) {
                self.state().foreign.insert(path);
            } else if let Err(error) = std::fs::remove_file(&path) {
                let path = path.display();
                return Err(StoreError::Unusable(format!(
                    "the backup was made, but the old one {path} could not be removed: {error}"
                )));
            }
        }
        Ok(())
    }

    /// Says which disk is full.
    fn explained(&self, error: StoreError) -> String {
        match error {
            StoreError::Full => format!("the disk of {} is full: free disk space", self.plan.dir.display()),
            other => other.to_string(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A backup that was verified and has its name.
struct VerifiedBackup {
    at: Time,
    path: PathBuf,
    sha256: String,
}

/// Checks everything in a copy that was just made, as a restore will: its pages, indexes and constraints, and the chains
/// of its audit log.
fn verify(copy: &Path) -> Result<(), StoreError> {
    let wrong = |what: &str| {
        StoreError::Unusable(format!(
            "the copy was discarded, because the database or the disk is damaged ({what}): run `orgkeys doctor`"
        ))
    };
    Snapshot::open(copy)?.integrity()?.map_err(|what| wrong(&what))?;
    audit::verify(copy, &[]).map(drop).map_err(|error| wrong(&error.to_string()))
}
