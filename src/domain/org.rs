//! Organizations, which own everything else, and their profiles.

use super::id::OrgId;
use super::text::{self, InvalidField};
use super::time::Time;

/// An organization.
#[derive(Clone, Debug)]
pub struct Org {
    /// The organization's id.
    pub id: OrgId,
    /// The name of the organization.
    pub name: String,
    /// When the organization was created.
    pub created_at: Time,
    /// The rest of its profile.
    pub about: About,
}

/// The profile of an organization besides its name. None of it affects authorization; fields that were not given are
/// empty.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the fields are those that clients know")]
pub struct About {
    pub domain: String,
    pub website: String,
    pub address1: String,
    pub address2: String,
    pub city: String,
    pub zipcode: String,
    pub phone: String,
    pub state: String,
    pub country: String,
    pub is_business: bool,
}

/// Parses the name of an organization: 1 to 100 characters.
pub fn parse_name(value: &str) -> Result<String, InvalidField> {
    text::parse("name", value, 1..=100)
}

/// Parses the domain of an organization: up to 253 characters, the maximum length of a host name.
pub fn parse_domain(value: &str) -> Result<String, InvalidField> {
    text::parse("domain", value, 0..=253)
}

/// Parses any other text of an organization's profile: up to 200 characters.
pub fn parse_about(field: &'static str, value: &str) -> Result<String, InvalidField> {
    text::parse(field, value, 0..=200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_a_profile_are_limited_in_characters() {
        let fits = |length: usize| {
            let text = "\u{e9}".repeat(length);
            [parse_name(&text), parse_domain(&text), parse_about("city", &text)].map(|parsed| parsed.is_ok())
        };
        for (length, expected) in [
            (0, [false, true, true]),
            (1, [true; 3]),
            (100, [true; 3]),
            (101, [false, true, true]),
            (200, [false, true, true]),
            (201, [false, true, false]),
            (253, [false, true, false]),
            (254, [false; 3]),
        ] {
            assert_eq!(fits(length), expected, "{length}");
        }
    }
}
