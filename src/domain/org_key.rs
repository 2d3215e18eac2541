//! What is an organization key? The public half of an RSA-2048 pair whose private half only its receiver holds.

use std::sync::Arc;

use super::id::{NodeId, OrgId, OrgKeyId};
use super::time::Time;

/// The most keys that a setting may allow an organization: each signature is tried against every one.
pub const MAX_QUOTA: u32 = 100;

/// An organization key, as it is stored.
#[derive(Clone, Debug)]
pub struct OrgKey {
    /// Its id.
    pub id: OrgKeyId,
    /// The organization that it belongs to.
    pub org: OrgId,
    /// The public key: SubjectPublicKeyInfo, DER (RFC 5280).
    pub public_key: Arc<[u8]>,
    /// When it was made.
    pub created_at: Time,
}

/// A node that last proved itself with a key.
#[derive(Clone, Debug)]
pub struct KeyNode {
    /// The key.
    pub key: OrgKeyId,
    /// The node.
    pub node: NodeId,
    /// The node's address, which its organization knows it by.
    pub ip: String,
}
