//! The messages that nodes sign: `ip|region|timestamp`, optionally followed by `|<organization id>`, with
//! RSASSA-PKCS1-v1_5 and SHA-256.

use aws_lc_rs::digest::{self, SHA256};
use base64::prelude::{BASE64_STANDARD, Engine};

use super::public_key::SIZES;
use super::rsa::Verifier;

/// The most bytes of a signature: those of the largest key.
const MOST_BYTES: usize = SIZES[SIZES.len() - 1] / 8;

/// The bytes of a signature, as many as the modulus of its key has: 256, 384 or 512.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature(Box<[u8]>);

/// Which of the two accepted messages was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `ip|region|timestamp`.
    Plain,
    /// `ip|region|timestamp|<organization id>`.
    WithOrganization,
}

impl Form {
    /// The name of the form in the audit log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "ip|region|timestamp",
            Self::WithOrganization => "ip|region|timestamp|organization",
        }
    }
}

/// The two messages that a signature may cover.
#[derive(Debug)]
pub struct Messages {
    plain: String,
    org: String,
}

impl Messages {
    /// Builds the messages from their parts, none of which may contain `|`.
    #[must_use]
    pub fn new(ip: &str, region: &str, timestamp: &str, org: &str) -> Self {
        Self { plain: format!("{ip}|{region}|{timestamp}"), org: org.to_owned() }
    }

    /// The message that a node is expected to sign: the form without the organization.
    #[must_use]
    pub fn expected(&self) -> &str {
        &self.plain
    }

    /// Returns the first form, and the index of the first key, for which the signature is valid.
    #[must_use]
    pub fn find_signer(&self, signature: &Signature, keys: &[impl AsRef<Verifier>]) -> Option<(Form, usize)> {
        let signer = |message: &str| {
            let digest = digest::digest(&SHA256, message.as_bytes());
            keys.iter().position(|key| key.as_ref().verifies(&digest, signature.as_ref()))
        };
        let with_org = || signer(&format!("{}|{}", self.plain, self.org)).map(|key| (Form::WithOrganization, key));
        signer(&self.plain).map(|key| (Form::Plain, key)).or_else(with_org)
    }
}

impl Signature {
    /// Accepts bytes of the length of a signature.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        SIZES.contains(&(bytes.len() * 8)).then(|| Self(bytes.into()))
    }
}

impl AsRef<[u8]> for Signature {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Decodes a signature from standard base64 with padding; `None` unless it has exactly the length of a signature.
#[must_use]
pub fn decode_signature(text: &str) -> Option<Signature> {
    // The decoder estimates the length in groups of three bytes: with one byte less it would refuse valid input.
    let mut bytes = [0; MOST_BYTES + 2];
    let length = BASE64_STANDARD.decode_slice(text, &mut bytes).ok()?;
    Signature::new(&bytes[..length])
}
