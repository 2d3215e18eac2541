//! Totals for the metrics: counts across all organizations, which name none.

use std::sync::Arc;

use super::org_key::ending;
use super::{backup, node};
use crate::domain::expiry::spans;
use crate::domain::time::Time;
use crate::engine::error::Error;
use crate::engine::system::System;
use crate::store::{api_key, stats, token};

/// What the server holds.
#[derive(Clone, Copy, Debug)]
pub struct ServerStats {
    /// Organization keys that are active, retiring, retired and deleted.
    pub org_keys: [i64; 4],
    /// Nodes that use a retiring organization key.
    pub nodes_on_retiring: i64,
    /// Those of them whose key ends soon.
    pub nodes_on_retiring_soon: i64,
    /// Nodes, without the deleted ones.
    pub nodes: i64,
    /// Nodes of the organization that has the most, including deleted ones.
    pub nodes_largest: i64,
    /// The maximum number of nodes per organization.
    pub nodes_max: u32,
    /// Nodes that are silent.
    pub nodes_silent: i64,
    /// API keys.
    pub api_keys: i64,
    /// Access tokens of owners and administrators that expire soon.
    pub tokens_expiring: i64,
    /// API keys that expire within a number of days, cumulative: those within fewer days are included.
    pub expiring: [(u32, i64); 3],
}

/// Totals of webhooks and their deliveries.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeliveryStats {
    /// Pending deliveries.
    pub pending: i64,
    /// When the oldest pending delivery of an enabled webhook was created. Those of disabled webhooks wait for an
    /// administrator.
    pub oldest: Option<Time>,
    /// Webhooks.
    pub webhooks: i64,
    /// Enabled webhooks whose last attempt failed, and webhooks that the server disabled.
    pub failing: i64,
}

/// The counts and times that may be read without a caller, for the metrics.
pub struct Stats(Arc<System>);

impl Stats {
    /// The totals of the store of `system`.
    #[must_use]
    pub const fn new(system: Arc<System>) -> Self {
        Self(system)
    }

    /// Counts the organizations.
    pub fn organizations(&self) -> Result<i64, Error> {
        self.0.read(|tx| Ok(stats::orgs(tx)?))
    }

    /// Counts what the server holds, in one snapshot.
    pub fn server(&self) -> Result<ServerStats, Error> {
        let system = &self.0;
        system.read(|tx| {
            let now = system.app().now();
            let mut expiring = spans(now).map(|(days, span)| (days, span, 0));
            let mut nearer = 0;
            for (_, span, count) in &mut expiring {
                nearer += api_key::ending::count(tx, *span)?;
                *count = nearer;
            }
            Ok(ServerStats {
                org_keys: stats::org_keys(tx, now)?,
                nodes_on_retiring: stats::nodes_on_ending_keys(tx, (now, Time::from_millis(i64::MAX)))?,
                nodes_on_retiring_soon: stats::nodes_on_ending_keys(tx, (now, now.plus(ending::SOON)))?,
                nodes: stats::nodes(tx)?,
                nodes_largest: stats::most_nodes(tx)?,
                nodes_max: system.app().limits.nodes,
                nodes_silent: stats::silent_nodes(tx, node::silence::since(system))?,
                api_keys: stats::api_keys(tx)?,
                tokens_expiring: token::ending::count(tx, now)?,
                expiring: expiring.map(|(days, _, count)| (days, count)),
            })
        })
    }

    /// Counts webhooks and deliveries, in one snapshot.
    pub fn deliveries(&self) -> Result<DeliveryStats, Error> {
        self.0.read(|tx| {
            let (pending, oldest) = stats::deliveries(tx)?;
            let (webhooks, failing) = stats::webhooks(tx)?;
            Ok(DeliveryStats { pending, oldest, webhooks, failing })
        })
    }

    /// Returns the time of the last backup, and records a backup that has no event yet.
    pub fn last_backup(&self) -> Result<Option<Time>, Error> {
        backup::notice(&self.0)
    }
}
