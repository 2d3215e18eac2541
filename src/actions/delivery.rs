//! Which events are on their way to webhooks, and what came of them? Asked and told by the courier, which chooses and carries.

mod candidates;
pub mod forget;
mod results;

use crate::domain::delivery::{Attempt, Tried};
use crate::domain::id::{DeliveryId, OrgId, WebhookId};
use crate::domain::time::Time;
use crate::engine::error::Error;
use crate::engine::system::System;

/// A webhook to which something is on its way.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The webhook.
    pub webhook: WebhookId,
    /// Its organization.
    pub org: OrgId,
    /// How often somebody had done what ends a backoff of the webhook.
    pub backoff_epoch: u32,
    /// The first of its deliveries and when each is due, the longest due first.
    pub waiting: Vec<(Time, DeliveryId)>,
}

/// What waits to be tried.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    /// The webhooks that are on and whose secret can be opened.
    pub webhooks: Vec<Candidate>,
    /// The webhooks that wait since their secret cannot be opened.
    pub unopened: Vec<WebhookId>,
    /// What is in flight and for nothing: it was deleted, or has ended otherwise.
    pub ended: Vec<DeliveryId>,
}

/// The time in which deliveries are due: what the clock shows. Anything that never runs back would stand still, and every
/// try with it, for as long as the clock was set back.
#[must_use]
pub fn now(system: &System) -> Time {
    system.app().env.wall_clock()
}

/// What waits to be tried, beside what is `in_flight`. Nothing while there is no key.
pub fn candidates(system: &System, in_flight: &[DeliveryId]) -> Result<Candidates, Error> {
    let Some(key) = system.app().key.get() else { return Ok(Candidates::default()) };
    system.read(|tx| candidates::candidates(tx, key, in_flight))
}

/// What the tries of these deliveries take. One that has ended meanwhile has none.
pub fn attempts(system: &System, deliveries: &[DeliveryId]) -> Result<Vec<Attempt>, Error> {
    let Some(key) = system.app().key.get() else { return Ok(Vec::new()) };
    let now = system.app().now();
    system.read(|tx| candidates::attempts(tx, key, now, deliveries))
}

/// Remembers what came of tries. It is on disk when this returns, so nothing that was taken is tried again after.
pub fn record_results(system: &System, tries: Vec<Tried>) -> Result<(), Error> {
    if tries.is_empty() {
        return Ok(());
    }
    system.write_for_orgs(move |tx, env, now| Ok(((), results::record(tx, env, now, tries)?)))
}
