//! What is a delivery? One event on its way to one webhook, tried again and again until it is taken or given up.

use std::time::Duration;

use secrecy::SecretSlice;

use super::id::{DeliveryId, WebhookId};

/// One try of a delivery, with all that it takes.
#[derive(Debug)]
pub struct Attempt {
    /// The delivery; the same for every try of it, so that a receiver can drop repeats.
    pub id: DeliveryId,
    /// The webhook that it is for.
    pub webhook: WebhookId,
    /// Where it goes.
    pub url: String,
    /// The keys that sign it, at least one; two while one takes the other's place.
    pub secrets: Vec<SecretSlice<u8>>,
    /// The event, as JSON.
    pub body: Vec<u8>,
}

/// What came of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver took it: a 2xx.
    Taken {
        /// The status that it answered.
        status: u16,
    },
    /// The receiver wants nothing any more: a 410.
    Gone,
    /// The receiver answered anything else.
    Refused {
        /// The status that it answered.
        status: u16,
        /// How long it asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// There was no answer.
    Failed {
        /// Why, in a few words for an administrator; nothing of what the other side sent.
        why: &'static str,
    },
}
