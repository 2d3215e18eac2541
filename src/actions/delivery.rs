//! Which events are on their way to webhooks, and what came of them? Asked and told by whoever carries them out.

pub mod forget;
mod gather;
mod settle;

use crate::domain::delivery::{Attempt, Tried, UnderWay};
use crate::domain::id::{DeliveryId, WebhookId};
use crate::domain::time::Time;
use crate::engine::error::Error;
use crate::engine::system::System;

/// What whoever carries deliveries out has in its hands when it asks for more.
#[derive(Clone, Debug, Default)]
pub struct Hands {
    /// The tries that are under way, those of deliveries too that were deleted meanwhile: each holds a place.
    pub under_way: Vec<UnderWay>,
    /// The webhooks that are left alone for now, until they are roused more often than so.
    pub resting: Vec<(WebhookId, u32)>,
    /// The webhooks that have no place for more.
    pub full: Vec<WebhookId>,
}

/// What is to be tried now.
#[derive(Debug, Default)]
pub struct Due {
    /// The tries, the longest due first.
    pub attempts: Vec<Attempt>,
    /// When something is due that is not due yet; `None` while nothing waits so. What found no place is not counted: it
    /// waits until a try ends.
    pub next: Option<Time>,
    /// What is under way and for nothing: it was deleted, or has ended otherwise.
    pub over: Vec<DeliveryId>,
    /// The webhooks that wait since their secret cannot be opened.
    pub unopened: Vec<WebhookId>,
}

/// The time in which deliveries are due: what the clock shows. Anything that never runs back would stand still, and every
/// try with it, for as long as the clock was set back.
#[must_use]
pub fn now(system: &System) -> Time {
    system.app().env.wall_clock()
}

/// Deliveries that are due, as far as there are so many `places`, none that is under way, and none of a webhook that rests or
/// has no place: the many of one that fails must not hide the few of another. Nor do these count as next. Nothing while there
/// is no key. What is on its way to a webhook that was switched off is given up first.
pub fn due(system: &System, hands: &Hands, places: usize) -> Result<Due, Error> {
    forget::give_up(system)?;
    let Some(key) = system.app().key.get() else { return Ok(Due::default()) };
    let (now, by) = (system.app().now(), now(system));
    system.read(|tx| gather::Gathering { tx, key, now, by }.gather(hands, places))
}

/// Remembers what came of tries. It is on disk when this returns, so nothing that was taken is tried again after.
pub fn settle(system: &System, tries: Vec<Tried>) -> Result<(), Error> {
    if tries.is_empty() {
        return Ok(());
    }
    system.write_for_orgs(move |tx, env, now| Ok(((), settle::settle(tx, env, now, tries)?)))
}
