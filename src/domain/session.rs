//! Sessions. Signing in issues a short-lived access token, and a refresh token that renews both. Using a refresh token
//! again ends the session, unless it happens within seconds of the first use.

use std::time::Duration;

use super::id::{TokenId, UserId};
use super::text::{self, InvalidField};
use super::time::Time;

/// The lifetime of a session's access token.
pub const ACCESS_TTL: Duration = Duration::from_hours(1);

/// The lifetime of a refresh token, and therefore of a session that is not refreshed.
pub const REFRESH_TTL: Duration = Duration::from_hours(30 * 24);

/// How long after its first use a refresh token may be used again without ending its session: two tabs of a browser may
/// renew it at once. The second use is refused.
pub const REUSE_GRACE: Duration = Duration::from_secs(10);

/// The lifetime of an invitation.
pub const INVITATION_TTL: Duration = Duration::from_hours(72);

/// How long a web session lasts without being used.
pub const WEB_IDLE: Duration = Duration::from_hours(12);

/// How long a web session lasts at most.
pub const WEB_LONGEST: Duration = Duration::from_hours(30 * 24);

/// How long after the password of a web session was given it is not asked for again.
pub const PASSWORD_FRESH: Duration = Duration::from_mins(15);

/// The lifetime of the link that sets up a new server.
pub const SETUP_TTL: Duration = Duration::from_hours(1);

/// The maximum length in bytes of a password on sign-in; no password was ever longer.
const PASSWORD_BYTES: usize = 1_024;

/// A new session.
#[derive(Clone, Debug)]
pub struct Session {
    /// The session's id, which is also the id of its access tokens.
    pub id: TokenId,
    /// The user who signed in.
    pub user: UserId,
    /// When the session started.
    pub created_at: Time,
    /// When its access token expires.
    pub expires_at: Time,
    /// When the session ends unless it is refreshed.
    pub refresh_until: Time,
    /// The device name that the client reported.
    pub device: Option<String>,
}

/// A valid session or access token, as its owner sees it.
#[derive(Clone, Debug)]
pub struct OwnToken {
    /// The id of the session or token.
    pub id: TokenId,
    /// Whether it is a session.
    pub is_session: bool,
    /// The device name that the session's client reported.
    pub device: Option<String>,
    /// The name of a token that its user created.
    pub name: Option<String>,
    /// When it was created.
    pub created_at: Time,
    /// When it expires; for a session, unless it is refreshed. `None`: never.
    pub ends_at: Option<Time>,
    /// When it was last used, to the minute.
    pub last_used: Option<Time>,
}

/// Returns when a web session that began at `began` and is used at `now` ends.
#[must_use]
pub fn web_end(began: Time, now: Time) -> Time {
    now.plus(WEB_IDLE).min(began.plus(WEB_LONGEST))
}

/// Parses the e-mail address of a sign-in. Its form is not checked, because no account has an address of another form.
pub fn parse_email(value: &str) -> Result<String, InvalidField> {
    text::parse_key("email", value, 1..=254)
}

/// Checks the length of a password on sign-in; its content is compared as it is.
pub fn check_password(value: &str) -> Result<(), InvalidField> {
    if (1..=PASSWORD_BYTES).contains(&value.len()) {
        return Ok(());
    }
    Err(InvalidField::new("password", format!("must be 1 to {PASSWORD_BYTES} bytes long")))
}

/// Parses a device name; one without a visible character is `None`.
pub fn parse_device(value: &str) -> Option<String> {
    // The name only helps users to tell their sessions apart, so it is truncated rather than refused.
    let shown = |c: &char| !c.is_control() && !text::is_bidi_control(*c);
    let device: String = value.chars().filter(shown).take(200).collect();
    Some(device).filter(|device| device.chars().any(text::is_visible))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_name_is_cut_to_what_can_be_shown() {
        for (value, expected) in [
            ("My phone", Some("My phone")),
            ("a\nb\u{202e}c\u{2067}", Some("abc")),
            ("", None),
            (" \u{200b}", None),
            ("\u{7}", None),
        ] {
            assert_eq!(parse_device(value).as_deref(), expected, "{value:?}");
        }
        assert_eq!(parse_device(&"\u{e9}".repeat(201)), Some("\u{e9}".repeat(200)));
    }

    #[test]
    fn a_web_session_lasts_while_it_is_used_and_at_most_30_days() {
        let (began, hour) = (Time::from_millis(0), |hours: i64| Time::from_millis(hours * 3_600_000));
        for (used, end) in [(0, 12), (708, 720), (709, 720), (719, 720)] {
            assert_eq!(web_end(began, hour(used)), hour(end), "{used}");
        }
    }
}
