//! What is tried next? What has been due for longest, of each organization and of each of its webhooks in its turn.

use std::collections::BTreeMap;

use secrecy::SecretSlice;

use super::super::event::published;
use super::{Due, Hands};
use crate::crypto::sealed::SealingKey;
use crate::domain::delivery::{Attempt, Delivery};
use crate::domain::id::{DeliveryId, OrgId};
use crate::domain::time::Time;
use crate::engine::error::Error;
use crate::store::webhook::Ready;
use crate::store::{self, ReadTx};

/// At most so many of one webhook are given at once, those that are being tried included: a receiver that hangs must not
/// take every place.
const AT_ONCE: usize = 4;

/// The same of one organization: its many webhooks must not take every place either.
const AT_ONCE_OF_ORG: usize = 8;

/// The last places of all are for organizations of which nothing is being tried, and the last of an organization for such
/// webhooks: a few whose receivers are slow would else fill all.
const LAST_PLACES: usize = 8;
const LAST_PLACES_OF_ORG: usize = 2;

/// Who looks for what is due `by` a moment of the clock, and which secrets sign `now`.
pub(super) struct Gathering<'t, 'c> {
    pub(super) tx: &'t ReadTx<'c>,
    pub(super) key: &'t SealingKey,
    pub(super) now: Time,
    pub(super) by: Time,
}

/// A delivery that may be next, and where it goes.
type Next<'w> = (Delivery, &'w Ready);

impl Gathering<'_, '_> {
    pub(super) fn gather(&self, hands: &Hands, places: usize) -> Result<Due, Error> {
        let mut found = BTreeMap::<OrgId, Vec<(usize, Vec<Next<'_>>)>>::new();
        let mut due = Due { over: self.over(hands)?, ..Due::default() };
        let webhooks = store::webhook::ready(self.tx, self.key.id())?;
        for webhook in webhooks.iter().filter(|webhook| !hands.leave_alone(webhook)) {
            let tried = hands.under_way.iter().filter(|tried| tried.webhook == webhook.id).count();
            if tried >= AT_ONCE || hands.of(webhook.org) >= AT_ONCE_OF_ORG {
                // When one of its tries ends, there is a place, and that is when to ask again.
                continue;
            }
            let waiting = store::delivery::due(self.tx, webhook.id, AT_ONCE + tried + 1)?;
            let waiting = waiting.into_iter().filter(|delivery| !hands.hold(delivery.id));
            let (now_due, later): (Vec<_>, Vec<_>) = waiting.partition(|delivery| delivery.due_at <= self.by);
            due.next = [due.next, later.first().map(|delivery| delivery.due_at)].into_iter().flatten().min();
            if !now_due.is_empty() && self.secrets(webhook).is_none() {
                // It must take nobody's place.
                due.unopened.push(webhook.id);
                continue;
            }
            let share = now_due.into_iter().take(AT_ONCE - tried).map(|delivery| (delivery, webhook));
            found.entry(webhook.org).or_default().push((tried, share.collect()));
        }
        for (delivery, webhook) in chosen(found, hands, places) {
            due.attempts.extend(self.attempt(webhook, &delivery)?);
        }
        Ok(due)
    }

    /// What is under way of deliveries that are on their way no longer.
    fn over(&self, hands: &Hands) -> Result<Vec<DeliveryId>, Error> {
        let mut over = Vec::new();
        for tried in &hands.under_way {
            if store::delivery::pending(self.tx, tried.delivery)?.is_none() {
                over.push(tried.delivery);
            }
        }
        Ok(over)
    }

    /// One try with all that it takes.
    fn attempt(&self, webhook: &Ready, delivery: &Delivery) -> Result<Option<Attempt>, Error> {
        let Some(event) = published(self.tx, delivery.event)? else { return Ok(None) };
        let Some(secrets) = self.secrets(webhook) else { return Ok(None) };
        Ok(Some(Attempt {
            id: delivery.id,
            webhook: webhook.id,
            org: webhook.org,
            url: webhook.url.clone(),
            attempts: delivery.attempts,
            backoff_epoch: webhook.backoff_epoch,
            secrets,
            body: serde_json::to_vec(&event).map_err(Error::internal)?,
        }))
    }

    /// The secret, and the one before while it signs too and this key opens it.
    fn secrets(&self, webhook: &Ready) -> Option<Vec<SecretSlice<u8>>> {
        let owner = webhook.id.as_bytes();
        let mut secrets = vec![self.key.open(owner, &webhook.secret).ok()?];
        if let Some((previous, _)) = webhook.previous.as_ref().filter(|(_, until)| self.now < *until) {
            secrets.extend(self.key.open(owner, previous).ok());
        }
        Some(secrets)
    }
}

impl Hands {
    /// How much of an organization is under way.
    fn of(&self, org: OrgId) -> usize {
        self.under_way.iter().filter(|tried| tried.org == org).count()
    }

    fn leave_alone(&self, webhook: &Ready) -> bool {
        self.full.contains(&webhook.id) || self.resting.contains(&(webhook.id, webhook.backoff_epoch))
    }

    fn hold(&self, delivery: DeliveryId) -> bool {
        self.under_way.iter().any(|tried| tried.delivery == delivery)
    }
}

/// What gets a place, the longest due first: webhooks take turns at the places of their organization, and organizations at
/// all of them.
fn chosen<'w>(found: BTreeMap<OrgId, Vec<(usize, Vec<Next<'w>>)>>, hands: &Hands, places: usize) -> Vec<Next<'w>> {
    let orgs = found.into_iter().map(|(org, webhooks)| {
        let busy = hands.of(org);
        (busy, in_turn(webhooks, AT_ONCE_OF_ORG - busy, LAST_PLACES_OF_ORG))
    });
    let mut chosen = in_turn(orgs, places, LAST_PLACES);
    chosen.sort_by_key(|(delivery, _)| (delivery.due_at, delivery.id));
    chosen
}

/// What gets a place of several that have so much under way and something to be tried: whoever has the fewest under way
/// first, and among these the longest due. The `last` places are for those that have nothing under way.
fn in_turn<'w>(several: impl IntoIterator<Item = (usize, Vec<Next<'w>>)>, places: usize, last: usize) -> Vec<Next<'w>> {
    let mut turns: Vec<_> = several.into_iter().flat_map(|(busy, own)| (busy..).zip(own)).collect();
    turns.sort_by_key(|(turn, (delivery, _))| (*turn, delivery.due_at, delivery.id));
    let mut chosen = Vec::new();
    for (turn, next) in turns {
        let left = places - chosen.len();
        if left > last || (left > 0 && turn == 0) {
            chosen.push(next);
        }
    }
    chosen
}
