//! Pending webhook deliveries and their results: what the courier reads before it sends, and reports afterwards.

mod candidates;
pub mod forget;
mod results;

use crate::domain::delivery::{Attempt, Tried};
use crate::domain::id::{DeliveryId, OrgId, WebhookId};
use crate::domain::time::Time;
use crate::engine::error::Error;
use crate::engine::system::System;

/// A webhook that has pending deliveries.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The webhook.
    pub webhook: WebhookId,
    /// Its organization.
    pub org: OrgId,
    /// How many times an action has ended the webhook's backoff (a test, a replay or a change).
    pub backoff_epoch: u32,
    /// Its first deliveries and when each is due, the longest due first.
    pub waiting: Vec<(Time, DeliveryId)>,
}

/// The deliveries that wait for an attempt.
#[derive(Clone, Debug, Default)]
pub struct DeliveryCandidates {
    /// The webhooks that are enabled and whose secret can be decrypted.
    pub webhooks: Vec<Candidate>,
    /// The webhooks whose deliveries wait because their secret cannot be decrypted.
    pub unopened: Vec<WebhookId>,
    /// The deliveries in flight that need no attempt any more: they were deleted, or have ended otherwise.
    pub ended: Vec<DeliveryId>,
}

/// Returns the time by which deliveries are due: the wall clock. A time that never goes back would stand still after
/// the clock is set back, and so would every attempt.
#[must_use]
pub fn now(system: &System) -> Time {
    system.app().env.wall_clock()
}

/// Returns the deliveries that wait for an attempt, and which of those `in_flight` have ended. Empty while there is no
/// key.
pub fn candidates(system: &System, in_flight: &[DeliveryId]) -> Result<DeliveryCandidates, Error> {
    let Some(key) = system.app().key.get() else { return Ok(DeliveryCandidates::default()) };
    system.read(|tx| candidates::candidates(tx, key, in_flight))
}

/// Returns everything needed to attempt these deliveries, without those that have ended meanwhile.
pub fn attempts(system: &System, deliveries: &[DeliveryId]) -> Result<Vec<Attempt>, Error> {
    let Some(key) = system.app().key.get() else { return Ok(Vec::new()) };
    let now = system.app().now();
    system.read(|tx| candidates::attempts(tx, key, now, deliveries))
}

/// Stores the results of attempts. They are on disk when this returns, so a delivery that succeeded is not attempted
/// again.
pub fn record_results(system: &System, tries: Vec<Tried>) -> Result<(), Error> {
    if tries.is_empty() {
        return Ok(());
    }
    system.write_for_orgs(move |tx, env, now| Ok(((), results::record(tx, env, now, tries)?)))
}
