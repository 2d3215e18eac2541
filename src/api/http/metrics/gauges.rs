//! What does the server say of itself when it is asked? Read from the store then, and on no request's path.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::actions::stats::{DeliveryStats, ServerStats, Stats};
use crate::domain::time::Time;
use crate::engine::app::App;
use crate::store::{SIZES, WriterMetrics};

/// So many rows take some milliseconds to count.
const MUCH: i64 = 20_000;

/// For how long they are not counted again.
const KEPT: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Within {
    within: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
}

/// The sizes of the writer's transactions.
#[derive(Clone, Debug, Default)]
struct Batches(Arc<Mutex<WriterMetrics>>);

impl EncodeMetric for Batches {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let metrics = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The last bucket has no limit: every histogram must have it.
        let mut buckets = [(f64::INFINITY, 0); SIZES + 1];
        for ((bucket, count), limit) in buckets.iter_mut().zip(metrics.sizes).zip((0..).map(|power| 1_u32 << power)) {
            *bucket = (f64::from(limit), count);
        }
        #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 changes")]
        encoder.encode_histogram::<NoLabelSet>(metrics.writes as f64, metrics.batches, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

/// What is read from the store.
pub struct Gauges {
    writer: Batches,
    waiting: Gauge,
    database: Gauge,
    wal: Gauge,
    database_max: Gauge,
    disk_free: Gauge,
    disk_reserve: Gauge,
    disk_reserve_held: Gauge,
    backup: Gauge,
    org_keys: Gauge,
    nodes: Gauge,
    nodes_largest: Gauge,
    nodes_max: Gauge,
    nodes_silent: Gauge,
    api_keys: Gauge,
    expiring: Family<Within, Gauge>,
    pending: Gauge,
    oldest: Gauge,
    failing: Gauge,
    /// When much was counted last: of what there is, and of what is on its way.
    counted: Mutex<Option<Instant>>,
    carried: Mutex<Option<Instant>>,
}

/// When the process started, by the name that all programs have for it.
pub fn process(registry: &mut Registry, start: Time) {
    let started = Gauge::<i64>::default();
    started.set(start.millis() / 1_000);
    registry.register("process_start_time_seconds", "Unix time of the start of the process", started);
}

impl Gauges {
    pub fn new(registry: &mut Registry) -> Self {
        let build = Family::<Build, Gauge>::default();
        build.get_or_create(&Build { version: env!("CARGO_PKG_VERSION") }).set(1);
        registry.register("build_info", "The version that runs; always 1", build);
        let (writer, expiring) = (Batches::default(), Family::default());
        registry.register("writer_batch_changes", "Changes in a transaction of the writer", writer.clone());
        let help = "API keys in use that end within so many days, those that end within fewer included";
        registry.register("api_keys_expiring", help, expiring.clone());
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        Self {
            writer,
            waiting: gauge("writer_waiting", "Changes that wait for the writer now; from 4096 on they are refused"),
            database: gauge("database_bytes", "Size of the database file"),
            wal: gauge("wal_bytes", "Size of its write-ahead log"),
            database_max: gauge("database_max_bytes", "The most that the database file may have; 0 is no limit"),
            disk_free: gauge("disk_free_bytes", "Free bytes on the disk of the database"),
            disk_reserve: gauge("disk_reserve_bytes", "Bytes of the disk to put aside for what revokes"),
            disk_reserve_held: gauge(
                "disk_reserve_held_bytes",
                "Bytes of the disk that are put aside for what revokes now",
            ),
            backup: gauge("backup_timestamp_seconds", "Unix time of the last backup; 0 when there was none"),
            org_keys: gauge("org_keys", "Organization keys"),
            nodes: gauge("nodes", "Nodes in the registry, without the deleted ones"),
            nodes_largest: gauge("nodes_largest", "Nodes of the organization that has the most, deleted ones included"),
            nodes_max: gauge("nodes_max", "Nodes that an organization may have, deleted ones included"),
            nodes_silent: gauge("nodes_silent", "Nodes of which nothing was heard for node_silent"),
            api_keys: gauge("api_keys", "API keys, ended ones included"),
            expiring,
            pending: gauge(
                "webhook_deliveries_pending",
                "Events on their way to webhooks, those that are off included",
            ),
            oldest: gauge(
                "webhook_oldest_pending_seconds",
                "Age of the oldest event on its way to a webhook that is on; 0 if none",
            ),
            failing: gauge(
                "webhooks_failing",
                "Webhooks whose last delivery failed, or that were switched off since they took nothing or are gone",
            ),
            counted: Mutex::default(),
            carried: Mutex::default(),
        }
    }

    /// Reads everything anew. What cannot be read stays as it was.
    pub fn read(&self, app: &App, stats: &Stats) {
        let (metrics, storage) = (app.writer_metrics(), app.storage());
        *self.writer.0.lock().unwrap_or_else(PoisonError::into_inner) = metrics;
        set(&self.waiting, metrics.waiting);
        set(&self.database, storage.database);
        set(&self.wal, storage.wal);
        set(&self.database_max, storage.most);
        set(&self.disk_free, storage.disk_free.unwrap_or(0));
        set(&self.disk_reserve, storage.reserve);
        set(&self.disk_reserve_held, storage.held);
        match stats.last_backup() {
            Ok(at) => drop(self.backup.set(at.map_or(0, |at| at.millis() / 1_000))),
            Err(error) => tracing::warn!(%error, "the last backup could not be noticed"),
        }
        now_and_then(&self.counted, || {
            let counted =
                stats.server().inspect_err(|error| tracing::warn!(%error, "what there is could not be counted"));
            counted.ok().map(|stats| self.show(&stats))
        });
        now_and_then(&self.carried, || {
            let counted = stats
                .deliveries()
                .inspect_err(|error| tracing::warn!(%error, "what is on its way to webhooks could not be counted"));
            counted.ok().map(|stats| self.show_deliveries(&stats, app.now()))
        });
    }

    fn show_deliveries(&self, stats: &DeliveryStats, now: Time) -> i64 {
        self.pending.set(stats.pending);
        let age = stats.oldest.map_or(0, |oldest| now.millis().saturating_sub(oldest.millis()) / 1_000);
        self.oldest.set(age.max(0));
        self.failing.set(stats.failing);
        stats.pending + stats.webhooks
    }

    fn show(&self, stats: &ServerStats) -> i64 {
        self.org_keys.set(stats.org_keys);
        self.nodes.set(stats.nodes);
        self.nodes_largest.set(stats.nodes_largest);
        self.nodes_max.set(stats.nodes_max.into());
        self.nodes_silent.set(stats.nodes_silent);
        self.api_keys.set(stats.api_keys);
        for (days, count) in stats.expiring {
            self.expiring.get_or_create(&Within { within: format!("{days}d") }).set(count);
        }
        stats.org_keys + stats.nodes + stats.api_keys
    }
}

/// Has something counted, which says how much it was; where that is much, every few seconds only.
fn now_and_then(counted: &Mutex<Option<Instant>>, count: impl FnOnce() -> Option<i64>) {
    let mut counted = counted.lock().unwrap_or_else(PoisonError::into_inner);
    if counted.is_some_and(|at| at.elapsed() < KEPT) {
        return;
    }
    if let Some(rows) = count() {
        *counted = (rows > MUCH).then(Instant::now);
    }
}

fn set(gauge: &Gauge, value: u64) {
    gauge.inner().store(i64::try_from(value).unwrap_or(i64::MAX), Ordering::Relaxed);
}
