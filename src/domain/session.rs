//! What is a session? What a password begins: a short access token, and a refresh token that renews both until it is used twice.

use std::time::Duration;

use super::id::{TokenId, UserId};
use super::text::{self, InvalidField};
use super::time::Time;

/// How long the access token of a session lives.
pub const ACCESS_TTL: Duration = Duration::from_hours(1);

/// How long a refresh token lives, and so a session that is not refreshed.
pub const REFRESH_TTL: Duration = Duration::from_hours(30 * 24);

/// How long an invitation may be taken.
pub const INVITATION_TTL: Duration = Duration::from_hours(72);

/// Bytes of a password that is tried; no longer one was ever taken.
const PASSWORD_BYTES: usize = 1_024;

/// A session as it begins.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its id, which is that of its access tokens.
    pub id: TokenId,
    /// Whose it is.
    pub user: UserId,
    /// When it began.
    pub created_at: Time,
    /// When its access token ends.
    pub expires_at: Time,
    /// When it ends unless it is refreshed.
    pub refresh_until: Time,
    /// What its client calls itself.
    pub device: Option<String>,
}

/// A session or another access token that stands, as its owner sees it.
#[derive(Clone, Debug)]
pub struct OwnToken {
    /// Its id.
    pub id: TokenId,
    /// Whether it is a session.
    pub is_session: bool,
    /// What the client of a session calls itself.
    pub device: Option<String>,
    /// When it was made.
    pub created_at: Time,
    /// When it ends: a session unless it is refreshed; `None`: not by itself.
    pub ends_at: Option<Time>,
    /// When it was last used, to the minute.
    pub last_used: Option<Time>,
}

/// Takes the address that somebody signs in with. Whether it looks like one is not asked: nobody has one that does not.
pub fn parse_email(value: &str) -> Result<String, InvalidField> {
    text::parse("email", value, 1..=254)
}

/// Takes a password that is tried: it is compared as it is.
pub fn check_password(value: &str) -> Result<(), InvalidField> {
    if (1..=PASSWORD_BYTES).contains(&value.len()) {
        return Ok(());
    }
    Err(InvalidField::new("password", format!("must have 1 to {PASSWORD_BYTES} bytes")))
}

/// Takes what a client calls itself; an empty name is none.
pub fn parse_device(value: &str) -> Option<String> {
    // It only serves people to tell their sessions apart: too long or odd a name is no reason to refuse a right password.
    let device: String = value.chars().filter(|c| !c.is_control()).take(200).collect();
    Some(device).filter(|device| !device.is_empty())
}
