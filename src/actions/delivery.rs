//! Which events are on their way to webhooks, and what came of them? Asked and told by whoever carries them out.

use super::app::App;
use super::error::Error;
use crate::domain::delivery::{Attempt, Outcome};
use crate::domain::id::{DeliveryId, WebhookId};
use crate::domain::time::Time;

/// What is to be tried now.
#[derive(Debug, Default)]
pub struct Due {
    /// The tries, the longest due first.
    pub attempts: Vec<Attempt>,
    /// When the next one after them is due; `None` while nothing waits.
    pub next: Option<Time>,
}

/// At most so many deliveries that are due, not among those that are being tried, and not of a webhook that is left alone
/// for now: the many of one that fails must not hide the few of another. What is left alone does not count as next either.
pub fn due(_app: &App, _being_tried: &[DeliveryId], _left_alone: &[WebhookId], _most: usize) -> Result<Due, Error> {
    Ok(Due::default())
}

/// Remembers what came of tries. It is on disk when this returns, so nothing that was taken is tried again after.
pub fn settle(_app: &App, _outcomes: Vec<(DeliveryId, Outcome)>) -> Result<(), Error> {
    Ok(())
}
