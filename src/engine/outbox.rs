//! Creates the webhook deliveries of an event. A webhook that has reached its limit of pending deliveries is disabled.

use super::environment::Environment;
use super::error::Error;
use crate::domain::event::{Audience, Event};
use crate::domain::id::OrgId;
use crate::domain::time::Time;
use crate::domain::webhook::Disabled;
use crate::store::{self, WriteTx};

/// What the outbox needs to know about an event.
pub(super) struct Sent {
    pub(super) id: i64,
    pub(super) org: OrgId,
    pub(super) context: u8,
    pub(super) change: u8,
    pub(super) at: Time,
}

/// Creates deliveries to the webhooks whose filters match, in the transaction that records the event. Returns the
/// events of webhooks that were disabled because they were at their limit.
pub(super) fn post(tx: &WriteTx<'_>, env: &Environment, audience: Audience, sent: &Sent) -> Result<Vec<Event>, Error> {
    let times = (sent.at, env.wall_clock());
    let webhooks = match audience {
        Audience::Nobody => return Ok(Vec::new()),
        Audience::Only(webhook, delivery) => {
            store::delivery::insert(tx, delivery, webhook, sent.id, times)?;
            return Ok(Vec::new());
        }
        Audience::Subscribed | Audience::SubscribedBut(_) => {
            store::webhook::subscribed(tx, sent.org, sent.context, sent.change)?
        }
    };
    let mut events = Vec::new();
    for (webhook, has_room) in webhooks {
        if audience == Audience::SubscribedBut(webhook) {
            continue;
        }
        if has_room {
            store::delivery::insert(tx, env.id(), webhook, sent.id, times)?;
        } else if let Some(failed) = store::webhook::switch_off(tx, webhook, Disabled::Overfull)? {
            events.push(Event::WebhookDisabled { webhook, why: Disabled::Overfull, failed });
        }
    }
    Ok(events)
}
