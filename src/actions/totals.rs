//! How much is there, in all? What anybody may know who watches the server: numbers, and never whose.

use super::app::App;
use super::error::Error;
use super::{api_key, node};
use crate::domain::time::Time;
use crate::store::{api_key::ending, totals};

/// What the server holds.
#[derive(Clone, Copy, Debug)]
pub struct Totals {
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
pub struct Backlog {
    /// Deliveries that were neither taken nor given up.
    pub pending: i64,
    /// When the oldest of them came to be whose webhook is on: what waits for one that is off waits for its administrator.
    pub oldest: Option<Time>,
    /// Webhooks.
    pub webhooks: i64,
    /// Webhooks that are on and whose last try failed, and those that no administrator switched off.
    pub failing: i64,
}

/// Counts everything, in one snapshot.
pub fn totals(app: &App) -> Result<Totals, Error> {
    app.identify(|tx| {
        let mut expiring = api_key::ending::spans(app.now()).map(|(days, span)| (days, span, 0));
        let mut nearer = 0;
        for (_, span, count) in &mut expiring {
            nearer += ending::count(tx, *span)?;
            *count = nearer;
        }
        Ok(Totals {
            org_keys: totals::org_keys(tx)?,
            nodes: totals::nodes(tx)?,
            nodes_largest: totals::most_nodes(tx)?,
            nodes_max: app.limits.nodes,
            nodes_silent: totals::silent_nodes(tx, node::silence::since(app))?,
            api_keys: totals::api_keys(tx)?,
            expiring: expiring.map(|(days, _, count)| (days, count)),
        })
    })
}

/// Counts what is on its way to webhooks, in one snapshot.
pub fn backlog(app: &App) -> Result<Backlog, Error> {
    app.identify(|tx| {
        let (pending, oldest) = totals::deliveries(tx)?;
        let (webhooks, failing) = totals::webhooks(tx)?;
        Ok(Backlog { pending, oldest, webhooks, failing })
    })
}
