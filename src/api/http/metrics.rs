//! The metrics: requests by operation and status, signed calls and verifications by outcome, and gauges that are read
//! when the metrics are requested.

mod gauges;
mod text;

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use self::gauges::Gauges;
use crate::actions::stats::Stats;
use crate::domain::api_key::Verdict;
use crate::domain::time::Time;
use crate::engine::app::App;

/// The signed operations, and their names in the metrics.
pub const SIGNED: [(&str, &str); 2] = [("registerNode", "register"), ("unregisterNode", "unregister")];

/// Outcome of a signed call that was accepted.
pub const ACCEPTED: &str = "accepted";

/// All outcomes of a signed call: accepted, or the error code of a refusal.
const OUTCOMES: [&str; 20] = [
    ACCEPTED,
    "BAD_SIGNATURE",
    "BODY_TOO_LARGE",
    "INTERNAL_ERROR",
    "INVALID_FIELD",
    "INVALID_REQUEST",
    "KEY_RETIRED",
    "NODE_DELETED",
    "NODE_LIMIT_REACHED",
    "NODE_NOT_FOUND",
    "NO_KEYS",
    "REQUEST_TIMEOUT",
    "SIGNATURE_REPLAYED",
    "STORAGE_BUSY",
    "STORAGE_FULL",
    "TIMESTAMP_IN_FUTURE",
    "TIMESTAMP_TOO_OLD",
    "TOO_MANY_REQUESTS",
    "UNKNOWN_ORGANIZATION",
    "UNSUPPORTED_MEDIA_TYPE",
];

/// Labels of a request. Never the organization, which would reveal who the organizations are to anyone who can see the
/// metrics.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    operation: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    operation: &'static str,
}

/// Label of an API key verification.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerificationLabels {
    outcome: &'static str,
}

/// Labels of a signed call: the call, and `accepted` or the error code.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SignedCallLabels {
    call: &'static str,
    outcome: String,
}

type Times = Family<OperationLabels, Histogram, fn() -> Histogram>;

/// The metrics of this process.
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    times: Times,
    verifications: Family<VerificationLabels, Counter>,
    signed_calls: Family<SignedCallLabels, Counter>,
    connections: Gauge,
    streams: Gauge,
    gauges: Gauges,
}

impl Metrics {
    /// Creates the metrics with all counters at zero. The process started at `start`.
    #[must_use]
    pub fn new(start: Time) -> Self {
        let mut all = Registry::default();
        gauges::process(&mut all, start);
        let registry = all.sub_registry_with_prefix("orgkeys");
        let requests = Family::default();
        let times: Times = Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.0005, 2.0, 14)));
        registry.register("requests", "Responses, by operation and status", requests.clone());
        registry.register_with_unit(
            "request",
            "Time from the request head to the response",
            Unit::Seconds,
            times.clone(),
        );
        let (verifications, signed_calls) = (Family::default(), Family::default());
        registry.register("api_key_verifications", "API key verifications, by verdict", verifications.clone());
        let help = "Signed calls of nodes, by outcome: accepted, or the error code";
        registry.register("signed_calls", help, signed_calls.clone());
        let (connections, streams) = (Gauge::default(), Gauge::default());
        registry.register("connections", "Open connections", connections.clone());
        registry.register("event_streams", "Open event streams", streams.clone());
        let gauges = Gauges::new(registry);
        let metrics =
            Self { registry: all, requests, times, verifications, signed_calls, connections, streams, gauges };
        // Created at the start, so that the first increment shows as a rise.
        for (_, call) in SIGNED {
            for outcome in OUTCOMES {
                drop(metrics.signed_calls.get_or_create(&SignedCallLabels { call, outcome: outcome.to_owned() }));
            }
        }
        for verdict in Verdict::ALL {
            drop(metrics.verifications.get_or_create(&VerificationLabels { outcome: verdict.code() }));
        }
        metrics
    }

    /// Counts a response.
    pub fn answered(&self, operation: &'static str, status: u16, took: Duration) {
        self.requests.get_or_create(&Answered { operation, status }).inc();
        self.times.get_or_create(&OperationLabels { operation }).observe(took.as_secs_f64());
    }

    /// Counts a verification.
    pub fn verified(&self, verdict: Verdict) {
        self.verifications.get_or_create(&VerificationLabels { outcome: verdict.code() }).inc();
    }

    /// Counts a signed call.
    pub fn signed_call(&self, call: &'static str, outcome: &str) {
        debug_assert!(OUTCOMES.contains(&outcome), "{outcome} is missing from the start");
        self.signed_calls.get_or_create(&SignedCallLabels { call, outcome: outcome.to_owned() }).inc();
    }

    /// Counts an opened connection.
    pub fn connected(&self) {
        self.connections.inc();
    }

    /// Counts a closed connection.
    pub fn disconnected(&self) {
        self.connections.dec();
    }

    /// Counts an opened event stream.
    pub fn stream_opened(&self) {
        self.streams.inc();
    }

    /// Counts an ended event stream.
    pub fn stream_ended(&self) {
        self.streams.dec();
    }

    /// Returns all metrics in the Prometheus text format. Also checks for a new backup.
    pub fn text(&self, app: &App, stats: &Stats) -> String {
        self.gauges.read(app, stats);
        text::of(&self.registry)
    }
}
