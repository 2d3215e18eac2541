//! What is measured? Requests by operation and status, and what the store says of itself when it is asked.

use std::fmt::Write;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::actions::app::App;
use crate::actions::backup;
use crate::domain::api_key::Verdict;

/// What a request was and what became of it. Never an organization: that would tell them apart to whoever may see metrics.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    operation: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
}

/// What a verification of an API key found.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

type Times = Family<Operation, Histogram, fn() -> Histogram>;

/// The counters of this process.
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    times: Times,
    verifications: Family<Outcome, Counter>,
    connections: Gauge,
    streams: Gauge,
    batches: Gauge,
    writes: Gauge,
    waiting: Gauge,
    database: Gauge,
    disk_free: Gauge,
    backup: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("orgkeys");
        let requests = Family::default();
        let times: Times = Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.0005, 2.0, 14)));
        registry.register("requests", "Requests answered, by operation and status", requests.clone());
        registry.register_with_unit(
            "request",
            "Time from the request's head to its answer",
            Unit::Seconds,
            times.clone(),
        );
        let verifications = Family::default();
        registry.register("api_key_verifications", "API keys verified, by what was found", verifications.clone());
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::<i64, AtomicI64>::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let streams = gauge("event_streams", "Live streams of events that are open now");
        let (connections, batches) = (
            gauge("connections", "Connections that are open now"),
            gauge("writer_batches", "Transactions that the writer has committed since the start"),
        );
        let (writes, waiting) = (
            gauge("writer_changes", "Changes in them"),
            gauge("writer_waiting", "Changes that wait for the writer now"),
        );
        let (database, disk_free, backup) = (
            gauge("database_bytes", "Size of the database file and its write-ahead log"),
            gauge("disk_free_bytes", "Free bytes on the disk of the database"),
            gauge("backup_timestamp_seconds", "Unix time of the last backup; 0 when there was none"),
        );
        Self {
            registry,
            requests,
            times,
            verifications,
            connections,
            streams,
            batches,
            writes,
            waiting,
            database,
            disk_free,
            backup,
        }
    }
}

impl Metrics {
    /// Counts an answer.
    pub fn answered(&self, operation: &'static str, status: u16, took: Duration) {
        self.requests.get_or_create(&Answered { operation, status }).inc();
        self.times.get_or_create(&Operation { operation }).observe(took.as_secs_f64());
    }

    /// Counts a verification.
    pub fn verified(&self, verdict: Verdict) {
        self.verifications.get_or_create(&Outcome { outcome: verdict.code() }).inc();
    }

    /// A connection was opened.
    pub fn connected(&self) {
        self.connections.inc();
    }

    /// A connection was closed.
    pub fn disconnected(&self) {
        self.connections.dec();
    }

    /// A live stream of events was opened.
    pub fn stream_opened(&self) {
        self.streams.inc();
    }

    /// A live stream of events has ended.
    pub fn stream_ended(&self) {
        self.streams.dec();
    }

    /// Everything, in the Prometheus text format. Asking for it notices a new backup.
    pub fn text(&self, app: &App) -> String {
        let figures = app.writer_figures();
        let (_, size, free) = app.storage();
        let set = |gauge: &Gauge, value: u64| {
            gauge.inner().store(i64::try_from(value).unwrap_or(i64::MAX), Ordering::Relaxed);
        };
        set(&self.batches, figures.batches);
        set(&self.writes, figures.writes);
        set(&self.waiting, figures.waiting);
        set(&self.database, size);
        set(&self.disk_free, free.unwrap_or(0));
        match backup::notice(app) {
            Ok(at) => drop(self.backup.set(at.map_or(0, |at| at.millis() / 1_000))),
            Err(error) => tracing::warn!(%error, "the last backup could not be noticed"),
        }
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &self.registry) {
            let _ = writeln!(text, "# {error}");
        }
        text
    }
}
