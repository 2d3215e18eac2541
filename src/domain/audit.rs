//! What is an entry of the audit log? One row, with every column that its hash covers.

use super::id::OrgId;

/// Who did it, as an entry names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// `user`, `api_key`, `node` or `system`.
    pub kind: &'static str,
    /// The id of the user, the API key or the node; `system` for the command line and the server itself.
    pub id: String,
    /// The API key's name, the node's address, or `orgkeys` for the system. A person's name is looked up instead, so that it is not kept for ever.
    pub name: Option<String>,
}

/// An entry before the chain gives it its place.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Whose chain it joins; the server's own if `None`.
    pub org: Option<OrgId>,
    /// Milliseconds since 1970.
    pub at: i64,
    /// Who did it.
    pub actor: Actor,
    /// A noun and a verb, such as `org_key.create`.
    pub action: &'static str,
    /// The number of what it is about.
    pub context: Option<u8>,
    /// The id of what it is about.
    pub context_id: Option<String>,
    /// The id of the project that it happened in.
    pub project: Option<String>,
    /// 0 created, 1 updated, 2 deleted; `None` for reads and refusals.
    pub change: Option<u8>,
    /// `done` or `refused`.
    pub outcome: &'static str,
    /// The client's address.
    pub address: Option<String>,
    /// The id of the request.
    pub request_id: Option<String>,
    /// A JSON object of a few allowed fields.
    pub detail: Option<String>,
}

/// An entry as it is stored and exported: every column, in the order in which the hash takes them.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entry {
    /// The place in the whole log.
    pub id: i64,
    /// The organization's id, or `server`.
    pub org: String,
    /// The place in the organization's chain, from 1.
    pub seq: i64,
    /// Milliseconds since 1970.
    pub at: i64,
    /// `user`, `api_key`, `node` or `system`.
    pub actor_kind: String,
    /// The id of who did it.
    pub actor_id: String,
    /// The name of who did it, where it is not looked up.
    pub actor_name: Option<String>,
    /// A noun and a verb.
    pub action: String,
    /// The number of what it is about.
    pub context: Option<i64>,
    /// The id of what it is about.
    pub context_id: Option<String>,
    /// The id of the project that it happened in.
    pub project: Option<String>,
    /// 0 created, 1 updated, 2 deleted.
    pub change: Option<i64>,
    /// `done` or `refused`.
    pub outcome: String,
    /// The client's address.
    pub address: Option<String>,
    /// The id of the request.
    pub request_id: Option<String>,
    /// A JSON object.
    pub detail: Option<String>,
    /// The hash of the entry before it in the chain, in hexadecimal; 64 zeros for the first.
    pub prev_hash: String,
    /// The hash of this entry, in hexadecimal.
    pub hash: String,
}

/// What the chain of the server itself is called where an organization's id stands.
pub const SERVER: &str = "server";
