//! Request and response bodies for organization keys.

use std::collections::HashMap;

use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Enum, Object};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use crate::actions::org_key::rotation::{OrgKeyPatch, Rotated, Rotation};
use crate::actions::org_key::{Import, KeyNow};
use crate::api::http::timestamp::{Moment, Timestamp};
use crate::crypto::public_key::{self, Description};
use crate::crypto::rsa::public_pem;
use crate::domain::id::OrgKeyId;
use crate::domain::org_key::{Impact, KeyNode, KeyState, parse_name, parse_overlap};
use crate::domain::text::{self, InvalidField};
use crate::domain::time::Time;
use crate::engine::error::Error;

/// The most characters of a public key in PEM. A private key by mistake is no longer than that either.
const MOST_OF_PEM: usize = 8_192;

/// State of an organization key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize)]
#[oai(rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
enum OrganizationKeyState {
    /// Verifies signatures and does not end by itself.
    Active,
    /// Verifies signatures until `retireAt`.
    Retiring,
    /// Verifies no signatures any more.
    Retired,
    /// Was deleted.
    Deleted,
}

/// Algorithm of an organization key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize)]
enum KeyAlgorithm {
    /// RSA.
    #[oai(rename = "RSA")]
    #[serde(rename = "RSA")]
    Rsa,
}

/// An organization key: its public key, and the nodes that last registered with it.
#[derive(Object, Serialize)]
#[oai(rename = "OrganizationKey", rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(super) struct OrgKeyItem {
    /// Id of the key.
    id: String,
    /// Id of the organization.
    org_id: String,
    /// RSA public key, SubjectPublicKeyInfo in PEM.
    public_key: String,
    /// Time of creation.
    created_at: Timestamp,
    /// The nodes that last registered with this key, newest first.
    node_keys: Vec<NodeKey>,
    /// Name of the key. May be empty.
    name: String,
    /// Whether the key verifies signatures.
    state: OrganizationKeyState,
    /// Time from which on the key verifies no signatures. Null if it does not end by itself.
    #[oai(nullable)]
    retire_at: Option<Timestamp>,
    /// Whether a retiring key that has a successor ends as soon as the last of its nodes has registered with another key.
    retire_when_unused: bool,
    /// Id of the key that replaces this one. Null if there is none.
    #[oai(nullable)]
    successor_id: Option<String>,
    /// Time of the last accepted signed call of a node that last registered with this key. Null if there is no such node.
    #[oai(nullable)]
    last_used: Option<Timestamp>,
    /// Algorithm of the key.
    algorithm: KeyAlgorithm,
    /// Size of the key in bits: 2048, 3072 or 4096.
    bits: i64,
    /// SHA-256 thumbprint of the public key as a JSON Web Key, in base64url (RFC 7638).
    thumbprint: String,
    /// Whether the public key was imported, so that the server never had its private key.
    brought: bool,
}

/// A node and the key that it last registered with.
#[derive(Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(super) struct NodeKey {
    /// Id of the key.
    key_id: String,
    /// Address (`ip`) of the node, as it was signed.
    node_id: String,
    /// Time of the node's last accepted signed call.
    last_used: Timestamp,
}

/// The keys of an organization.
#[derive(Object, Serialize)]
#[oai(rename = "OrganizationKeyList")]
pub(super) struct OrgKeyList {
    /// Always true.
    pub success: bool,
    /// Human-readable confirmation.
    pub message: String,
    /// The keys, newest first.
    pub data: Vec<OrgKeyItem>,
}

/// An organization key after the operation.
#[derive(Object, Serialize)]
#[oai(rename = "OrganizationKeyAnswer")]
pub(super) struct OrgKeyAnswer {
    /// Always true.
    pub success: bool,
    /// Human-readable confirmation.
    pub message: String,
    /// The key.
    pub data: OrgKeyItem,
}

