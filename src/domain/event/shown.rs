//! The public form of events: the same fields everywhere, plus the position in the chain for receivers that track the
//! chain's head.

use serde::Serialize;

/// An event as clients see it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventView {
    /// The event's id.
    pub id: i64,
    /// When it happened, as RFC 3339.
    pub timestamp: String,
    /// The id of the object.
    pub context_id: String,
    /// The type of the object.
    pub context: &'static str,
    /// `created`, `updated` or `deleted`.
    pub event: &'static str,
    /// The organization's id.
    pub org_id: String,
    /// The id of the actor.
    pub user_id: String,
    /// The name of the actor.
    pub user_name: String,
    /// The e-mail address of the actor, if it is a user.
    pub user_email: String,
    /// The id of the project in which it happened.
    pub workspace_id: Option<String>,
    /// Further fields, as JSON in a string.
    pub json_data: Option<String>,
}

/// An event as it is published: with its name and its position in the chain, so that receivers hold the chain's head
/// outside the server.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    /// The event.
    #[serde(flatten)]
    pub event: EventView,
    /// A noun and a verb, such as `org_key.create`.
    pub action: String,
    /// The position in the organization's chain, from 1.
    pub seq: i64,
    /// The hash of the previous entry in the chain, in hexadecimal.
    pub previous_hash: String,
    /// The hash of this entry, in hexadecimal.
    pub hash: String,
}
