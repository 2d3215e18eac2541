//! The schedule of webhook attempts: which deliveries are next, by slots, fairness and backoff. It has no clock of its
//! own.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use super::backoff::Backoffs;
use crate::actions::delivery::Candidate;
use crate::domain::delivery::{Attempt, InFlight, Outcome};
use crate::domain::id::{DeliveryId, OrgId, WebhookId};
use crate::domain::time::Time;

/// The maximum number of concurrent attempts: for all webhooks, and for those that failed at their last attempt.
pub const MAX_IN_FLIGHT: usize = 32;
const MAX_HALF_OPEN: usize = 16;

/// The maximum number of concurrent attempts per webhook, so that a receiver that hangs does not take every slot.
const MAX_OF_WEBHOOK: usize = 4;

/// The maximum per organization, so that one with many webhooks does not take every slot.
const MAX_OF_ORG: usize = 8;

/// The last slots are reserved for organizations without an attempt in flight, and the last slots of an organization
/// for webhooks without one. Otherwise a few slow receivers would take them all.
const LAST_PLACES: usize = 8;
const LAST_PLACES_OF_ORG: usize = 2;

/// Notifications within this time are handled together. Each look at the pending deliveries is followed by a pause of
/// `IDLE_SHARE` times its duration, so that the courier does not slow down requests.
pub const TOGETHER: Duration = Duration::from_millis(20);
const IDLE_SHARE: u32 = 9;

/// The maximum time between two looks. This also covers changes of the clock.
pub const LOOK: Duration = Duration::from_secs(5);

/// The deliveries in flight, and the webhooks in backoff.
#[derive(Debug)]
pub struct Schedule {
    max_in_flight: usize,
    in_flight: HashMap<DeliveryId, InFlight>,
    backoffs: Backoffs,
}

/// What to attempt now.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// The deliveries, the longest due first.
    pub deliveries: Vec<DeliveryId>,
    /// When the next delivery becomes due; `None` if none is scheduled. Deliveries that found no slot do not count,
    /// because they wait until an attempt ends.
    pub next: Option<Time>,
}

/// A delivery that may be next, and when it is due.
type DueDelivery = (Time, DeliveryId);

impl Schedule {
    /// Creates a schedule with this many slots.
    #[must_use]
    pub fn new(max_in_flight: usize) -> Self {
        Self { max_in_flight, in_flight: HashMap::new(), backoffs: Backoffs::default() }
    }

    /// Returns the deliveries in flight.
    #[must_use]
    pub fn in_flight(&self) -> Vec<DeliveryId> {
        self.in_flight.keys().copied().collect()
    }

    /// Records that an attempt has begun.
    pub fn begin(&mut self, begun: InFlight) {
        self.in_flight.insert(begun.delivery, begun);
    }

    /// Records the outcome of an attempt that has ended.
    pub fn end(&mut self, attempt: &Attempt, outcome: &Outcome, now: Instant) {
        self.in_flight.remove(&attempt.id);
        self.backoffs.record(attempt, outcome, now);
    }

    /// Records that an attempt was aborted, without an outcome.
    pub fn break_off(&mut self, delivery: DeliveryId) {
        self.in_flight.remove(&delivery);
    }

    /// Returns when the next backoff ends.
    #[must_use]
    pub fn next_backoff_end(&self, now: Instant) -> Option<Instant> {
        self.backoffs.next_end(now)
    }

    /// Ends every backoff.
    pub fn end_backoffs(&mut self) {
        self.backoffs.clear();
    }

    /// Returns how long to pause after a look that took `look_took`.
    #[must_use]
    pub fn pause(look_took: Duration) -> Duration {
        (look_took * IDLE_SHARE).clamp(TOGETHER, LOOK)
    }

