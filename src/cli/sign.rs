//! `orgkeys sign`: builds and signs a node's request, ready to be sent to `/register` or `/unregister`.

use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::CommandError;
use super::output::say;
use crate::config::Choices;
use crate::crypto::signed_request::Messages;
use crate::crypto::signing_key::SigningKey;
use crate::domain::node::{SignedAt, parse_ip, parse_provider, parse_region, parse_status, parse_version};
use crate::domain::text::InvalidField;
use crate::server::clock;

#[derive(clap::Args)]
pub struct Sign {
    /// The organization's private key (PEM)
    #[arg(long, value_name = "PEM")]
    key: PathBuf,
    /// The node's IP address or name
    #[arg(long)]
    ip: String,
    /// The node's region
    #[arg(long)]
    region: String,
    /// The organization's id; optional if the server holds exactly one organization
    #[arg(long)]
    org: Option<String>,
    /// The timestamp to sign: Unix seconds, milliseconds or RFC 3339 [default: now]
    #[arg(long)]
    timestamp: Option<String>,
    /// The provider: S3, GCS, AZURE, AWS or GCP
    #[arg(long, value_parser = Choices(&["S3", "GCS", "AZURE", "AWS", "GCP"]))]
    provider: Option<String>,
    /// The node's status, as free text
    #[arg(long, default_value = "active")]
    status: String,
    /// The version of the node's software
    #[arg(long = "node-version", default_value = "1.0.0")]
    node_version: String,
    /// The services that the node offers: the sum of STORAGE 1, AILLM 2 and CHAT 4
    #[arg(long, default_value_t = 0)]
    services: u8,
}

impl Sign {
    pub fn run(self) -> Result<(), CommandError> {
        let pem = fs::read(&self.key).map_err(|error| format!("{}: {error}", self.key.display()))?;
        let now = (clock::system().now().millis() / 1_000).to_string();
        let at = SignedAt::parse(self.timestamp.as_deref().unwrap_or(&now))?;
        self.check()?;
        let messages = Messages::new(&self.ip, &self.region, &at.text, "");
        let signature = SigningKey::from_pem(&pem)
            .and_then(|key| key.sign(messages.expected()))
            .map_err(|error| format!("{}: {error}", self.key.display()))?;
        say(&self.body(&at, &signature).to_string())
    }

    fn check(&self) -> Result<(), InvalidField> {
        parse_ip(&self.ip)?;
        parse_region(&self.region)?;
        parse_status(&self.status)?;
        parse_version(&self.node_version)?;
        parse_provider(self.provider.as_deref()).map(drop)
    }

    fn body(&self, at: &SignedAt, signature: &str) -> Value {
        let mut body = Map::new();
        body.insert("ip".to_owned(), json!(self.ip));
        body.insert("region".to_owned(), json!(self.region));
        // Digits are sent as a JSON number, as the installer does; the signed text is the same.
        let number = at.text.parse::<u64>().ok().filter(|number| number.to_string() == at.text);
        body.insert("timestamp".to_owned(), number.map_or_else(|| json!(at.text), |number| json!(number)));
        body.insert("signature".to_owned(), json!(signature));
        if let Some(org) = &self.org {
            body.insert("id_org".to_owned(), json!(org));
        }
        if let Some(provider) = &self.provider {
            body.insert("provider".to_owned(), json!(provider));
        }
        body.insert("status".to_owned(), json!(self.status));
        body.insert("version".to_owned(), json!(self.node_version));
        body.insert("nodeServices".to_owned(), json!(self.services));
        Value::Object(body)
    }
}
