//! The periodic jobs of the server, in one table. Each run is bounded; a job that fails runs again when it is next due.

use std::sync::Arc;
use std::time::Duration;

use super::retention::Retention;
use super::{api_key, audit, backup, clock, delivery, node, org_key, refusals, statistics, token, verification};
use crate::crypto::password;
use crate::engine::error::Error;
use crate::engine::system::System;

/// The interval between ticks; each period is a multiple of it.
pub const TICK: Duration = Duration::from_secs(30);

const MINUTE: Duration = Duration::from_mins(1);

/// A periodic job.
struct PeriodicJob {
    /// The name of the job in the log when it fails.
    name: &'static str,
    /// How often it runs; `None` for one that only a clean stop needs.
    period: Option<Duration>,
    /// Whether it also runs at a clean stop, because it writes data that is held only in memory.
    at_stop: bool,
    run: fn(&Jobs, Trigger) -> Result<(), Error>,
}

/// Why a job runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trigger {
    /// The job is due.
    Due,
    /// The server is stopping.
    Stop,
}

const JOBS: [PeriodicJob; 15] = [
    PeriodicJob {
        name: "writing the last uses of API keys",
        period: Some(TICK),
        at_stop: true,
        run: |jobs, _| api_key::flush_uses(&jobs.system),
    },
    PeriodicJob {
        name: "recording counts of refused calls",
        period: Some(MINUTE),
        at_stop: true,
        run: |jobs, trigger| refusals::flush(&jobs.system, trigger == Trigger::Stop),
    },
    PeriodicJob {
        name: "logging counts of refused verifications",
        period: Some(MINUTE),
        at_stop: true,
        run: |jobs, _| {
            verification::log_refused(jobs.system.app());
            Ok(())
        },
    },
    PeriodicJob {
        name: "writing the counts of the hour",
        period: Some(MINUTE),
        at_stop: true,
        run: |jobs, _| statistics::flush(&jobs.system),
    },
    PeriodicJob {
        name: "removing old counts",
        period: Some(MINUTE),
        at_stop: false,
        run: |jobs, _| statistics::remove_old(&jobs.system),
    },
    PeriodicJob {
        name: "recording counts of audit log reads",
        period: None,
        at_stop: true,
        run: |jobs, _| audit::page::flush(&jobs.system),
    },
    PeriodicJob {
        name: "recording a new backup",
        period: Some(MINUTE),
        at_stop: false,
        run: |jobs, _| backup::notice(&jobs.system).map(drop),
    },
    PeriodicJob {
        name: "announcing API keys that expire soon",
        period: Some(MINUTE),
        at_stop: false,
        run: |jobs, _| api_key::ending::announce(&jobs.system),
    },
    PeriodicJob {
        name: "announcing access tokens that expire soon",
        period: Some(MINUTE),
        at_stop: false,
        run: |jobs, _| token::ending::announce(&jobs.system),
    },
    PeriodicJob {
        name: "announcing organization keys that end",
        period: Some(MINUTE),
        at_stop: false,
        run: |jobs, _| org_key::ending::announce(&jobs.system),
    },
    PeriodicJob {
        name: "announcing silent nodes",
        period: Some(MINUTE),
        at_stop: false,
        run: |jobs, _| node::silence::announce(&jobs.system),
    },
    PeriodicJob {
        name: "removing old webhook deliveries",
        period: Some(MINUTE),
        at_stop: false,
        run: |jobs, _| delivery::forget::remove_ended(&jobs.system),
    },
    PeriodicJob {
        name: "removing expired entries of the audit log",
        period: Some(MINUTE),
        at_stop: false,
        run: |jobs, _| jobs.retention.remove_old(&jobs.system).map(drop),
    },
    PeriodicJob {
        name: "releasing the memory of password hashes",
        period: Some(MINUTE),
        at_stop: false,
        run: |_, _| {
            password::release_memory();
            Ok(())
        },
    },
    // The last job at a stop, so that the high-water mark is the time of the stop.
    PeriodicJob {
        name: "writing the high-water mark of the clock",
        period: Some(TICK),
        at_stop: true,
        run: |jobs, _| clock::keep(&jobs.system),
    },
];

/// The jobs of one server.
pub struct Jobs {
    system: Arc<System>,
    retention: Retention,
}

/// The name of a job that failed, and its error.
pub type JobFailure = (&'static str, Error);

impl Jobs {
    /// The jobs of a server that retains `audit_days` days of its audit log (0 = everything).
    #[must_use]
    pub const fn new(system: Arc<System>, audit_days: u32) -> Self {
        Self { system, retention: Retention::new(audit_days) }
    }

    /// Runs the jobs that are due at this tick, counted from 0. Returns the failures.
    pub fn run_due(&self, tick: u32) -> Vec<JobFailure> {
        let since_start = TICK * tick;
        let is_due = |period: Duration| since_start.as_secs().is_multiple_of(period.as_secs());
        self.run(|job| job.period.is_some_and(is_due), Trigger::Due)
    }

    /// Runs the jobs for a clean stop. Returns the failures.
    pub fn run_at_stop(&self) -> Vec<JobFailure> {
        self.run(|job| job.at_stop, Trigger::Stop)
    }

    fn run(&self, wanted: impl Fn(&PeriodicJob) -> bool, trigger: Trigger) -> Vec<JobFailure> {
        let jobs = JOBS.iter().filter(|job| wanted(job));
        jobs.filter_map(|job| (job.run)(self, trigger).err().map(|error| (job.name, error))).collect()
    }
}
