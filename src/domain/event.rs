//! What happened? One variant for everything that is recorded, with exactly the fields that the audit log may hold of it.

use std::fmt;
use std::net::IpAddr;

use serde_json::{Value, json};

use super::id::{NodeId, OrgId, OrgKeyId, TokenId, UserId};
use super::role::Role;
use super::time::Time;

/// What an event is about; the numbers are those of the published platform, whose clients send them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// A person.
    User = 3,
    /// An organization.
    Org = 4,
    /// A node.
    Node = 9,
    /// An organization key.
    OrgKey = 10,
}

impl Context {
    /// The word of every context number, also of those that only other systems use.
    pub const WORDS: [&'static str; 14] = [
        "workspace",
        "bucket",
        "repo",
        "user",
        "org",
        "workspaceuser",
        "apikey",
        "usersettings",
        "orgsettings",
        "flashbacknode",
        "orgkey",
        "aillm",
        "aillmapikey",
        "conversation",
    ];

    /// The number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// How an event shows to clients; reads and refusals are none of these and do not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Something is there that was not.
    Created = 0,
    /// Something is different.
    Updated = 1,
    /// Something is gone.
    Deleted = 2,
}

impl Change {
    /// The word of every change number.
    pub const WORDS: [&'static str; 3] = ["created", "updated", "deleted"];

    /// The number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// The last entry of one chain of the audit log: the organization's id, or `server`, its length and its last hash.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Head {
    /// The organization, or `server`.
    pub org: String,
    /// The sequence number of the last entry.
    pub seq: i64,
    /// Its hash, in hexadecimal.
    pub hash: String,
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.org, self.seq, self.hash)
    }
}

