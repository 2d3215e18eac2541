//! What is sent to sign in, and what is said of sessions? The wire's own types, so that a new column cannot leak.

use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::actions::session::{LoggedIn, Login, Tokens};
use crate::api::http::timestamp::Timestamp;
use crate::domain::session::{self, OwnToken};
use crate::domain::text;
use crate::domain::time::Time;
use crate::engine::caller::{Caller, Identity};
use crate::engine::error::{Error, ErrorKind};

/// What somebody signs in with.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
#[serde(rename_all = "camelCase")]
pub(super) struct Credentials {
    /// The email address of the account, in any letter case.
    #[oai(validator(min_length = 1, max_length = 254))]
    email: String,
    /// Its password, up to 1,024 bytes.
    #[oai(validator(min_length = 1, max_length = 1024))]
    password: String,
    /// What the client calls itself, shown among one's own sessions; its first 200 characters. Of an object `userAgent` is
    /// taken, anything else is passed over.
    #[serde(default, deserialize_with = "if_text")]
    device_info: Option<String>,
}

/// A refresh token, under either name.
#[derive(Object, Deserialize)]
#[oai(rename = "RefreshTokenBody", rename_all = "camelCase", skip_serializing_if_is_none)]
#[serde(rename_all = "camelCase")]
pub(super) struct RefreshToken {
    /// The refresh token, `okr_...`. Under the name `refresh_token` it is taken as well.
    #[oai(validator(max_length = 200))]
    refresh_token: Option<String>,
    /// The same, as other clients call it.
    #[oai(rename = "refresh_token")]
    #[serde(rename = "refresh_token")]
    #[oai(validator(max_length = 200))]
    snake_case: Option<String>,
}

/// Who signed in.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct LoginUser {
    /// The user's id.
    id: String,
    /// Email address.
    email: String,
    /// First name.
    name: String,
    /// The organization's id.
    org_id: String,
    /// USER 0, BILLING 1, WORKSPACES 2, ADMINISTRATOR 254, OWNER 255.
    org_role: u8,
}

/// A session that has begun.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(super) struct LoginAnswer {
    /// Always true.
    success: bool,
    /// What was done.
    message: String,
    /// The access token, `okp_...`.
    access_token: String,
    /// The refresh token, `okr_...`; it counts once.
    refresh_token: String,
    /// The session's id.
    token_id: String,
    /// When the access token ends, in Unix seconds.
    expires_at: i64,
    /// Who signed in.
    user: LoginUser,
}

/// A session that goes on.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(super) struct RefreshAnswer {
    /// Always true.
    success: bool,
    /// What was done.
    message: String,
    /// The same as `accessToken`.
    token: String,
    /// The access token, `okp_...`.
    access_token: String,
    /// The next refresh token, `okr_...`; it counts once.
    refresh_token: String,
    /// When the access token ends, in Unix seconds.
    expires_at: i64,
}

#[derive(ApiResponse)]
pub(super) enum LoginResponse {
    /// The two tokens, this once.
    #[oai(status = 200)]
    In(
        Json<LoginAnswer>,
        /// Never to be kept on the way.
        #[oai(header = "Cache-Control")]
        String,
    ),
}

#[derive(ApiResponse)]
pub(super) enum RefreshResponse {
    /// The two tokens, this once.
    #[oai(status = 200)]
    Renewed(
        Json<RefreshAnswer>,
        /// Never to be kept on the way.
        #[oai(header = "Cache-Control")]
        String,
    ),
}

/// What an access token comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
enum TokenType {
    /// A login: it can be renewed.
    Session,
    /// The command line: it cannot.
    Token,
}

/// A session or another access token that stands.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct TokenItem {
    /// Its id.
    id: String,
    /// What it comes from.
    #[oai(rename = "type")]
    kind: TokenType,
    /// What the client of a session calls itself.
    #[oai(nullable)]
    device_info: Option<String>,
    /// When it was made.
    created_at: Timestamp,
    /// When it ends: a session unless it is renewed before; null if it does not end by itself.
    #[oai(nullable)]
    expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    #[oai(nullable)]
    last_used: Option<Timestamp>,
    /// Whether it is the one of this call.
    current: bool,
}

/// The caller's sessions and access tokens.
#[derive(Object)]
pub(super) struct TokenList {
    /// Always true.
    success: bool,
    /// What was done.
    message: String,
    /// The tokens, newest first.
    tokens: Vec<TokenItem>,
}

impl Credentials {
    pub(super) fn parse(self) -> Result<Login, Error> {
        // First, so that it is wiped whatever else is wrong.
        let password = SecretString::from(self.password);
        session::check_password(password.expose_secret())?;
        let device = self.device_info.as_deref().and_then(session::parse_device);
        Ok(Login { email: session::parse_email(&self.email)?, password, device })
    }
}

impl RefreshToken {
    pub(super) fn parse(self) -> Result<SecretString, Error> {
        let given = match (self.refresh_token, self.snake_case) {
            (Some(one), Some(other)) if one != other => Err("refreshToken and refresh_token differ: send one of them"),
            (Some(token), _) | (None, Some(token)) => Ok(SecretString::from(token)),
            (None, None) => Err("refreshToken is missing"),
        };
        let given = given.map_err(|message| Error::new(ErrorKind::Invalid, "INVALID_FIELD", message))?;
        text::at_most("refreshToken", given.expose_secret(), 200)?;
        Ok(given)
    }
}

/// A string, or the browser that an object of the published client names; anything else is nothing.
fn if_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        Value::Object(device) => device.get("userAgent").and_then(Value::as_str).map(str::to_owned),
        _ => None,
    })
}

/// Unix seconds, never later than the moment itself.
const fn seconds(time: Time) -> i64 {
    time.millis().div_euclid(1_000)
}

impl LoginAnswer {
    pub(super) fn of(begun: &LoggedIn) -> Self {
        let LoggedIn { session, user, tokens } = begun;
        let user = LoginUser {
            id: user.id.to_string(),
            email: user.email.clone(),
            name: user.name.clone(),
            org_id: user.org.to_string(),
            org_role: user.role.number(),
        };
        Self {
            success: true,
            message: "Signed in successfully".to_owned(),
            access_token: tokens.access.expose_secret().to_owned(),
            refresh_token: tokens.refresh.expose_secret().to_owned(),
            token_id: session.to_string(),
            expires_at: seconds(tokens.expires_at),
            user,
        }
    }
}

impl RefreshAnswer {
    pub(super) fn of(tokens: &Tokens) -> Self {
        let access_token = tokens.access.expose_secret().to_owned();
        Self {
            success: true,
            message: "Session renewed successfully".to_owned(),
            token: access_token.clone(),
            access_token,
            refresh_token: tokens.refresh.expose_secret().to_owned(),
            expires_at: seconds(tokens.expires_at),
        }
    }
}

impl TokenList {
    pub(super) fn of(tokens: Vec<OwnToken>, caller: &Caller) -> Self {
        let tokens = tokens.into_iter().map(|token| TokenItem {
            id: token.id.to_string(),
            kind: if token.is_session { TokenType::Session } else { TokenType::Token },
            current: matches!(caller.identity, Identity::User { token: current, .. } if current == token.id),
            device_info: token.device,
            created_at: Timestamp(token.created_at),
            expires_at: token.ends_at.map(Timestamp),
            last_used: token.last_used.map(Timestamp),
        });
        Self { success: true, message: "Tokens retrieved successfully".to_owned(), tokens: tokens.collect() }
    }
}
