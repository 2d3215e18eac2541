//! What is said of what was sent to a webhook?

use poem_openapi::{Enum, Object};
use serde::Deserialize;

use crate::api::http::timestamp::{Moment, Timestamp};
use crate::domain::delivery::{Delivery, State};
use crate::domain::id::DeliveryId;
use crate::domain::text::InvalidField;
use crate::domain::time::Time;

/// Since when what failed is sent once more.
#[derive(Object, Deserialize)]
#[oai(rename = "ReplayWebhookRequest")]
pub(super) struct ReplayRequest {
    /// What was given up from this moment on, RFC 3339 with an offset.
    since: Moment,
}

/// What became of a delivery.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "WebhookDeliveryState", rename_all = "lowercase")]
pub(super) enum DeliveryState {
    /// It is tried until it is taken or given up.
    Pending,
    /// The receiver took it.
    Delivered,
    /// It was given up.
    Failed,
}

/// An event on its way to a webhook, or at its end.
#[derive(Object)]
#[oai(rename = "WebhookDelivery", rename_all = "camelCase")]
struct DeliveryItem {
    /// The delivery's id, which is its `webhook-id` at every try.
    id: String,
    /// The number of the event.
    event_id: i64,
    /// What became of it.
    state: DeliveryState,
    /// How often it was tried, 10 at most. The first try is always its own; later, when it is due while its receiver is
    /// down (no answer, 408, 429 or 5xx), the failed try of another delivery counts for it too.
    attempts: u32,
    /// When the next try is due.
    #[oai(nullable)]
    next_attempt_at: Option<Timestamp>,
    /// The status that the receiver answered last.
    #[oai(nullable)]
    last_status: Option<u16>,
    /// Why there was no answer.
    #[oai(nullable)]
    last_why: Option<String>,
    /// When the event happened.
    created_at: Timestamp,
    /// When it was taken or given up.
    #[oai(nullable)]
    ended_at: Option<Timestamp>,
}

/// The deliveries, newest first.
#[derive(Object)]
#[oai(rename = "WebhookDeliveryList")]
pub(super) struct DeliveryListAnswer {
    /// Always true.
    success: bool,
    /// What was done.
    message: String,
    /// The deliveries.
    data: Vec<DeliveryItem>,
    /// How many there are in all.
    total: i64,
}

/// How much is sent once more.
#[derive(Object)]
#[oai(rename = "ReplayedWebhookDeliveries")]
struct Replayed {
    /// How many deliveries are on their way again.
    count: u32,
    /// Whether there are more: then call again.
    more: bool,
}

/// What is sent once more.
#[derive(Object)]
#[oai(rename = "ReplayedWebhookDeliveriesAnswer")]
pub(super) struct ReplayedAnswer {
    /// Always true.
    success: bool,
    /// What was done.
    message: String,
    /// How much it is.
    data: Replayed,
}

/// The test that is on its way.
#[derive(Object)]
#[oai(rename = "TestedWebhook", rename_all = "camelCase")]
struct Tested {
    /// The delivery's id, which the receiver sees as `webhook-id`.
    delivery_id: String,
}

/// A test is on its way.
#[derive(Object)]
#[oai(rename = "TestedWebhookAnswer")]
pub(super) struct TestedAnswer {
    /// Always true.
    success: bool,
    /// What was done.
    message: String,
    /// What to look for.
    data: Tested,
}

impl ReplayRequest {
    pub(super) fn parse(self) -> Result<Time, InvalidField> {
        let wrong = || InvalidField::new("since", "must be RFC 3339 with an offset, such as 2024-01-15T10:30:00Z");
        Time::parse_rfc3339(&self.since).ok_or_else(wrong)
    }
}

impl DeliveryState {
    pub(super) const fn state(self) -> State {
        match self {
            Self::Pending => State::Pending,
            Self::Delivered => State::Delivered,
            Self::Failed => State::Failed,
        }
    }
}

impl DeliveryListAnswer {
    pub(super) fn new((deliveries, total): (Vec<Delivery>, i64)) -> Self {
        let message = "Webhook deliveries retrieved successfully".to_owned();
        Self { success: true, message, data: deliveries.into_iter().map(item).collect(), total }
    }
}

impl ReplayedAnswer {
    pub(super) fn new(count: usize, more: bool) -> Self {
        let data = Replayed { count: u32::try_from(count).unwrap_or(u32::MAX), more };
        Self { success: true, message: format!("Replayed {count} failed delivery(s)"), data }
    }
}

impl TestedAnswer {
    pub(super) fn new(delivery: DeliveryId) -> Self {
        let data = Tested { delivery_id: delivery.to_string() };
        Self { success: true, message: "A test event is on its way".to_owned(), data }
    }
}

fn item(delivery: Delivery) -> DeliveryItem {
    let state = match delivery.state {
        State::Pending => DeliveryState::Pending,
        State::Delivered => DeliveryState::Delivered,
        State::Failed => DeliveryState::Failed,
    };
    DeliveryItem {
        id: delivery.id.to_string(),
        event_id: delivery.event,
        state,
        attempts: delivery.attempts,
        next_attempt_at: (delivery.state == State::Pending).then_some(Timestamp(delivery.due_at)),
        last_status: delivery.last_status,
        last_why: delivery.last_why,
        created_at: Timestamp(delivery.created_at),
        ended_at: delivery.ended_at.map(Timestamp),
    }
}