/// Something that happened, as the audit log records it.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are named after the ids, counts and words that they hold")]
pub enum Event {
    /// An organization came to be.
    OrgCreated { org: OrgId },
    /// A person was added.
    UserCreated { user: UserId, role: Role },
    /// An access token was made.
    TokenCreated { token: TokenId, user: UserId, expires: Option<Time> },
    /// An access token was revoked.
    TokenRevoked { token: TokenId, user: UserId },
    /// Somebody looked at their own profile.
    ProfileRead { user: UserId },
    /// An organization key was made.
    OrgKeyCreated { key: OrgKeyId },
    /// The keys were listed.
    OrgKeysListed { org: OrgId, count: usize },
    /// One key was deleted, and with it its association with so many nodes.
    OrgKeyDeleted { key: OrgKeyId, nodes: usize },
    /// All keys were deleted at once.
    OrgKeysDeleted { org: OrgId, keys: Vec<OrgKeyId> },
    /// A node registered for the first time, or again.
    NodeRegistered { node: NodeId, key: OrgKeyId, new: bool, message: &'static str },
    /// A node took itself out of the registry.
    NodeUnregistered { node: NodeId, key: OrgKeyId, message: &'static str },
    /// The nodes were listed.
    NodesListed { org: OrgId, count: usize },
    /// An administrator deleted a node.
    NodeDeleted { node: NodeId },
    /// An administrator undid the deletion of a node.
    NodeActivated { node: NodeId },
    /// The audit log was read.
    EventsListed { org: OrgId, count: usize },
    /// Events were marked as read, or as not read.
    EventsMarked { user: UserId, read: bool, count: usize },
    /// Somebody with a valid credential asked for what they may not do.
    AccessDenied { org: OrgId, rule: &'static str },
    /// So many signed calls from one network were refused in the minute that began at `minute`.
    SignedCallsRefused { org: OrgId, code: &'static str, network: String, minute: Time, count: u64 },
    /// The command line listed so many organizations, users or tokens.
    Listed { what: &'static str, count: usize },
    /// A backup was made at `at`.
    BackedUp { at: Time, heads: Vec<Head> },
    /// This database came from a backup that replaced another one.
    Restored { old_heads: Vec<Head>, new_heads: Vec<Head>, tokens_ended: usize },
    /// The clock shows a moment before the last entry's.
    ClockWentBack { last: Time },
    /// The schema was upgraded.
    Upgraded { from: i32, to: i32 },
}

/// One event is a list of one, so that a change may record one or several.
impl IntoIterator for Event {
    type Item = Self;
    type IntoIter = std::iter::Once<Self>;

    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(self)
    }
}

impl Event {
    /// The stable name of what was done: a noun and a verb.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self {
            Self::OrgCreated { .. } => "org.create",
            Self::UserCreated { .. } => "user.create",
            Self::TokenCreated { .. } => "token.create",
            Self::TokenRevoked { .. } => "token.revoke",
            Self::ProfileRead { .. } => "user.profile",
            Self::OrgKeyCreated { .. } => "org_key.create",
            Self::OrgKeysListed { .. } => "org_key.list",
            Self::OrgKeyDeleted { .. } => "org_key.delete",
            Self::OrgKeysDeleted { .. } => "org_key.delete_all",
            Self::NodeRegistered { .. } => "node.register",
            Self::NodeUnregistered { .. } => "node.unregister",
            Self::NodesListed { .. } => "node.list",
            Self::NodeDeleted { .. } => "node.delete",
            Self::NodeActivated { .. } => "node.activate",
            Self::EventsListed { .. } => "event.list",
            Self::EventsMarked { .. } => "event.mark",
            Self::AccessDenied { .. } => "access.denied",
            Self::SignedCallsRefused { .. } => "node.refused",
            Self::Listed { .. } => "server.list",
            Self::BackedUp { .. } => "server.backup",
            Self::Restored { .. } => "server.restore",
            Self::ClockWentBack { .. } => "server.clock",
            Self::Upgraded { .. } => "server.upgrade",
        }
    }

    /// Whether it was done or refused.
    #[must_use]
    pub const fn outcome(&self) -> &'static str {
        match self {
            Self::AccessDenied { .. } | Self::SignedCallsRefused { .. } => "refused",
            _ => "done",
        }
    }

    /// How it shows to clients, if it does.
    #[must_use]
    pub const fn change(&self) -> Option<Change> {
        match self {
            Self::OrgCreated { .. } | Self::UserCreated { .. } | Self::OrgKeyCreated { .. } => Some(Change::Created),
            Self::NodeRegistered { new: true, .. } => Some(Change::Created),
            Self::NodeRegistered { new: false, .. } | Self::NodeActivated { .. } => Some(Change::Updated),
            Self::TokenCreated { .. } | Self::TokenRevoked { .. } => Some(Change::Updated),
            Self::OrgKeyDeleted { .. } | Self::OrgKeysDeleted { .. } => Some(Change::Deleted),
            Self::NodeUnregistered { .. } | Self::NodeDeleted { .. } => Some(Change::Deleted),
            Self::ProfileRead { .. } | Self::OrgKeysListed { .. } | Self::NodesListed { .. } => None,
            Self::EventsListed { .. } | Self::EventsMarked { .. } | Self::AccessDenied { .. } => None,
            Self::SignedCallsRefused { .. } | Self::BackedUp { .. } | Self::Restored { .. } => None,
            Self::ClockWentBack { .. } | Self::Upgraded { .. } | Self::Listed { .. } => None,
        }
    }

    /// What it is about, and the id of that; `None` for the server itself.
    #[must_use]
    pub fn context(&self) -> Option<(Context, String)> {
        match self {
            Self::OrgCreated { org } | Self::EventsListed { org, .. } => Some((Context::Org, org.to_string())),
            Self::AccessDenied { org, .. } => Some((Context::Org, org.to_string())),
            Self::UserCreated { user, .. } | Self::ProfileRead { user } => Some((Context::User, user.to_string())),
            Self::TokenCreated { user, .. } | Self::TokenRevoked { user, .. } => {
                Some((Context::User, user.to_string()))
            }
            Self::EventsMarked { user, .. } => Some((Context::User, user.to_string())),
            Self::OrgKeyCreated { key } | Self::OrgKeyDeleted { key, .. } => Some((Context::OrgKey, key.to_string())),
            Self::OrgKeysListed { org, .. } | Self::OrgKeysDeleted { org, .. } => {
                Some((Context::OrgKey, org.to_string()))
            }
            Self::NodeRegistered { node, .. } | Self::NodeUnregistered { node, .. } => {
                Some((Context::Node, node.to_string()))
            }
            Self::NodeDeleted { node } | Self::NodeActivated { node } => Some((Context::Node, node.to_string())),
            Self::NodesListed { org, .. } | Self::SignedCallsRefused { org, .. } => {
                Some((Context::Node, org.to_string()))
            }
            Self::BackedUp { .. } | Self::Restored { .. } => None,
            Self::ClockWentBack { .. } | Self::Upgraded { .. } | Self::Listed { .. } => None,
        }
    }

    /// The rest of what is recorded, as a JSON object; `None` when there is nothing more to say.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        let detail = match self {
            Self::OrgCreated { .. } | Self::OrgKeyCreated { .. } | Self::ProfileRead { .. } => return None,
            Self::NodeDeleted { .. } | Self::NodeActivated { .. } => return None,
            Self::UserCreated { role, .. } => json!({ "role": role.number() }),
            Self::TokenCreated { token, expires, .. } => {
                json!({ "tokenId": token.to_string(), "expiresAt": expires.map(|time| time.to_string()) })
            }
            Self::TokenRevoked { token, .. } => json!({ "revokedTokenId": token.to_string() }),
            Self::OrgKeysListed { count, .. } | Self::NodesListed { count, .. } => json!({ "count": count }),
            Self::EventsListed { count, .. } => json!({ "count": count }),
            Self::OrgKeyDeleted { nodes, .. } => json!({ "nodes": nodes }),
            Self::OrgKeysDeleted { keys, .. } => json!({ "keys": strings(keys) }),
            Self::NodeRegistered { key, message, .. } | Self::NodeUnregistered { key, message, .. } => {
                json!({ "keyId": key.to_string(), "message": message })
            }
            Self::EventsMarked { read, count, .. } => json!({ "read": read, "count": count }),
            Self::AccessDenied { rule, .. } => json!({ "rule": rule }),
            Self::SignedCallsRefused { code, network, minute, count, .. } => {
                json!({ "errorCode": code, "network": network, "minute": minute.to_string(), "count": count })
            }
            Self::Listed { what, count } => json!({ "what": what, "count": count }),
            Self::BackedUp { at, heads } => json!({ "at": at.to_string(), "heads": heads }),
            Self::Restored { old_heads, new_heads, tokens_ended } => {
                json!({ "oldHeads": old_heads, "newHeads": new_heads, "tokensEnded": tokens_ended })
            }
            Self::ClockWentBack { last } => json!({ "lastEntryAt": last.to_string() }),
            Self::Upgraded { from, to } => json!({ "from": from, "to": to }),
        };
        Some(detail.to_string())
    }
}

fn strings(ids: &[OrgKeyId]) -> Value {
    ids.iter().map(ToString::to_string).collect()
}

/// The network of a client, as limits and counts see it: the address itself for IPv4, its /64 for IPv6.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
    }
}
