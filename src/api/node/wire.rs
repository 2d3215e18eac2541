//! Request and response bodies for nodes. These types are separate from the domain's, so that a new column cannot leak.

use std::borrow::Cow;
use std::fmt;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseFromJSON, ParseResult, ToJSON, Type};
use poem_openapi::{Enum, Object};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use crate::actions::signed_call::SignedCall;
use crate::api::http::timestamp::Timestamp;
use crate::crypto::signed_request;
use crate::domain::id::OrgKeyId;
use crate::domain::node::{
    Node, NodeProfile, NodeState, Services, SignedAt, parse_ip, parse_provider, parse_region, parse_status,
    parse_version, url,
};
use crate::domain::text::InvalidField;
use crate::domain::time::Time;

/// A signed timestamp as it was sent, since its text is part of the signed message.
#[derive(Clone, Debug)]
struct SignedText(String);

/// The last millisecond of the year 9999, in Unix milliseconds.
const LAST_MILLISECOND: f64 = 253_402_300_799_999.0;

/// A node's registration, signed with a key of its organization.
#[derive(Object, Deserialize)]
#[oai(rename = "NodeRegistration", rename_all = "camelCase", skip_serializing_if_is_none)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// Address of the node, as signed: 1 to 253 characters without `|`.
    #[oai(validator(min_length = 1, max_length = 253, pattern = r"^[^|\x00-\x1f\x7f]*$"))]
    ip: String,
    /// Region of the node, as signed: 1 to 64 characters without `|`.
    #[oai(validator(min_length = 1, max_length = 64, pattern = r"^[^|\x00-\x1f\x7f]*$"))]
    region: String,
    /// Time of signing, exactly as signed: Unix seconds or milliseconds. A string of digits or an RFC 3339 time is
    /// accepted, too. It may differ from the server's time by at most the setting `signature_window`, 300 seconds by
    /// default.
    timestamp: SignedText,
    /// RSASSA-PKCS1-v1_5 signature with SHA-256 over `ip|region|timestamp`, in standard base64 with padding: 344
    /// characters for a key with 2048 bits, 512 for 3072, and 684 for 4096.
    #[oai(validator(min_length = 344, max_length = 684))]
    signature: String,
    /// Id of the organization. May be left out if the server has exactly one organization.
    #[oai(rename = "id_org")]
    #[serde(rename = "id_org")]
    #[oai(validator(max_length = 40))]
    id_org: Option<String>,
    /// Alias of `id_org`, sent by older installers.
    #[oai(rename = "org_id")]
    #[serde(rename = "org_id")]
    #[oai(validator(max_length = 40))]
    org_id: Option<String>,
    /// Cloud provider: S3, GCS, AZURE, AWS or GCP, in any letter case.
    #[oai(validator(max_length = 5))]
    provider: Option<String>,
    /// Status of the node as free text: up to 32 characters. Informational only.
    #[oai(validator(max_length = 32, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    status: String,
    /// Version of the node's software: up to 64 characters.
    #[oai(validator(max_length = 64, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    version: String,
    /// Services that the node offers, as a sum of STORAGE 1, AILLM 2 and CHAT 4. Default 0.
    #[oai(validator(minimum(value = "0"), maximum(value = "7")))]
    node_services: Option<i64>,
}

/// A node's call to unregister or to fetch its secrets, signed with a key of its organization.
#[derive(Object, Deserialize)]
#[oai(rename = "NodeUnregistration", skip_serializing_if_is_none)]
pub struct Unregistration {
    /// Address of the node, as signed.
    #[oai(validator(min_length = 1, max_length = 253, pattern = r"^[^|\x00-\x1f\x7f]*$"))]
    ip: String,
    /// Region of the node, as signed. If left out, the stored region is used.
    #[oai(validator(min_length = 1, max_length = 64, pattern = r"^[^|\x00-\x1f\x7f]*$"))]
    region: Option<String>,
    /// As in `registerNode`.
    timestamp: SignedText,
    /// As in `registerNode`.
    #[oai(validator(min_length = 344, max_length = 684))]
    signature: String,
    /// Id of the organization. May be left out if the server has exactly one organization.
    #[oai(validator(max_length = 40))]
    id_org: Option<String>,
    /// Alias of `id_org`, sent by older installers.
    #[oai(validator(max_length = 40))]
    org_id: Option<String>,
}

/// A registered node.
#[derive(Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(super) struct NodeInfo {
    /// Id of the node.
    id: String,
    /// Address of the node, as it was last signed.
    ip: String,
    /// Region of the node.
    region: String,
    /// Version of the node's software.
    version: String,
    /// Cloud provider in capitals, or an empty string if the node did not name one.
    provider: String,
    /// Status that the node last reported.
    status: String,
    /// URL of the node: `https://` and its address, with brackets around an IPv6 address. Null if the address is not
    /// an IP address or a host name.
    #[oai(nullable)]
    url: Option<String>,
    /// Id of the organization.
    #[oai(rename = "id_org")]
    #[serde(rename = "id_org")]
    id_org: String,
    /// Services that the node offers, as a sum of STORAGE 1, AILLM 2 and CHAT 4.
    node_services: u8,
    /// Always null: latency is not measured.
    #[oai(nullable)]
    latency_ms: Option<i64>,
    /// Id of the key that the node's last registration was signed with. Null if the node is not associated with a key.
    #[oai(nullable)]
    key_id: Option<String>,
    /// Time of the last registration.
    last_updated: Timestamp,
    /// Time since when the node is silent: it has not registered for as long as the server setting `node_silent` says.
    /// Null if it is not silent, or is deleted.
    #[oai(nullable)]
    silent_since: Option<Timestamp>,
    /// Time of deletion. Null if the node is not deleted.
    #[oai(nullable)]
    deleted_at: Option<Timestamp>,
}

