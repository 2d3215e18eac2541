//! Users, each of one organization, and the access tokens with which callers authenticate.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::id::{OrgId, TokenId, UserId};
use super::role::Role;
use super::text::{self, InvalidField};
use super::time::Time;

/// The maximum of the setting that limits users per organization: with more, finding a page of them would take too
/// long.
pub const MOST_PER_ORG: u32 = 100_000;

/// The maximum number of access tokens of one user that are valid at a time, for those that create them over HTTP.
pub const MOST_TOKENS: u32 = 100;

/// The shortest and the longest lifetime of an access token that is created over HTTP.
const TOKEN_TTL: RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(366 * 24);

/// A user, who belongs to exactly one organization.
#[derive(Clone, Debug)]
pub struct User {
    /// The user's id.
    pub id: UserId,
    /// The organization that the user belongs to.
    pub org: OrgId,
    /// The e-mail address, in any letter case unique on the server among users who are not deleted.
    pub email: String,
    /// First name.
    pub name: String,
    /// Last name.
    pub last_name: String,
    /// The role in the organization.
    pub role: Role,
    /// Whether the account is active: no invitation is awaiting acceptance.
    pub validated: bool,
    /// When the user was deleted, if so.
    pub deleted_at: Option<Time>,
}

impl User {
    /// Returns the first and the last name.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{} {}", self.name, self.last_name).trim().to_owned()
    }
}

/// An access token, without its secret.
#[derive(Clone, Debug)]
pub struct Token {
    /// The token's id.
    pub id: TokenId,
    /// The user that the token belongs to.
    pub user: UserId,
    /// What the user calls it, if they created it over HTTP.
    pub name: Option<String>,
    /// When the token was created.
    pub created_at: Time,
    /// When the token expires; `None`: never.
    pub expires_at: Option<Time>,
    /// When the token was revoked, if so.
    pub revoked_at: Option<Time>,
    /// When the token was last used, to the minute.
    pub last_used: Option<Time>,
}

/// Parses an e-mail address: 3 to 254 characters (RFC 5321, section 4.5.3.1.3) with one `@` inside, and neither white
/// space nor invisible characters.
pub fn parse_email(value: &str) -> Result<String, InvalidField> {
    let email = text::parse_key("email", value, 3..=254)?;
    let parts: Vec<&str> = email.split('@').collect();
    match parts[..] {
        [local, host] if !local.is_empty() && !host.is_empty() && !email.contains(char::is_whitespace) => Ok(email),
        _ => Err(InvalidField::new("email", "must be an address such as admin@example.org")),
    }
}

/// Parses the name of an access token: 1 to 100 characters.
pub fn parse_token_name(value: &str) -> Result<String, InvalidField> {
    text::parse("name", value, 1..=100)
}

/// Parses the lifetime of an access token, in seconds: one minute to 366 days.
pub fn parse_token_ttl(seconds: i64) -> Result<Duration, InvalidField> {
    let ttl = u64::try_from(seconds).ok().map(Duration::from_secs).filter(|ttl| TOKEN_TTL.contains(ttl));
    let (least, most) = (TOKEN_TTL.start().as_secs(), TOKEN_TTL.end().as_secs());
    ttl.ok_or_else(|| InvalidField::new("ttlSeconds", format!("must be {least} to {most} seconds, which is 366 days")))
}

/// Parses a first name, which is required: 1 to 100 characters.
pub fn parse_name(field: &'static str, value: &str) -> Result<String, InvalidField> {
    text::parse(field, value, 1..=100)
}

/// Parses a last name, which is optional: up to 100 characters.
pub fn parse_last_name(value: &str) -> Result<String, InvalidField> {
    text::parse("lastName", value, 0..=100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_two_parts_and_a_full_name_no_space_at_its_ends() {
        for good in ["a@b", "\u{fc}ser+tag@example.org"] {
            assert_eq!(parse_email(good).as_deref(), Ok(good));
        }
        for bad in
            ["", "ab", "@b", "@example.org", "ada@", "a@b@c", "a b@c", "a@b ", " a@b", "a@b\u{a0}c", "a\u{200b}@b"]
        {
            assert!(parse_email(bad).is_err(), "{bad:?}");
        }
        assert!(parse_email(&format!("a@{}", "b".repeat(252))).is_ok());
        assert!(parse_email(&format!("a@{}", "b".repeat(253))).is_err());
        let user = |name: &str, last_name: &str| User {
            id: UserId::from_bytes([1; 16]),
            org: OrgId::from_bytes([2; 16]),
            email: "a@b".to_owned(),
            name: name.to_owned(),
            last_name: last_name.to_owned(),
            role: Role::User,
            validated: true,
            deleted_at: None,
        };
        let names = [("Ada", "Lovelace"), ("Ada", ""), ("", "")].map(|(name, last)| user(name, last).full_name());
        assert_eq!(names, ["Ada Lovelace", "Ada", ""]);
    }
}
