//! Organization keys: the public halves of RSA-2048 key pairs. The private half is held only by whoever created the
//! key.

use std::sync::Arc;

use super::id::{NodeId, OrgId, OrgKeyId};
use super::time::Time;

/// The maximum of the setting that limits keys per organization, because each signature is checked against every key.
pub const MAX_QUOTA: u32 = 100;

/// An organization key, as it is stored.
#[derive(Clone, Debug)]
pub struct OrgKey {
    /// The key's id.
    pub id: OrgKeyId,
    /// The organization that it belongs to.
    pub org: OrgId,
    /// The public key: SubjectPublicKeyInfo, DER (RFC 5280).
    pub public_key: Arc<[u8]>,
    /// When the key was created.
    pub created_at: Time,
}

/// A node whose last registration a key verified.
#[derive(Clone, Debug)]
pub struct KeyNode {
    /// The key.
    pub key: OrgKeyId,
    /// The node.
    pub node: NodeId,
    /// The node's address, by which its organization identifies it.
    pub ip: String,
}
