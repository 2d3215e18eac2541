//! How much is there, in all? What anybody may know who watches the server: numbers, and never whose.

use std::sync::Arc;

use super::{api_key, backup, node};
use crate::domain::time::Time;
use crate::engine::error::Error;
use crate::engine::system::System;
use crate::store::{api_key::ending, stats};

/// What the server holds.
#[derive(Clone, Copy, Debug)]
pub struct ServerStats {
    /// Organization keys.
    pub org_keys: i64,
    /// Nodes, without the deleted ones.
    pub nodes: i64,
    /// Nodes of the organization that has the most, deleted ones included.
    pub nodes_largest: i64,
    /// Nodes that an organization may have.
    pub nodes_max: u32,
    /// Nodes of which nothing is heard.
    pub nodes_silent: i64,
    /// API keys.
    pub api_keys: i64,
    /// API keys that end within so many days; those that end within fewer are among them.
    pub expiring: [(u32, i64); 3],
}

/// What is on its way to webhooks.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeliveryStats {
    /// Deliveries that were neither taken nor given up.
    pub pending: i64,
    /// When the oldest of them came to be whose webhook is on: what waits for one that is off waits for its administrator.
    pub oldest: Option<Time>,
    /// Webhooks.
    pub webhooks: i64,
    /// Webhooks that are on and whose last try failed, and those that no administrator switched off.
    pub failing: i64,
}

/// What may be counted without a caller, for whoever shows metrics: numbers and moments alone.
pub struct Stats(Arc<System>);

impl Stats {
    /// The counts of what `system` acts on.
    #[must_use]
    pub const fn new(system: Arc<System>) -> Self {
        Self(system)
    }

    /// Counts what the server holds, in one snapshot.
    pub fn server(&self) -> Result<ServerStats, Error> {
        let system = &self.0;
        system.read(|tx| {
            let mut expiring = api_key::ending::spans(system.app().now()).map(|(days, span)| (days, span, 0));
            let mut nearer = 0;
            for (_, span, count) in &mut expiring {
                nearer += ending::count(tx, *span)?;
                *count = nearer;
            }
            Ok(ServerStats {
                org_keys: stats::org_keys(tx)?,
                nodes: stats::nodes(tx)?,
                nodes_largest: stats::most_nodes(tx)?,
                nodes_max: system.app().limits.nodes,
                nodes_silent: stats::silent_nodes(tx, node::silence::since(system))?,
                api_keys: stats::api_keys(tx)?,
                expiring: expiring.map(|(days, _, count)| (days, count)),
            })
        })
    }

    /// Counts what is on its way to webhooks, in one snapshot.
    pub fn deliveries(&self) -> Result<DeliveryStats, Error> {
        self.0.read(|tx| {
            let (pending, oldest) = stats::deliveries(tx)?;
            let (webhooks, failing) = stats::webhooks(tx)?;
            Ok(DeliveryStats { pending, oldest, webhooks, failing })
        })
    }

    /// When the last backup was made; records one that has no event yet.
    pub fn last_backup(&self) -> Result<Option<Time>, Error> {
        backup::notice(&self.0)
    }
}
