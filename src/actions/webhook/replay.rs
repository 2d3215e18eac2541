//! Lists the deliveries of a webhook, and replays deliveries that have ended.

use super::{find, find_open};
use crate::domain::delivery::{Delivery, State};
use crate::domain::event::Event;
use crate::domain::id::{DeliveryId, OrgId, WebhookId};
use crate::domain::time::Time;
use crate::engine::app::App;
use crate::engine::authenticate;
use crate::engine::caller::Caller;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::pending::Pending;
use crate::engine::rule::Rule;
use crate::store;

/// The maximum number of failed deliveries that one call replays.
pub const MOST_REPLAYED: u32 = 1_000;

/// Returns the deliveries of a webhook in a state, or in any, newest first, and their total number.
pub fn deliveries(
    app: &App,
    caller: &Caller,
    (org, id): (Option<OrgId>, Option<WebhookId>),
    state: Option<State>,
    (skip, take): (u32, u32),
) -> Pending<(Vec<Delivery>, i64)> {
    app.scan(caller, &Rule::SeesWebhooks(org), move |tx, grant| {
        let webhook = find(tx, grant, id)?.id;
        let (deliveries, total) = store::delivery::list(tx, webhook, state, skip, take)?;
        let event = Event::DeliveriesListed { webhook, count: deliveries.len() };
        Ok(((deliveries, total), event))
    })
}

/// Replays one delivery that has ended, under the same id, starting again with the first attempt.
pub fn replay(
    app: &App,
    caller: &Caller,
    (org, id): (Option<OrgId>, Option<WebhookId>),
    delivery: Option<DeliveryId>,
) -> Pending<()> {
    let env = app.env.clone();
    app.record(caller, Rule::ManagesWebhooks(org), move |tx, grant| {
        let (webhook, _) = find_open(tx, grant, id)?;
        let missing = || Error::new(ErrorKind::Missing, "DELIVERY_NOT_FOUND", "Delivery not found");
        let delivery = store::delivery::find(tx, webhook, delivery.ok_or_else(missing)?)?.ok_or_else(missing)?;
        if delivery.state == State::Pending {
            let message = "The delivery is already pending: it is attempted until it succeeds or fails for good";
            return Err(Error::new(ErrorKind::Conflict, "DELIVERY_PENDING", message));
        }
        let again =
            Delivery { state: State::Pending, due_at: env.wall_clock(), attempts: 0, ended_at: None, ..delivery };
        store::delivery::save(tx, &again)?;
        store::webhook::end_backoff(tx, webhook)?;
        Ok(((), Event::DeliveryReplayed { webhook, delivery: again.id }))
    })
}

/// Replays deliveries that failed since `since`, the oldest first and as far as there is room. Returns their number,
/// and whether there are more.
pub fn replay_failed(
    app: &App,
    caller: &Caller,
    (org, id): (Option<OrgId>, Option<WebhookId>),
    since: Time,
) -> Pending<(usize, bool)> {
    authenticate::charge(app, caller, MOST_REPLAYED as usize);
    let env = app.env.clone();
    app.record(caller, Rule::ManagesWebhooks(org), move |tx, grant| {
        let (webhook, room) = find_open(tx, grant, id)?;
        let count = store::delivery::replay_failed(tx, webhook, since, env.wall_clock(), room.min(MOST_REPLAYED))?;
        store::webhook::end_backoff(tx, webhook)?;
        let more = store::delivery::has_failed(tx, webhook, since)?;
        Ok(((count, more), Event::DeliveriesReplayed { webhook, since, count }))
    })
}