/// A rotation. Every field may be left out, and so may the body.
#[derive(Object, Deserialize, Default)]
#[oai(rename = "OrganizationKeyRotation", rename_all = "camelCase", skip_serializing_if_is_none)]
#[serde(rename_all = "camelCase")]
pub(super) struct RotateRequest {
    /// Number of seconds for which the old key still verifies signatures. Default 604,800 (7 days).
    #[oai(validator(minimum(value = "0"), maximum(value = "31536000")))]
    overlap_seconds: Option<i64>,
    /// Whether the old key ends earlier, as soon as the last of its nodes has registered with another key. Default true.
    retire_when_unused: Option<bool>,
    /// RSA public key of the successor in PEM, if you generated its key pair yourself: SubjectPublicKeyInfo or PKCS#1, with
    /// 2048, 3072 or 4096 bits.
    #[oai(validator(max_length = 8192))]
    public_key: Option<String>,
    /// Name of the successor: up to 100 characters. By default it has the name of the old key.
    #[oai(validator(max_length = 100, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    name: Option<String>,
}

/// A change of an organization key. What is left out stays as it is.
#[derive(Object, Deserialize)]
#[oai(rename = "OrganizationKeyChange", rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(super) struct UpdateRequest {
    /// Time from which on the key verifies no signatures, at most 365 days from now. A time in the past means now. Null
    /// means that the key does not end by itself, and has no successor.
    #[serde(default)]
    retire_at: MaybeUndefined<Moment>,
    /// Whether the key ends as soon as the last of its nodes has registered with another key. Only has an effect while the
    /// key is retiring and has a successor.
    #[oai(skip_serializing_if_is_none)]
    retire_when_unused: Option<bool>,
    /// Name of the key: up to 100 characters.
    #[oai(skip_serializing_if_is_none, validator(max_length = 100, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    name: Option<String>,
}

/// A public key to import.
#[derive(Object, Deserialize)]
#[oai(rename = "OrganizationKeyImport", rename_all = "camelCase", skip_serializing_if_is_none)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImportRequest {
    /// RSA public key in PEM: SubjectPublicKeyInfo or PKCS#1, with 2048, 3072 or 4096 bits. Never send a private key.
    #[oai(validator(max_length = 8192))]
    public_key: String,
    /// Name of the key: up to 100 characters. Default: none.
    #[oai(validator(max_length = 100, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    name: Option<String>,
}

/// The successor of a key that was rotated.
#[derive(Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(super) struct RotatedOrgKey {
    /// Id of the successor.
    id: String,
    /// Id of the organization.
    org_id: String,
    /// RSA public key of the successor, SubjectPublicKeyInfo in PEM.
    public_key: String,
    /// Time of creation.
    created_at: Timestamp,
    /// RSA private key of the successor, PKCS#1 in PEM. It cannot be retrieved again. Left out if the request contained the
    /// public key.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    private_key: Option<String>,
    /// Id of the key that was rotated.
    predecessor_id: String,
    /// Time from which on the key that was rotated verifies no signatures.
    retire_at: Timestamp,
}

/// The result of a rotation.
#[derive(Object, Serialize)]
pub(super) struct RotatedOrgKeyAnswer {
    /// Always true.
    pub success: bool,
    /// Human-readable confirmation.
    pub message: String,
    /// The successor.
    pub data: RotatedOrgKey,
}

/// What a deletion would do.
#[derive(Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(super) struct OrganizationKeyImpact {
    /// Number of keys that would be deleted.
    keys: i64,
    /// Number of nodes that last registered with these keys. They would have to register with another key.
    nodes: i64,
    /// Number of these nodes that made an accepted signed call within the last 24 hours.
    heard_today: i64,
    /// Time of the last accepted signed call of one of these nodes. Null if there is none.
    #[oai(nullable)]
    last_used: Option<Timestamp>,
    /// Addresses of up to 20 of these nodes, those heard from last first.
    sample: Vec<String>,
    /// Number of the organization's other nodes, without deleted ones.
    unaffected: i64,
}

/// The preview of a deletion.
#[derive(Object, Serialize)]
#[oai(rename = "OrganizationKeyImpactAnswer")]
pub(super) struct ImpactAnswer {
    /// Always true.
    pub success: bool,
    /// Human-readable confirmation.
    pub message: String,
    /// What the deletion would do.
    pub data: OrganizationKeyImpact,
}

impl RotateRequest {
    pub(super) fn parse(self, key: Option<OrgKeyId>) -> Result<Rotation, InvalidField> {
        text::at_most("publicKey", self.public_key.as_deref().unwrap_or_default(), MOST_OF_PEM)?;
        Ok(Rotation {
            key,
            overlap: parse_overlap(self.overlap_seconds)?,
            retire_unused: self.retire_when_unused.unwrap_or(true),
            pem: self.public_key,
            name: self.name.as_deref().map(parse_name).transpose()?,
        })
    }
}

