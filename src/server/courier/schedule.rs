//! Which deliveries are tried next, and which webhooks are left alone? Places, fairness and backoff together, without a clock of its own.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use super::backoff::Backoffs;
use crate::actions::delivery::Candidate;
use crate::domain::delivery::{Attempt, InFlight, Outcome};
use crate::domain::id::{DeliveryId, OrgId, WebhookId};
use crate::domain::time::Time;

/// The most tries at once: of all webhooks, and of those that failed last time.
pub const MAX_IN_FLIGHT: usize = 32;
const MAX_HALF_OPEN: usize = 16;

/// The most tries at once of one webhook: a receiver that hangs must not take every place.
const MAX_OF_WEBHOOK: usize = 4;

/// The same of one organization: its many webhooks must not take every place either.
const MAX_OF_ORG: usize = 8;

/// The last places of all are for organizations of which nothing is being tried, and the last of an organization for such
/// webhooks: a few whose receivers are slow would else fill all.
const LAST_PLACES: usize = 8;
const LAST_PLACES_OF_ORG: usize = 2;

/// What happens within this time is looked at together. A look that took longer is followed by a pause in which it could be done
/// so many times: it must not take the machine from the requests.
pub const TOGETHER: Duration = Duration::from_millis(20);
const IDLE_SHARE: u32 = 9;

/// A look at what is due at least this often; a clock that was set needs no other care.
pub const LOOK: Duration = Duration::from_secs(5);

/// What is in flight, and which webhooks are left alone.
#[derive(Debug)]
pub struct Schedule {
    max_in_flight: usize,
    in_flight: HashMap<DeliveryId, InFlight>,
    backoffs: Backoffs,
}

/// What is tried now.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// The deliveries, the longest due first.
    pub deliveries: Vec<DeliveryId>,
    /// When something is due that is not due yet; `None` while nothing waits so. What found no place is not counted: it waits
    /// until a try ends.
    pub next: Option<Time>,
}

/// A delivery that may be next, by when it is due.
type Due = (Time, DeliveryId);

impl Schedule {
    /// A schedule with so many places.
    #[must_use]
    pub fn new(max_in_flight: usize) -> Self {
        Self { max_in_flight, in_flight: HashMap::new(), backoffs: Backoffs::default() }
    }

    /// The deliveries that are being tried.
    #[must_use]
    pub fn in_flight(&self) -> Vec<DeliveryId> {
        self.in_flight.keys().copied().collect()
    }

    /// A try has begun.
    pub fn begin(&mut self, begun: InFlight) {
        self.in_flight.insert(begun.delivery, begun);
    }

    /// A try has ended, and this came of it.
    pub fn end(&mut self, attempt: &Attempt, outcome: &Outcome, now: Instant) {
        self.in_flight.remove(&attempt.id);
        self.backoffs.record(attempt, outcome, now);
    }

    /// A try was broken off, of which nothing is learned.
    pub fn break_off(&mut self, delivery: DeliveryId) {
        self.in_flight.remove(&delivery);
    }

    /// When the next webhook that is left alone may be tried again.
    #[must_use]
    pub fn next_backoff_end(&self, now: Instant) -> Option<Instant> {
        self.backoffs.next_end(now)
    }

    /// Leaves nobody alone any longer.
    pub fn end_backoffs(&mut self) {
        self.backoffs.clear();
    }

    /// How long to wait after a look that took so long.
    #[must_use]
    pub fn pause(look_took: Duration) -> Duration {
        (look_took * IDLE_SHARE).clamp(TOGETHER, LOOK)
    }

    /// Chooses among what waits, of which that is due which is due `by` a moment of the clock. Webhooks take turns at the places of
    /// their organization, and organizations at all of them.
    pub fn choose(&mut self, candidates: &[Candidate], by: Time, now: Instant) -> Choice {
        self.backoffs.forget_old(now);
        for candidate in candidates {
            self.backoffs.resume(candidate.webhook, candidate.backoff_epoch);
        }
        let probes = self.probes(candidates, by, now);
        let (mut choice, mut orgs) = (Choice::default(), BTreeMap::<OrgId, Vec<(usize, Vec<Due>)>>::new());
        for candidate in candidates.iter().filter(|candidate| !self.backoffs.is_active(candidate.webhook, now)) {
            let own = self.of_webhook(candidate.webhook);
            let free = match (self.backoffs.is_half_open(candidate.webhook), probes.contains(&candidate.webhook)) {
                (true, is_probe) => usize::from(is_probe),
                (false, _) => MAX_OF_WEBHOOK.saturating_sub(own),
            };
            if free == 0 || self.of_org(candidate.org) >= MAX_OF_ORG {
                // When one of its tries ends, there is a place, and that is when to look again.
                continue;
            }
            let (due, later): (Vec<Due>, Vec<Due>) = self.waiting(candidate).partition(|(due_at, _)| *due_at <= by);
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

    /// The webhooks that failed last time and are asked by one try whether they are back: those whose delivery has been due for
    /// longest, as far as there are places for them.
    fn probes(&self, candidates: &[Candidate], by: Time, now: Instant) -> HashSet<WebhookId> {
        let is_probed = |webhook: WebhookId| self.backoffs.is_half_open(webhook) && self.of_webhook(webhook) > 0;
        let probed: HashSet<WebhookId> =
            self.in_flight.values().map(|tried| tried.webhook).filter(|webhook| is_probed(*webhook)).collect();
        let mut waiting: Vec<(Due, WebhookId)> = candidates
            .iter()
            .filter(|candidate| self.backoffs.is_half_open(candidate.webhook) && !probed.contains(&candidate.webhook))
            .filter(|candidate| !self.backoffs.is_active(candidate.webhook, now))
            .filter_map(|candidate| Some((self.waiting(candidate).next()?, candidate.webhook)))
            .filter(|((due_at, _), _)| *due_at <= by)
            .collect();
        waiting.sort_unstable();
        let free = MAX_HALF_OPEN.saturating_sub(probed.len());
        waiting.into_iter().take(free).map(|(_, webhook)| webhook).collect()
    }

    /// What of a candidate is not in flight, the longest due first.
    fn waiting<'c>(&self, candidate: &'c Candidate) -> impl Iterator<Item = Due> + use<'c, '_> {
        candidate.waiting.iter().copied().filter(|(_, delivery)| !self.in_flight.contains_key(delivery))
    }

    fn of_webhook(&self, webhook: WebhookId) -> usize {
        self.in_flight.values().filter(|tried| tried.webhook == webhook).count()
    }

    fn of_org(&self, org: OrgId) -> usize {
        self.in_flight.values().filter(|tried| tried.org == org).count()
    }
}

/// What gets a place of several that have so many tries in flight and something to be tried: whoever has the fewest in flight
/// first, and among these the longest due. The `last` places are for those that have nothing in flight.
fn in_turn(several: impl IntoIterator<Item = (usize, Vec<Due>)>, free: usize, last: usize) -> Vec<Due> {
    let mut turns: Vec<(usize, Due)> = several.into_iter().flat_map(|(busy, own)| (busy..).zip(own)).collect();
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
