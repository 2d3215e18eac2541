//! The log lines about the life of the server: one at its start and one at its stop.

use std::time::Instant;

use crate::config::Resolved;
use crate::server::{Server, StopReport};

/// The signal that stopped the server, and when it arrived.
pub struct StopSignal {
    /// Its name.
    pub name: &'static str,
    /// When it arrived.
    pub at: Instant,
}

/// Returns the names of the settings that differ from their defaults. Their values are left out, because some are
/// secrets; `orgkeys config` shows the others.
pub fn changed_settings(resolved: &Resolved) -> String {
    let changed = resolved.origins.iter().filter(|(field, text, _)| text != field.default);
    changed.map(|(field, ..)| field.name).collect::<Vec<_>>().join(" ")
}

/// Logs that the server has started.
pub async fn started(server: &Server, settings: &str) {
    let organizations = server.organizations().await.ok();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        database = %server.system().app().database().display(),
        address = %server.address(),
        tls = server.tls().is_some(),
        settings,
        organizations,
        "the server has started"
    );
}

/// Logs that the server has stopped, and what it finished before.
pub fn stopped(began: Instant, signal: &StopSignal, report: StopReport) {
    let StopReport { requests, attempts, failed_jobs } = report;
    tracing::info!(
        signal = signal.name,
        ranSeconds = signal.at.duration_since(began).as_secs(),
        stopMs = u64::try_from(signal.at.elapsed().as_millis()).unwrap_or(u64::MAX),
        requestsFinished = requests.finished,
        requestsCutOff = requests.cut_off,
        webhookAttemptsFinished = attempts.finished,
        webhookAttemptsAborted = attempts.aborted,
        failedJobs = failed_jobs,
        "the server has stopped"
    );
}
