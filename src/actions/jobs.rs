//! What does the server do by itself, and how often? One table of jobs; each is bounded, and one that fails runs again at its next turn.

use std::sync::Arc;
use std::time::Duration;

use super::retention::Retention;
use super::{api_key, audit, backup, clock, delivery, node, refusals};
use crate::crypto::password;
use crate::engine::error::Error;
use crate::engine::system::System;

/// How often the table is gone through; each period is a multiple of it.
pub const TICK: Duration = Duration::from_secs(30);

const MINUTE: Duration = Duration::from_mins(1);

/// A job of the server's own.
struct Job {
    /// What the log calls it when it fails.
    name: &'static str,
    /// How often it runs; `None` for one that only a clean stop needs.
    period: Option<Duration>,
    /// Whether it runs at a clean stop too, since what it writes is known in memory alone.
    at_stop: bool,
    run: fn(&Jobs, Turn) -> Result<(), Error>,
}

/// Why a job runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// It is time.
    Due,
    /// The server stops.
    Stop,
}

const JOBS: [Job; 10] = [
    Job {
        name: "writing the last uses of API keys",
        period: Some(TICK),
        at_stop: true,
        run: |jobs, _| api_key::flush_uses(&jobs.system),
    },
    Job {
        name: "counting refused calls in the audit log",
        period: Some(MINUTE),
        at_stop: true,
        run: |jobs, turn| refusals::flush(&jobs.system, turn == Turn::Stop),
    },
    Job {
        name: "counting readings in the audit log",
        period: None,
        at_stop: true,
        run: |jobs, _| audit::page::flush(&jobs.system),
    },
    Job {
        name: "noticing a new backup",
        period: Some(MINUTE),
        at_stop: false,
        run: |jobs, _| backup::notice(&jobs.system).map(drop),
    },
    Job {
        name: "announcing API keys that end soon",
        period: Some(MINUTE),
        at_stop: false,
        run: |jobs, _| api_key::ending::announce(&jobs.system),
    },
    Job {
        name: "announcing silent nodes",
        period: Some(MINUTE),
        at_stop: false,
        run: |jobs, _| node::silence::announce(&jobs.system),
    },
    Job {
        name: "removing webhook deliveries that ended long ago",
        period: Some(MINUTE),
        at_stop: false,
        run: |jobs, _| delivery::forget::keep(&jobs.system),
    },
    Job {
        name: "removing old entries of the audit log",
        period: Some(MINUTE),
        at_stop: false,
        run: |jobs, _| jobs.retention.keep(&jobs.system).map(drop),
    },
    Job {
        name: "giving back the memory of password hashes",
        period: Some(MINUTE),
        at_stop: false,
        run: |_, _| {
            password::release_memory();
            Ok(())
        },
    },
    // The last one at a stop, which then is the moment up to which time has come.
    Job {
        name: "writing how far time has come",
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

/// A job that failed, by its name.
pub type Failure = (&'static str, Error);

impl Jobs {
    /// The jobs of a server that keeps `audit_days` days of its audit log (0 = all).
    #[must_use]
    pub const fn new(system: Arc<System>, audit_days: u32) -> Self {
        Self { system, retention: Retention::new(audit_days) }
    }

    /// Runs what is due at the tick with this number, from 0 on; gives what failed.
    pub fn run_due(&self, tick: u32) -> Vec<Failure> {
        let since_start = TICK * tick;
        let is_due = |period: Duration| since_start.as_secs().is_multiple_of(period.as_secs());
        self.run(|job| job.period.is_some_and(is_due), Turn::Due)
    }

    /// Runs what a clean stop needs; gives what failed.
    pub fn run_at_stop(&self) -> Vec<Failure> {
        self.run(|job| job.at_stop, Turn::Stop)
    }

    fn run(&self, wanted: impl Fn(&Job) -> bool, turn: Turn) -> Vec<Failure> {
        let jobs = JOBS.iter().filter(|job| wanted(job));
        jobs.filter_map(|job| (job.run)(self, turn).err().map(|error| (job.name, error))).collect()
    }
}
