//! Who is somebody? A person of one organization, and the access token by which a caller is known.

use super::id::{OrgId, TokenId, UserId};
use super::role::Role;
use super::text::{self, InvalidField};
use super::time::Time;

/// The most people of an organization that a limit may allow: with more, a page of them would take too long to find.
pub const MOST_PER_ORG: u32 = 100_000;

/// A person, who belongs to exactly one organization.
#[derive(Clone, Debug)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Its organization.
    pub org: OrgId,
    /// Its address, unique on the server in any letter case.
    pub email: String,
    /// First name.
    pub name: String,
    /// Last name.
    pub last_name: String,
    /// What it may do.
    pub role: Role,
    /// Whether the person has taken the account over.
    pub validated: bool,
    /// When it was deleted, if it was.
    pub deleted_at: Option<Time>,
}

/// An access token, without the secret.
#[derive(Clone, Debug)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// Whose it is.
    pub user: UserId,
    /// When it was made.
    pub created_at: Time,
    /// When it ends; never, if `None`.
    pub expires_at: Option<Time>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Time>,
    /// When it was last used, to the minute.
    pub last_used: Option<Time>,
}

/// Takes an email address: 3 to 254 characters (RFC 5321, section 4.5.3.1.3) with one `@` inside and no space.
pub fn parse_email(value: &str) -> Result<String, InvalidField> {
    let email = text::parse("email", value, 3..=254)?;
    let parts: Vec<&str> = email.split('@').collect();
    match parts[..] {
        [local, host] if !local.is_empty() && !host.is_empty() && !email.contains(char::is_whitespace) => Ok(email),
        _ => Err(InvalidField::new("email", "must be an address such as admin@example.org")),
    }
}

/// Takes a person's first name, which they have: 1 to 100 characters.
pub fn parse_name(field: &'static str, value: &str) -> Result<String, InvalidField> {
    text::parse(field, value, 1..=100)
}

/// Takes a person's last name, which not everybody has: up to 100 characters.
pub fn parse_last_name(value: &str) -> Result<String, InvalidField> {
    text::parse("lastName", value, 0..=100)
}