/// State of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "NodeState", rename_all = "lowercase")]
pub(super) enum State {
    /// It has registered lately.
    Active,
    /// It has not registered for as long as the server setting `node_silent` says.
    Silent,
    /// An administrator deleted it.
    Deleted,
}

impl State {
    pub(super) const fn state(self) -> NodeState {
        match self {
            Self::Active => NodeState::Active,
            Self::Silent => NodeState::Silent,
            Self::Deleted => NodeState::Deleted,
        }
    }
}

/// A node after registration.
#[derive(Object, Serialize)]
pub(super) struct NodeAnswer {
    /// Always true.
    pub success: bool,
    /// Human-readable confirmation.
    pub message: String,
    /// The node.
    pub data: NodeInfo,
    /// What needs attention although the call was accepted. Left out if there is nothing.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warnings: Option<Vec<NodeWarning>>,
}

/// Something that will soon refuse the node's calls.
#[derive(Object, Serialize)]
pub(super) struct NodeWarning {
    /// Code for programs: a stable word in capitals, such as `KEY_RETIRING`.
    code: String,
    /// Human-readable message.
    message: String,
    /// When it happens.
    at: Timestamp,
}

/// Nodes of an organization.
#[derive(Object, Serialize)]
pub(super) struct NodeList {
    /// Always true.
    pub success: bool,
    /// Human-readable confirmation.
    pub message: String,
    /// The nodes, newest first.
    pub data: Vec<NodeInfo>,
    /// Total number of matching nodes.
    pub total: i64,
}

impl Registration {
    /// Parses the fields into the signed call and what the node reports about itself.
    pub fn parse(self) -> Result<(SignedCall, NodeProfile), InvalidField> {
        let profile = NodeProfile {
            ip: parse_ip(&self.ip)?,
            region: parse_region(&self.region)?,
            provider: parse_provider(self.provider.as_deref())?,
            status: parse_status(&self.status)?,
            version: parse_version(&self.version)?,
            services: Services::parse(self.node_services.unwrap_or(0))?,
        };
        let region = Some(profile.region.clone());
        let call =
            signed_call(profile.ip.clone(), region, &self.timestamp, &self.signature, (self.id_org, self.org_id))?;
        Ok((call, profile))
    }
}

impl Unregistration {
    /// Parses the fields into the signed call.
    pub fn parse(self) -> Result<SignedCall, InvalidField> {
        let region = self.region.as_deref().map(parse_region).transpose()?;
        signed_call(parse_ip(&self.ip)?, region, &self.timestamp, &self.signature, (self.id_org, self.org_id))
    }
}

fn signed_call(
    ip: String,
    region: Option<String>,
    timestamp: &SignedText,
    signature: &str,
    orgs: (Option<String>, Option<String>),
) -> Result<SignedCall, InvalidField> {
    let org = match orgs {
        (Some(id_org), Some(org_id)) if id_org != org_id => {
            return Err(InvalidField::new("id_org", "and org_id have different values: send only one of them"));
        }
        (id_org, org_id) => id_org.or(org_id),
    };
    let signature = signed_request::decode_signature(signature).ok_or_else(|| {
        let problem =
            "must be 256, 384 or 512 bytes in standard base64 with padding, on one line: 344, 512 or 684 characters";
        InvalidField::new("signature", problem)
    })?;
    Ok(SignedCall { org, ip, region, at: SignedAt::parse(&timestamp.0)?, signature })
}

/// Returns the warning that the key of a registration ends.
pub(super) fn retiring(key: OrgKeyId, ends: Time) -> NodeWarning {
    let message = format!("The key {key} that made this signature is refused from {ends} on: sign with its successor");
    NodeWarning { code: "KEY_RETIRING".to_owned(), message, at: Timestamp(ends) }
}

/// Returns a node, and the time since when it is silent.
pub(super) fn info((node, silent_since): (Node, Option<Time>)) -> NodeInfo {
    NodeInfo {
        id: node.id.to_string(),
        url: url(&node.profile.ip),
        ip: node.profile.ip,
        region: node.profile.region,
        version: node.profile.version,
        provider: node.profile.provider,
        status: node.profile.status,
        id_org: node.org.to_string(),
        node_services: node.profile.services.bits(),
        latency_ms: None,
        key_id: node.key.map(|key| key.to_string()),
        last_updated: Timestamp(node.last_contact),
        silent_since: silent_since.map(Timestamp),
        deleted_at: node.deleted_at.map(Timestamp),
    }
}

/// Documented as the integer that the published installer sends: generators fail on a field with several types.
impl Type for SignedText {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "integer(int64)".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        let bounds = MetaSchema { minimum: Some(0.0), maximum: Some(LAST_MILLISECOND), ..MetaSchema::ANY };
        MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("integer", "int64"))).merge(bounds)
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ToJSON for SignedText {
    fn to_json(&self) -> Option<Value> {
        self.0.parse::<i64>().ok().map(Value::from)
    }
}

impl ParseFromJSON for SignedText {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        Ok(serde_json::from_value(value.unwrap_or_default())?)
    }
}

impl<'de> Deserialize<'de> for SignedText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = SignedText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number of Unix seconds or milliseconds, or a string of digits or RFC 3339")
            }

            fn visit_u64<E>(self, number: u64) -> Result<SignedText, E> {
                Ok(SignedText(number.to_string()))
            }

            fn visit_str<E>(self, text: &str) -> Result<SignedText, E> {
                Ok(SignedText(text.to_owned()))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}
