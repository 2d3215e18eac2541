//! How does an event show outside? The same fields wherever it goes, and for those that keep the chain's head its place in the chain.

use serde::Serialize;

/// An event as clients are shown it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SystemEvent {
    /// The event's number.
    pub id: i64,
    /// When it was done, as RFC 3339.
    pub timestamp: String,
    /// The id of what it is about.
    pub context_id: String,
    /// What it is about, in a word.
    pub context: &'static str,
    /// created, updated or deleted.
    pub event: &'static str,
    /// The organization's id.
    pub org_id: String,
    /// The id of who did it.
    pub user_id: String,
    /// Their name.
    pub user_name: String,
    /// Their email address, if they are a person.
    pub user_email: String,
    /// The id of the project it happened in.
    pub workspace_id: Option<String>,
    /// More, as JSON in a string.
    pub json_data: Option<String>,
}

/// An event as it is sent out: with its name and its place in the chain, so that a receiver holds the chain's head outside the server.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    /// The event.
    #[serde(flatten)]
    pub event: SystemEvent,
    /// A noun and a verb, such as `org_key.create`.
    pub action: String,
    /// The place in the organization's chain, from 1.
    pub seq: i64,
    /// The hash of the entry before it in the chain, in hexadecimal.
    pub previous_hash: String,
    /// The hash of this entry, in hexadecimal.
    pub hash: String,
}
