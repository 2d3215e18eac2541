//! Who asks? Known by a credential alone, never by what a request says of itself.

use std::net::IpAddr;

use crate::domain::audit::Actor;
use crate::domain::event::Event;
use crate::domain::id::{OrgId, OrgKeyId, TokenId, UserId};

/// Somebody who asks for something, and where the request came from.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who it is.
    pub identity: Identity,
    /// Where it came from.
    pub origin: Origin,
}

/// Who a credential says the caller is.
#[derive(Clone, Debug)]
pub enum Identity {
    /// The user of a valid access token.
    User {
        /// The token.
        token: TokenId,
        /// Its user.
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

/// Where a request came from, as the audit log records it.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The client's address; none for the command line.
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

    /// How the audit log names the caller of `event`.
    pub(super) fn actor(&self, event: &Event) -> Actor {
        match &self.identity {
            Identity::User { user, .. } => Actor { kind: "user", id: user.to_string(), name: None },
            Identity::Node { ip, .. } => {
                let id = event.context().map(|(_, id)| id).unwrap_or_default();
                Actor { kind: "node", id, name: Some(ip.clone()) }
            }
            Identity::System => Actor { kind: "system", id: "system".to_owned(), name: Some("orgkeys".to_owned()) },
        }
    }
}
