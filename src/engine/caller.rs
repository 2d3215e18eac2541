//! The caller of an action, known only by a credential and never by what a request claims.

use std::net::IpAddr;

use crate::domain::audit::Actor;
use crate::domain::id::{ApiKeyId, OrgId, OrgKeyId, TokenId, UserId};

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
    /// The command line, and the server itself.
    System,
}

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
}

impl Caller {
    /// The command line, and the server itself.
    #[must_use]
    pub fn system() -> Self {
        Self { identity: Identity::System, origin: Origin::default() }
    }

    /// Returns the organization that the credential belongs to.
    #[must_use]
    pub const fn org(&self) -> Option<OrgId> {
        match self.identity {
            Identity::User { org, .. } | Identity::ApiKey { org, .. } | Identity::Node { org, .. } => Some(org),
            Identity::Proven { .. } | Identity::System => None,
        }
    }

    /// Returns the credential, by which calls and streams are counted, and its organization.
    #[must_use]
    pub const fn credential(&self) -> Option<(OrgId, CredentialId)> {
        match self.identity {
            Identity::User { token, user, org } => Some((org, CredentialId::Token(token, user))),
            Identity::ApiKey { key, org } => Some((org, CredentialId::ApiKey(key))),
            Identity::Proven { .. } | Identity::Node { .. } | Identity::System => None,
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
            Identity::System => Actor { kind: "system", id: "system".to_owned(), name: Some("orgkeys".to_owned()) },
        }
    }
}
