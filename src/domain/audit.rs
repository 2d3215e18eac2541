//! Entries of the audit log: one row each, with every column that its hash covers.

use super::id::OrgId;

/// The actor of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// `user`, `api_key`, `node` or `system`.
    pub kind: &'static str,
    /// The id of the user, API key or node; `system` for the command line and the server itself.
    pub id: String,
    /// The name of the API key, the address of the node, or `orgkeys` for the system. `None` for a person: their name
    /// is looked up on reading, so that the log does not retain it.
    pub name: Option<String>,
}

/// An entry before it is appended to a chain.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The organization whose chain it joins; `None`: the server's own chain.
    pub org: Option<OrgId>,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub at: i64,
    /// Who acted.
    pub actor: Actor,
    /// A noun and a verb, such as `org_key.create`.
    pub action: &'static str,
    /// The context number: the type of the object.
    pub context: Option<u8>,
    /// The id of the object.
    pub context_id: Option<String>,
    /// The id of the project in which it happened.
    pub project: Option<String>,
    /// 0 created, 1 updated, 2 deleted; `None` for reads and refusals.
    pub change: Option<u8>,
    /// `done` or `refused`.
    pub outcome: &'static str,
    /// The client's IP address.
    pub address: Option<String>,
    /// The request id.
    pub request_id: Option<String>,
    /// A JSON object of a few allowed fields.
    pub detail: Option<String>,
}

/// An entry as it is stored and exported: every column, in the order in which it is hashed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entry {
    /// The position in the whole log.
    pub id: i64,
    /// The organization's id, or `server`.
    pub org: String,
    /// The position in the organization's chain, from 1.
    pub seq: i64,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub at: i64,
    /// `user`, `api_key`, `node` or `system`.
    pub actor_kind: String,
    /// The id of the actor.
    pub actor_id: String,
    /// The name of the actor, if the entry stores it.
    pub actor_name: Option<String>,
    /// A noun and a verb.
    pub action: String,
    /// The context number: the type of the object.
    pub context: Option<i64>,
    /// The id of the object.
    pub context_id: Option<String>,
    /// The id of the project in which it happened.
    pub project: Option<String>,
    /// 0 created, 1 updated, 2 deleted.
    pub change: Option<i64>,
    /// `done` or `refused`.
    pub outcome: String,
    /// The client's IP address.
    pub address: Option<String>,
    /// The request id.
    pub request_id: Option<String>,
    /// A JSON object.
    pub detail: Option<String>,
    /// The hash of the previous entry in the chain, in hexadecimal; 64 zeros for the first.
    pub prev_hash: String,
    /// The hash of this entry, in hexadecimal.
    pub hash: String,
}

/// The name of the server's own chain, used in place of an organization's id.
pub const SERVER: &str = "server";
