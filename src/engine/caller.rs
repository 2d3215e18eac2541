//! The caller of an action, known only by a credential and never by what a request claims.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use crate::domain::audit::Actor;
use crate::domain::id::{ApiKeyId, NodeId, OrgId, OrgKeyId, TokenId, UserId};

/// Who makes a request, and where it came from.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who makes the request.
    pub identity: Identity,
    /// Where it came from.
    pub origin: Origin,
}

/// Who the caller is, as the credential proves.
#[derive(Clone, Debug)]
pub enum Identity {
    /// The user of a valid access token.
    User {
        /// The token.
        token: TokenId,
        /// Its user.
        user: UserId,
        /// The user's organization.
        org: OrgId,
    },
    /// A service with a valid API key.
    ApiKey {
        /// The key.
        key: ApiKeyId,
        /// The key's organization.
        org: OrgId,
    },
    /// A user who has just authenticated with their password, a refresh token or an invitation.
    Proven {
        /// The user.
        user: UserId,
    },
    /// A node whose signature was verified with a key of the organization.
    Node {
        /// The organization.
        org: OrgId,
        /// The key that verified.
        key: OrgKeyId,
        /// The node's address, as signed.
        ip: String,
    },
    /// The server's administrator, who calls over the server's unix socket without a credential and belongs to no
    /// organization.
    Administrator {
        /// The organization that the request names, or the only one; `None` if there are several.
        org: Option<OrgId>,
    },
    /// The command line, and the server itself.
    System,
}

/// The proof that a request comes from the server's administrator: the system says that its peer is root or the server's
/// own user. Only [`System`](super::system::System) gives it away.
#[derive(Clone, Copy, Debug)]
pub struct LocalAdministrator(pub(super) ());

/// The credential of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialId {
    /// An access token or a session, and its user.
    Token(TokenId, UserId),
    /// An API key.
    ApiKey(ApiKeyId),
}

/// Where a request came from, as the audit log records it.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The client's IP address; `None` for the command line.
    pub address: Option<IpAddr>,
    /// The id of the request.
    pub request_id: Option<String>,
    /// The caller, once it is proven.
    pub proven: ProvenCaller,
}

impl Origin {
    /// The origin of what is no request.
    pub const NONE: Self = Self { address: None, request_id: None, proven: ProvenCaller(None) };
}

/// The caller of a request as the log names it: by an id, never by a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallerId {
    /// A user.
    User(UserId),
    /// An API key.
    ApiKey(ApiKeyId),
    /// A node.
    Node(NodeId),
    /// The server's administrator.
    Administrator,
}

impl CallerId {
    /// The name of the kind, as in the audit log.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::ApiKey(_) => "api_key",
            Self::Node(_) => "node",
            Self::Administrator => "system",
        }
    }
}

impl fmt::Display for CallerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "{id}"),
            Self::ApiKey(id) => write!(f, "{id}"),
            Self::Node(id) => write!(f, "{id}"),
            Self::Administrator => f.write_str("system"),
        }
    }
}

/// Where a request's caller and their organization are stored when the caller is proven, so that the request's log line
/// can name the caller, and the statistics count the call. The default stores nothing.
#[derive(Clone, Debug, Default)]
pub struct ProvenCaller(Option<Arc<OnceLock<Proven>>>);

/// A caller, and their organization if it is known.
type Proven = (CallerId, Option<OrgId>);

impl ProvenCaller {
    /// Creates the place for the caller of one request.
    #[must_use]
    pub fn of_request() -> Self {
        Self(Some(Arc::default()))
    }

    /// Returns the caller, if it was proven.
    #[must_use]
    pub fn get(&self) -> Option<CallerId> {
        Some(self.0.as_ref()?.get()?.0)
    }

    /// Returns the organization of the caller, if both are known.
    #[must_use]
    pub fn org(&self) -> Option<OrgId> {
        self.0.as_ref()?.get()?.1
    }

    /// Stores the caller, and their organization if it is known. The first one counts.
    pub(crate) fn set(&self, caller: CallerId, org: Option<OrgId>) {
        if let Some(place) = &self.0 {
            let _ = place.set((caller, org));
        }
    }
}

impl Caller {
    /// Creates the caller of a request, who was proven to be `identity`. The id of a node is not part of its identity,
    /// so it is stored where the node is found.
    pub(crate) fn proven(identity: Identity, origin: Origin) -> Self {
        match identity {
            Identity::User { user, org, .. } => origin.proven.set(CallerId::User(user), Some(org)),
            Identity::Proven { user } => origin.proven.set(CallerId::User(user), None),
            Identity::ApiKey { key, org } => origin.proven.set(CallerId::ApiKey(key), Some(org)),
            Identity::Administrator { org } => origin.proven.set(CallerId::Administrator, org),
            Identity::Node { .. } | Identity::System => {}
        }
        Self { identity, origin }
    }

    /// The command line, and the server itself.
    #[must_use]
    pub fn system() -> Self {
        Self { identity: Identity::System, origin: Origin::default() }
    }

    /// Returns the organization that the credential belongs to, or in which the server's administrator acts.
    #[must_use]
    pub const fn org(&self) -> Option<OrgId> {
        match self.identity {
            Identity::User { org, .. } | Identity::ApiKey { org, .. } | Identity::Node { org, .. } => Some(org),
            Identity::Administrator { org } => org,
            Identity::Proven { .. } | Identity::System => None,
        }
    }

    /// Returns the credential, by which calls and streams are counted, and its organization.
    #[must_use]
    pub const fn credential(&self) -> Option<(OrgId, CredentialId)> {
        match self.identity {
            Identity::User { token, user, org } => Some((org, CredentialId::Token(token, user))),
            Identity::ApiKey { key, org } => Some((org, CredentialId::ApiKey(key))),
            Identity::Proven { .. } | Identity::Node { .. } | Identity::Administrator { .. } | Identity::System => None,
        }
    }

    /// Returns the actor for an audit entry about `context_id`. The name of an API key is added from the store.
    pub(crate) fn actor(&self, context_id: Option<&str>) -> Actor {
        match &self.identity {
            Identity::User { user, .. } | Identity::Proven { user } => {
                Actor { kind: "user", id: user.to_string(), name: None }
            }
            Identity::ApiKey { key, .. } => Actor { kind: "api_key", id: key.to_string(), name: None },
            Identity::Node { ip, .. } => {
                Actor { kind: "node", id: context_id.unwrap_or_default().to_owned(), name: Some(ip.clone()) }
            }
            Identity::Administrator { .. } | Identity::System => {
                Actor { kind: "system", id: "system".to_owned(), name: Some("orgkeys".to_owned()) }
            }
        }
    }
}
