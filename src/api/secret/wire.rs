//! Request and response bodies for secrets.

use std::borrow::Cow;

use poem_openapi::Object;
use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::api::http::timestamp::Timestamp;
use crate::crypto::hybrid::Envelope;
use crate::domain::node::parse_region;
use crate::domain::secret::{Secret, parse_text};
use crate::domain::text::InvalidField;
use crate::engine::error::Error;

/// The text of a secret.
#[derive(Object, Deserialize)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct SecretInput {
    /// The text: up to 16,384 bytes of UTF-8. Nodes get it exactly as it is.
    #[oai(validator(max_length = 16384))]
    text: String,
    /// Region whose nodes get this text: 1 to 64 characters without `|`. If left out, the nodes of every region that has
    /// no text of its own get it.
    #[oai(validator(min_length = 1, max_length = 64, pattern = r"^[^|\x00-\x1f\x7f]*$"))]
    region: Option<String>,
}

/// A secret, without its text.
#[derive(Object, Serialize)]
#[oai(rename = "Secret", rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(super) struct SecretItem {
    /// Id of the secret, which its events name.
    id: String,
    /// Name of the secret.
    name: String,
    /// Region whose nodes get the text. Null: the nodes of every region that has no text of its own.
    #[oai(nullable)]
    region: Option<String>,
    /// Length of the text in bytes.
    bytes: u32,
    /// Time when the text was last set.
    updated_at: Timestamp,
}

/// A secret that was set.
#[derive(Object, Serialize)]
pub(super) struct SecretAnswer {
    /// Always true.
    success: bool,
    /// Human-readable confirmation.
    message: String,
    /// The secret, without its text.
    data: SecretItem,
}

/// The secrets of an organization.
#[derive(Object, Serialize)]
pub(super) struct SecretList {
    /// Always true.
    success: bool,
    /// Human-readable confirmation.
    message: String,
    /// The secrets without their texts, ordered by name; for each name, the one for all regions first.
    data: Vec<SecretItem>,
}

/// The encrypted texts for a node: a field `env_<name>_enc` for each.
#[derive(Serialize)]
pub(super) struct NodeSecrets(Map<String, Value>);

impl SecretInput {
    pub(super) fn parse(self) -> Result<(Option<String>, SecretString), InvalidField> {
        Ok((self.region.as_deref().map(parse_region).transpose()?, parse_text(self.text)?))
    }
}

impl SecretAnswer {
    pub(super) fn new(message: &str, secret: Secret) -> Self {
        Self { success: true, message: message.to_owned(), data: item(secret) }
    }
}

impl SecretList {
    pub(super) fn new(secrets: Vec<Secret>) -> Self {
        let message = "Secrets retrieved successfully".to_owned();
        Self { success: true, message, data: secrets.into_iter().map(item).collect() }
    }
}

impl NodeSecrets {
    /// Writes each encrypted text as JSON into a field of its own.
    pub(super) fn new(texts: Vec<(String, Envelope)>) -> Result<Self, Error> {
        let mut fields = Map::new();
        fields.insert("success".to_owned(), json!(true));
        fields.insert("message".to_owned(), json!("Secrets retrieved successfully"));
        for (name, envelope) in texts {
            let envelope = serde_json::to_string(&envelope).map_err(Error::internal)?;
            fields.insert(format!("env_{name}_enc"), envelope.into());
        }
        Ok(Self(fields))
    }
}

fn item(secret: Secret) -> SecretItem {
    let Secret { id, name, region, bytes, updated_at, .. } = secret;
    SecretItem { id: id.to_string(), name: name.to_string(), region, bytes, updated_at: Timestamp(updated_at) }
}

const ENVELOPE: &str = "JSON text of an object with four fields in standard base64. `key`: a key K of 32 bytes, encrypted by \
    RSAES-OAEP with SHA-256 (also in MGF1) and an empty label. `iv`: 16 bytes. `ct`: the text, encrypted by AES-256-CTR \
    with K and `iv`. `mac`: HMAC-SHA256 with K of the bytes of `iv` followed by those of `ct`.";

/// Documented by hand, because the names of the fields depend on the secrets.
impl Type for NodeSecrets {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "NodeSecrets".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference(Self::name().into_owned())
    }

    fn register(registry: &mut Registry) {
        registry.create_schema::<Self, _>(Self::name().into_owned(), |_| {
            let described = |of: &'static str, description| {
                MetaSchemaRef::Inline(Box::new(MetaSchema { description: Some(description), ..MetaSchema::new(of) }))
            };
            let always = ["env_s3_enc", "env_gcs_enc", "env_blob_enc"];
            let mut properties = vec![
                ("success", described("boolean", "Always true.")),
                ("message", described("string", "Human-readable confirmation.")),
            ];
            properties.extend(always.map(|field| (field, described("string", ENVELOPE))));
            MetaSchema {
                title: Some(Self::name().into_owned()),
                description: Some(
                    "The encrypted texts for a node: a field `env_<name>_enc` for each, in the form of `env_s3_enc`.",
                ),
                required: properties.iter().map(|(name, _)| *name).collect(),
                properties,
                additional_properties: Some(Box::new(described("string", ENVELOPE))),
                ..MetaSchema::new("object")
            }
        });
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}
