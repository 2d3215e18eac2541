//! What is tried next? What has been due for longest, of each organization in its turn.

use std::collections::HashMap;

use secrecy::SecretSlice;

use super::super::error::Error;
use super::super::event::published;
use super::Due;
use crate::crypto::sealed::Key;
use crate::domain::delivery::{Attempt, Delivery};
use crate::domain::id::{DeliveryId, OrgId, WebhookId};
use crate::domain::time::Time;
use crate::store::webhook::Ready;
use crate::store::{self, ReadTx};

/// At most so many of one webhook are given at once, those that are being tried included: a receiver that hangs must not
/// take every place.
const AT_ONCE: usize = 4;

/// The same of one organization: its many webhooks must not take every place either.
const AT_ONCE_OF_ORG: usize = 8;

/// The last places are for organizations of which nothing is being tried: a few whose receivers are slow would else fill all.
const LAST_PLACES: usize = 8;

/// Who looks for what is due `by` a moment of the clock, and which secrets sign `now`.
pub(super) struct Gathering<'t, 'c> {
    pub(super) tx: &'t ReadTx<'c>,
    pub(super) key: &'t Key,
    pub(super) now: Time,
    pub(super) by: Time,
}

/// How much is being tried.
#[derive(Default)]
struct Busy {
    webhooks: HashMap<WebhookId, usize>,
    orgs: HashMap<OrgId, usize>,
}

/// What is due of an organization.
type Waiting<'w> = HashMap<OrgId, Vec<(Delivery, &'w Ready)>>;

impl Gathering<'_, '_> {
    pub(super) fn gather(
        &self,
        being_tried: &[DeliveryId],
        left_alone: &[WebhookId],
        places: usize,
    ) -> Result<Due, Error> {
        let busy = self.busy(being_tried)?;
        let (mut found, mut due) = (Waiting::new(), Due::default());
        let webhooks = store::webhook::ready(self.tx, self.key.id())?;
        for webhook in webhooks.iter().filter(|webhook| !left_alone.contains(&webhook.id)) {
            let tried = busy.webhooks.get(&webhook.id).copied().unwrap_or(0);
            if tried >= AT_ONCE || busy.of(webhook.org) >= AT_ONCE_OF_ORG {
                // When one of its tries ends, there is a place, and that is when to ask again.
                continue;
            }
            let waiting = store::delivery::due(self.tx, webhook.id, AT_ONCE + tried + 1)?;
            let waiting = waiting.into_iter().filter(|delivery| !being_tried.contains(&delivery.id));
            let (now_due, later): (Vec<_>, Vec<_>) = waiting.partition(|delivery| delivery.due_at <= self.by);
            due.next = [due.next, later.first().map(|delivery| delivery.due_at)].into_iter().flatten().min();
            if !now_due.is_empty() && self.secrets(webhook).is_none() {
                // It must take nobody's place.
                due.unopened.push(webhook.id);
                continue;
            }
            let share = now_due.into_iter().take(AT_ONCE - tried).map(|delivery| (delivery, webhook));
            found.entry(webhook.org).or_default().extend(share);
        }
        for (delivery, webhook) in chosen(found, &busy, places) {
            due.attempts.extend(self.attempt(webhook, &delivery)?);
        }
        Ok(due)
    }

    fn busy(&self, being_tried: &[DeliveryId]) -> Result<Busy, Error> {
        let mut busy = Busy::default();
        for id in being_tried {
            if let Some(sent) = store::delivery::pending(self.tx, *id)? {
                *busy.webhooks.entry(sent.delivery.webhook).or_default() += 1;
                *busy.orgs.entry(sent.org).or_default() += 1;
            }
        }
        Ok(busy)
    }

    /// One try with all that it takes.
    fn attempt(&self, webhook: &Ready, delivery: &Delivery) -> Result<Option<Attempt>, Error> {
        let Some(event) = published(self.tx, delivery.event)? else { return Ok(None) };
        let Some(secrets) = self.secrets(webhook) else { return Ok(None) };
        Ok(Some(Attempt {
            id: delivery.id,
            webhook: webhook.id,
            url: webhook.url.clone(),
            attempts: delivery.attempts,
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

impl Busy {
    fn of(&self, org: OrgId) -> usize {
        self.orgs.get(&org).copied().unwrap_or(0)
    }
}

/// What gets a place: whoever has the fewest tries under way first, and among these the longest due.
fn chosen<'w>(found: Waiting<'w>, busy: &Busy, places: usize) -> Vec<(Delivery, &'w Ready)> {
    let mut turns = Vec::new();
    for (org, mut own) in found {
        own.sort_by_key(|(delivery, _)| (delivery.due_at, delivery.id));
        turns.extend((busy.of(org)..AT_ONCE_OF_ORG).zip(own));
    }
    turns.sort_by_key(|(turn, (delivery, _))| (*turn, delivery.due_at, delivery.id));
    let mut chosen = Vec::new();
    for (turn, next) in turns {
        let left = places - chosen.len();
        if left > LAST_PLACES || (left > 0 && turn == 0) {
            chosen.push(next);
        }
    }
    chosen.sort_by_key(|(delivery, _)| (delivery.due_at, delivery.id));
    chosen
}