    /// Chooses among the deliveries that are due at the time `by` of the clock. Webhooks take turns at the slots of
    /// their organization, and organizations take turns at all slots.
    pub fn choose(&mut self, candidates: &[Candidate], by: Time, now: Instant) -> Choice {
        self.backoffs.forget_old(now);
        for candidate in candidates {
            self.backoffs.resume(candidate.webhook, candidate.backoff_epoch);
        }
        let probes = self.probes(candidates, now);
        let (mut choice, mut orgs) = (Choice::default(), BTreeMap::<OrgId, Vec<(usize, Vec<DueDelivery>)>>::new());
        for candidate in candidates.iter().filter(|candidate| !self.backoffs.is_active(candidate.webhook, now)) {
            let own = self.of_webhook(candidate.webhook);
            let free = match (self.backoffs.is_half_open(candidate.webhook), probes.contains(&candidate.webhook)) {
                (true, is_probe) => usize::from(is_probe),
                (false, _) => MAX_OF_WEBHOOK.saturating_sub(own),
            };
            if free == 0 || self.of_org(candidate.org) >= MAX_OF_ORG {
                // It gets a slot when one of its attempts ends, and that causes a new look.
                continue;
            }
            let (due, later): (Vec<DueDelivery>, Vec<DueDelivery>) =
                self.waiting(candidate).partition(|(due_at, _)| *due_at <= by);
            choice.next = [choice.next, later.first().map(|(due_at, _)| *due_at)].into_iter().flatten().min();
            orgs.entry(candidate.org).or_default().push((own, due.into_iter().take(free).collect()));
        }
        let turns = orgs.into_iter().map(|(org, webhooks)| {
            let busy = self.of_org(org);
            (busy, in_turn(webhooks, MAX_OF_ORG - busy, LAST_PLACES_OF_ORG))
        });
        let free = self.max_in_flight.saturating_sub(self.in_flight.len());
        let mut chosen = in_turn(turns, free, LAST_PLACES);
        chosen.sort_unstable();
        choice.deliveries = chosen.into_iter().map(|(_, delivery)| delivery).collect();
        choice
    }

    /// Returns the webhooks that failed at their last attempt and get a probe now: those whose delivery has been due
    /// the longest, as far as there are slots for them.
    fn probes(&self, candidates: &[Candidate], now: Instant) -> HashSet<WebhookId> {
        let is_probed = |webhook: WebhookId| self.backoffs.is_half_open(webhook) && self.of_webhook(webhook) > 0;
        let probed: HashSet<WebhookId> =
            self.in_flight.values().map(|tried| tried.webhook).filter(|webhook| is_probed(*webhook)).collect();
        let mut waiting: Vec<(DueDelivery, WebhookId)> = candidates
            .iter()
            .filter(|candidate| self.backoffs.is_half_open(candidate.webhook) && !probed.contains(&candidate.webhook))
            .filter(|candidate| !self.backoffs.is_active(candidate.webhook, now))
            .filter_map(|candidate| Some((self.waiting(candidate).next()?, candidate.webhook)))
            .collect();
        waiting.sort_unstable();
        let free = MAX_HALF_OPEN.saturating_sub(probed.len());
        waiting.into_iter().take(free).map(|(_, webhook)| webhook).collect()
    }

    /// Returns the deliveries of a candidate that are not in flight, the longest due first.
    fn waiting<'c>(&self, candidate: &'c Candidate) -> impl Iterator<Item = DueDelivery> + use<'c, '_> {
        candidate.waiting.iter().copied().filter(|(_, delivery)| !self.in_flight.contains_key(delivery))
    }

    fn of_webhook(&self, webhook: WebhookId) -> usize {
        self.in_flight.values().filter(|tried| tried.webhook == webhook).count()
    }

    fn of_org(&self, org: OrgId) -> usize {
        self.in_flight.values().filter(|tried| tried.org == org).count()
    }
}

/// Distributes `free` slots among participants, each with its number of attempts in flight and its due deliveries:
/// those with the fewest in flight first, and among these the longest due. The `last` slots are for participants with
/// nothing in flight.
fn in_turn(several: impl IntoIterator<Item = (usize, Vec<DueDelivery>)>, free: usize, last: usize) -> Vec<DueDelivery> {
    let mut turns: Vec<(usize, DueDelivery)> = several.into_iter().flat_map(|(busy, own)| (busy..).zip(own)).collect();
    turns.sort_unstable();
    let mut chosen = Vec::new();
    for (turn, next) in turns {
        let left = free - chosen.len();
        if left > last || (left > 0 && turn == 0) {
            chosen.push(next);
        }
    }
    chosen
}

#[cfg(test)]
mod tests;
