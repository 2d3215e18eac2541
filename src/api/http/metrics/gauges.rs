//! Gauges that are read from the store when the metrics are requested, so that no request pays for them.

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
use crate::domain::org_key::KeyState;
use crate::domain::time::Time;
use crate::engine::app::App;
use crate::store::{SIZES, WriterMetrics};

/// Number of rows that take some milliseconds to count.
const MUCH: i64 = 20_000;

/// How long such a count is reused.
const KEPT: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Within {
    within: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
}

/// Histogram of the writer's transaction sizes.
#[derive(Clone, Debug, Default)]
struct Batches(Arc<Mutex<WriterMetrics>>);

impl EncodeMetric for Batches {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let metrics = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The last bucket has no limit, as every histogram requires.
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

/// The gauges that are read from the store.
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
    keys: Family<InState, Gauge>,
    nodes_on_retiring: Gauge,
    nodes_on_retiring_soon: Gauge,
    nodes: Gauge,
    nodes_largest: Gauge,
    nodes_max: Gauge,
    nodes_silent: Gauge,
    api_keys: Gauge,
    tokens_expiring: Gauge,
    expiring: Family<Within, Gauge>,
    pending: Gauge,
    oldest: Gauge,
    failing: Gauge,
    /// Times of the last large counts: of the inventory, and of the pending deliveries.
    counted: Mutex<Option<Instant>>,
    carried: Mutex<Option<Instant>>,
}

/// Registers the start time of the process, under the name that is customary for it.
pub fn process(registry: &mut Registry, start: Time) {
    let started = Gauge::<i64>::default();
    started.set(start.millis() / 1_000);
    registry.register("process_start_time_seconds", "Start time of the process, in Unix seconds", started);
}

impl Gauges {
    pub fn new(registry: &mut Registry) -> Self {
        let build = Family::<Build, Gauge>::default();
        build.get_or_create(&Build { version: env!("CARGO_PKG_VERSION") }).set(1);
        registry.register("build_info", "Version of the server; always 1", build);
        let (writer, expiring, keys) = (Batches::default(), Family::default(), Family::default());
        registry.register("keys", "Organization keys by state", keys.clone());
        registry.register("writer_batch_changes", "Changes per transaction of the writer", writer.clone());
        let help = "API keys in use that expire within this many days, cumulative";
        registry.register("api_keys_expiring", help, expiring.clone());
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        Self {
            writer,
            waiting: gauge("writer_waiting", "Changes queued for the writer; new ones are refused from 4096 on"),
            database: gauge("database_bytes", "Size of the database file"),
            wal: gauge("wal_bytes", "Size of the write-ahead log"),
            database_max: gauge("database_max_bytes", "Maximum size of the database file; 0 for no limit"),
            disk_free: gauge("disk_free_bytes", "Free bytes on the file system of the database"),
            disk_reserve: gauge("disk_reserve_bytes", "Disk space to reserve for revocations"),
            disk_reserve_held: gauge("disk_reserve_held_bytes", "Disk space currently reserved for revocations"),
            backup: gauge("backup_timestamp_seconds", "Time of the last backup, in Unix seconds; 0 if there was none"),
            org_keys: gauge("org_keys", "Organization keys that verify signatures"),
            keys,
            nodes_on_retiring: gauge("nodes_on_retiring_keys", "Nodes that last registered with a retiring key"),
            nodes_on_retiring_soon: gauge(
                "nodes_on_keys_retiring_soon",
                "Nodes that last registered with a key that retires within a day",
            ),
            nodes: gauge("nodes", "Registered nodes, without deleted ones"),
            nodes_largest: gauge(
                "nodes_largest",
                "Nodes of the organization that has the most, including deleted ones",
            ),
            nodes_max: gauge("nodes_max", "Maximum number of nodes of an organization, including deleted ones"),
            nodes_silent: gauge("nodes_silent", "Nodes without a signed call for at least the setting node_silent"),
            api_keys: gauge("api_keys", "API keys, including expired ones"),
            tokens_expiring: gauge(
                "admin_tokens_expiring",
                "Access tokens of owners and administrators that expire within 14 days",
            ),
            expiring,
            pending: gauge(
                "webhook_deliveries_pending",
                "Pending webhook deliveries, including those of disabled webhooks",
            ),
            oldest: gauge(
                "webhook_oldest_pending_seconds",
                "Age of the oldest pending delivery of an enabled webhook; 0 if there is none",
            ),
            failing: gauge(
                "webhooks_failing",
                "Webhooks whose last delivery failed, or that the server disabled because they are gone or overfull",
            ),
            counted: Mutex::default(),
            carried: Mutex::default(),
        }
    }

    /// Reads all gauges. One that cannot be read keeps its value.
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
            Err(error) => tracing::warn!(%error, "the time of the last backup could not be read"),
        }
        now_and_then(&self.counted, || {
            let counted = stats
                .server()
                .inspect_err(|error| tracing::warn!(%error, "keys and nodes could not be counted for the metrics"));
            counted.ok().map(|stats| self.show(&stats))
        });
        now_and_then(&self.carried, || {
            let counted = stats.deliveries().inspect_err(
                |error| tracing::warn!(%error, "pending webhook deliveries could not be counted for the metrics"),
            );
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
        let kinds = [KeyState::Active, KeyState::Retiring, KeyState::Retired, KeyState::Deleted];
        for (state, count) in kinds.into_iter().zip(stats.org_keys) {
            self.keys.get_or_create(&InState { state: state.name() }).set(count);
        }
        self.org_keys.set(stats.org_keys[0] + stats.org_keys[1]);
        self.nodes_on_retiring.set(stats.nodes_on_retiring);
        self.nodes_on_retiring_soon.set(stats.nodes_on_retiring_soon);
        self.nodes.set(stats.nodes);
        self.nodes_largest.set(stats.nodes_largest);
        self.nodes_max.set(stats.nodes_max.into());
        self.nodes_silent.set(stats.nodes_silent);
        self.api_keys.set(stats.api_keys);
        self.tokens_expiring.set(stats.tokens_expiring);
        for (days, count) in stats.expiring {
            self.expiring.get_or_create(&Within { within: format!("{days}d") }).set(count);
        }
        stats.org_keys.iter().sum::<i64>() + stats.nodes + stats.api_keys
    }
}

/// Runs a count that returns its number of rows, but at most every few seconds if that number is large.
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