impl UpdateRequest {
    pub(super) fn parse(self, key: Option<OrgKeyId>) -> Result<OrgKeyPatch, InvalidField> {
        let time = |moment: Moment| {
            let problem = "must be RFC 3339 with an offset, such as 2024-01-15T10:30:00Z, or null";
            Time::parse_rfc3339(&moment).ok_or_else(|| InvalidField::new("retireAt", problem))
        };
        let end = match self.retire_at {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(None),
            MaybeUndefined::Value(moment) => Some(Some(time(moment)?)),
        };
        let name = self.name.as_deref().map(parse_name).transpose()?;
        Ok(OrgKeyPatch { key, end, retire_unused: self.retire_when_unused, name })
    }
}

impl ImportRequest {
    pub(super) fn parse(self) -> Result<Import, InvalidField> {
        text::at_most("publicKey", &self.public_key, MOST_OF_PEM)?;
        Ok(Import { pem: self.public_key, name: parse_name(&self.name.unwrap_or_default())? })
    }
}

/// Returns the keys, each with its nodes.
pub(super) fn items(keys: Vec<KeyNow>, nodes: Vec<KeyNode>) -> Result<Vec<OrgKeyItem>, Error> {
    let mut beside = HashMap::<OrgKeyId, Vec<NodeKey>>::new();
    for node in nodes {
        beside.entry(node.key).or_default().push(node_key(node));
    }
    keys.into_iter()
        .map(|key| {
            let nodes = beside.remove(&key.key.id).unwrap_or_default();
            item(key, nodes)
        })
        .collect()
}

/// Returns the response with a key and its nodes.
pub(super) fn answer(message: &str, key: KeyNow, nodes: Vec<KeyNode>) -> Result<OrgKeyAnswer, Error> {
    let nodes = nodes.into_iter().map(node_key).collect();
    Ok(OrgKeyAnswer { success: true, message: message.to_owned(), data: item(key, nodes)? })
}

fn node_key(KeyNode { key, ip, last_contact, .. }: KeyNode) -> NodeKey {
    NodeKey { key_id: key.to_string(), node_id: ip, last_used: Timestamp(last_contact) }
}

fn item(now: KeyNow, node_keys: Vec<NodeKey>) -> Result<OrgKeyItem, Error> {
    let KeyNow { key, state, last_used } = now;
    let Description { bits, thumbprint } = public_key::describe(&key.public_key)?;
    Ok(OrgKeyItem {
        id: key.id.to_string(),
        org_id: key.org.to_string(),
        public_key: public_pem(&key.public_key),
        created_at: Timestamp(key.created_at),
        node_keys,
        name: key.name,
        state: match state {
            KeyState::Active => OrganizationKeyState::Active,
            KeyState::Retiring => OrganizationKeyState::Retiring,
            KeyState::Retired => OrganizationKeyState::Retired,
            KeyState::Deleted => OrganizationKeyState::Deleted,
        },
        retire_at: key.retire_at.map(Timestamp),
        retire_when_unused: key.retire_unused,
        successor_id: key.successor.map(|key| key.to_string()),
        last_used: last_used.map(Timestamp),
        algorithm: KeyAlgorithm::Rsa,
        bits: bits.try_into().unwrap_or(i64::MAX),
        thumbprint,
        brought: key.brought,
    })
}

pub(super) fn rotated(rotated: &Rotated) -> RotatedOrgKey {
    RotatedOrgKey {
        id: rotated.key.id.to_string(),
        org_id: rotated.key.org.to_string(),
        public_key: public_pem(&rotated.key.public_key),
        created_at: Timestamp(rotated.key.created_at),
        private_key: rotated.pair.as_ref().map(|pair| pair.private_pem.expose_secret().to_owned()),
        predecessor_id: rotated.predecessor.to_string(),
        retire_at: Timestamp(rotated.retire_at),
    }
}

pub(super) fn impact(impact: Impact) -> OrganizationKeyImpact {
    OrganizationKeyImpact {
        keys: impact.keys.try_into().unwrap_or(i64::MAX),
        nodes: impact.nodes,
        heard_today: impact.heard_today,
        last_used: impact.last_used.map(Timestamp),
        sample: impact.sample,
        unaffected: impact.unaffected,
    }
}
