//! What is an organization? The owner of everything else, and what it says of itself.

use super::id::OrgId;
use super::text::{self, InvalidField};
use super::time::Time;

/// An organization.
#[derive(Clone, Debug)]
pub struct Org {
    /// Its id.
    pub id: OrgId,
    /// What people call it.
    pub name: String,
    /// When it was made.
    pub created_at: Time,
    /// What else it says of itself.
    pub about: About,
}

/// What an organization says of itself beside its name. Nothing of it decides anything; what was not said is empty.
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

/// Takes the name of an organization: 1 to 100 characters.
pub fn parse_name(value: &str) -> Result<String, InvalidField> {
    text::parse("name", value, 1..=100)
}

/// Takes the name of an organization on the internet: up to 253 characters, as many as a host name may have.
pub fn parse_domain(value: &str) -> Result<String, InvalidField> {
    text::parse("domain", value, 0..=253)
}

/// Takes any other text that an organization says of itself: up to 200 characters.
pub fn parse_about(field: &'static str, value: &str) -> Result<String, InvalidField> {
    text::parse(field, value, 0..=200)
}
