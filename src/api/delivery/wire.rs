//! Request and response bodies for webhook deliveries.

use poem_openapi::{Enum, Object};
use serde::{Deserialize, Serialize};

use crate::api::http::timestamp::{Moment, Timestamp};
use crate::domain::delivery::{Delivery, State};
use crate::domain::id::DeliveryId;
use crate::domain::text::InvalidField;
use crate::domain::time::Time;

/// The time range of failed deliveries to replay.
#[derive(Object, Deserialize)]
#[oai(rename = "ReplayWebhookRequest")]
pub(super) struct ReplayRequest {
    /// Replay deliveries that failed at this time or later: RFC 3339 with an offset.
    since: Moment,
}

/// State of a delivery.
#[derive(Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[oai(rename = "WebhookDeliveryState", rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub(super) enum DeliveryState {
    /// Attempted until it succeeds or permanently fails.
    Pending,
    /// The receiver accepted it.
    Delivered,
    /// All attempts failed, or the delivery was abandoned.
    Failed,
}

/// A pending or past delivery of an event to a webhook.
#[derive(Object, Serialize)]
#[oai(rename = "WebhookDelivery", rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
struct DeliveryItem {
    /// Id of the delivery. Every attempt sends it as `webhook-id`.
    id: String,
    /// Number of the event.
    event_id: i64,
    /// State of the delivery.
    state: DeliveryState,
    /// Number of attempts, at most 10. Every delivery is attempted at least once. After that, while the receiver is
    /// down (no response, 408, 429 or 5xx), a failed attempt of one delivery counts for all deliveries that are due.
    attempts: u32,
    /// Time at which the next attempt is due. Null unless the delivery is pending.
    #[oai(nullable)]
    next_attempt_at: Option<Timestamp>,
    /// HTTP status of the response to the last attempt. Null if it got none.
    #[oai(nullable)]
    last_status: Option<u16>,
    /// Why the last attempt got no response, or why the delivery was abandoned. Null if neither happened.
    #[oai(nullable)]
    last_why: Option<String>,
    /// Time of the event.
    created_at: Timestamp,
    /// Time at which the delivery succeeded or permanently failed. Null while it is pending.
    #[oai(nullable)]
    ended_at: Option<Timestamp>,
}

/// The deliveries, newest first.
#[derive(Object, Serialize)]
#[oai(rename = "WebhookDeliveryList")]
pub(super) struct DeliveryListAnswer {
    /// Always true.
    success: bool,
    /// Human-readable confirmation.
    message: String,
    /// The deliveries, newest first.
    data: Vec<DeliveryItem>,
    /// Total number of matching deliveries.
    total: i64,
}

/// How many deliveries were replayed.
#[derive(Object, Serialize)]
#[oai(rename = "ReplayedWebhookDeliveries")]
struct Replayed {
    /// Number of deliveries that are pending again.
    count: u32,
    /// Whether more failed deliveries remain. If so, call again.
    more: bool,
}

/// The result of a replay.
#[derive(Object, Serialize)]
#[oai(rename = "ReplayedWebhookDeliveriesAnswer")]
pub(super) struct ReplayedAnswer {
    /// Always true.
    success: bool,
    /// Human-readable confirmation.
    message: String,
    /// How many deliveries were replayed.
    data: Replayed,
}

/// A queued test event.
#[derive(Object, Serialize)]
#[oai(rename = "TestedWebhook", rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
struct Tested {
    /// Id of the delivery, which the receiver sees as `webhook-id`.
    delivery_id: String,
}

/// The result of a webhook test.
#[derive(Object, Serialize)]
#[oai(rename = "TestedWebhookAnswer")]
pub(super) struct TestedAnswer {
    /// Always true.
    success: bool,
    /// Human-readable confirmation.
    message: String,
    /// The queued test event.
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
        let deliveries = if count == 1 { "delivery" } else { "deliveries" };
        Self { success: true, message: format!("Replayed {count} failed {deliveries}"), data }
    }
}

impl TestedAnswer {
    pub(super) fn new(delivery: DeliveryId) -> Self {
        let data = Tested { delivery_id: delivery.to_string() };
        Self { success: true, message: "The test event is queued".to_owned(), data }
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
