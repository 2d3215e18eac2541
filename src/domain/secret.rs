//! Secrets of an organization: named texts, such as the settings of a program, that its nodes fetch with a signed call.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use super::id::{OrgId, SecretId};
use super::text::InvalidField;
use super::time::Time;

/// The maximum number of secrets per organization. A name with texts for several regions counts once for each.
pub const MOST_PER_ORG: u32 = 32;

/// The maximum length of a text, in bytes of UTF-8.
pub const MOST_BYTES: usize = 16_384;

/// The maximum length of a name.
const NAME: usize = 16;

/// The names that every answer to a node has: where none is set, the text is empty. Published installers read all three.
pub const ALWAYS: [&str; 3] = ["s3", "gcs", "blob"];

/// A secret, without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// The id, which its text is sealed for.
    pub id: SecretId,
    /// The organization that it belongs to.
    pub org: OrgId,
    /// Its name.
    pub name: SecretName,
    /// The region whose nodes get it; `None`: those of every region that has no text of its own.
    pub region: Option<String>,
    /// The length of its text, in bytes.
    pub bytes: u32,
    /// When the text was last set.
    pub updated_at: Time,
}

/// The name of a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretName(String);

impl SecretName {
    /// Accepts 1 to 16 characters of `a` to `z` and `0` to `9`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_valid =
            (1..=NAME).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        is_valid.then(|| Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Accepts a text of at most [`MOST_BYTES`] bytes. Nodes get it as it is, so it may contain anything.
pub fn parse_text(text: String) -> Result<SecretString, InvalidField> {
    let text = SecretString::from(text);
    if text.expose_secret().len() > MOST_BYTES {
        return Err(InvalidField::new("text", format!("must be at most {MOST_BYTES} bytes long in UTF-8")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_1_to_16_lower_case_letters_and_digits() {
        for name in ["s", "s3", "0", "abcdefghijklmnop"] {
            assert_eq!(SecretName::parse(name).expect(name).as_str(), name);
        }
        for name in ["", "abcdefghijklmnopq", "S3", "s_3", "s 3", "s3\n", "\u{e9}", "../s3"] {
            assert_eq!(SecretName::parse(name), None, "{name:?}");
        }
    }

    #[test]
    fn a_text_is_limited_in_bytes() {
        for (text, fits) in [
            (String::new(), true),
            ("a\0\n".to_owned(), true),
            ("x".repeat(16_384), true),
            ("x".repeat(16_385), false),
            ("\u{e9}".repeat(8_192), true),
            ("\u{e9}".repeat(8_192) + "x", false),
        ] {
            assert_eq!(parse_text(text.clone()).is_ok(), fits, "{} bytes", text.len());
        }
    }
}
