//! Request and response bodies for sessions. These types are separate from the domain's, so that a new column cannot
//! leak.

mod token;

use poem_openapi::{ApiResponse, Object};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::actions::session::{LoggedIn, Login, Tokens};
use crate::api::http::json::Json;
use crate::domain::session;
use crate::domain::text;
use crate::domain::time::Time;
use crate::domain::user::User;
use crate::engine::error::{Error, ErrorKind};

pub(super) use self::token::{NewTokenAnswer, NewTokenBody, NewTokenResponse, TokenList};

/// An account's email address and password.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct Credentials {
    /// Email address of the account, in any letter case: up to 254 characters.
    #[oai(validator(min_length = 1, max_length = 254))]
    email: String,
    /// Password of the account: up to 1,024 bytes.
    #[oai(validator(min_length = 1, max_length = 1024))]
    password: String,
    /// Name of the client, shown by `listTokens` and cut to 200 characters. If it is an object, its `userAgent` is
    /// used. Any other type is ignored.
    #[serde(default, deserialize_with = "if_text")]
    device_info: Option<String>,
}

/// A refresh token, under either of two names.
#[derive(Object, Deserialize)]
#[oai(rename = "RefreshTokenBody", rename_all = "camelCase", skip_serializing_if_is_none)]
#[serde(rename_all = "camelCase")]
pub(super) struct RefreshToken {
    /// Refresh token, `okr_...`: up to 200 bytes. Also accepted under the name `refresh_token`.
    #[oai(validator(max_length = 200))]
    refresh_token: Option<String>,
    /// The name that other clients use.
    #[oai(rename = "refresh_token")]
    #[serde(rename = "refresh_token")]
    #[oai(validator(max_length = 200))]
    snake_case: Option<String>,
}

/// The user who signed in.
#[derive(Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct LoginUser {
    /// Id of the user.
    id: String,
    /// Email address.
    email: String,
    /// First name.
    name: String,
    /// Id of the organization.
    org_id: String,
    /// Role: USER 0, BILLING 1, WORKSPACES 2, ADMINISTRATOR 254, OWNER 255.
    org_role: u8,
}

/// A new session with its tokens.
#[derive(Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(super) struct LoginAnswer {
    /// Always true.
    success: bool,
    /// Human-readable confirmation.
    message: String,
    /// Access token, `okp_...`, valid for one hour.
    access_token: String,
    /// Refresh token, `okr_...`. It can be used once.
    refresh_token: String,
    /// Id of the session, for `deleteToken`.
    token_id: String,
    /// Expiry of the access token, in Unix seconds.
    expires_at: i64,
    /// The user who signed in.
    user: LoginUser,
}

/// A renewed session with its tokens.
#[derive(Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(super) struct RefreshAnswer {
    /// Always true.
    success: bool,
    /// Human-readable confirmation.
    message: String,
    /// Same as `accessToken`.
    token: String,
    /// Access token, `okp_...`, valid for one hour.
    access_token: String,
    /// Next refresh token, `okr_...`. It can be used once.
    refresh_token: String,
    /// Expiry of the access token, in Unix seconds.
    expires_at: i64,
}

#[derive(ApiResponse)]
pub(super) enum LoginResponse {
    /// The session's tokens.
    #[oai(status = 200)]
    In(
        Json<LoginAnswer>,
        /// Always `no-store`: the response contains secrets.
        #[oai(header = "Cache-Control")]
        String,
    ),
}

#[derive(ApiResponse)]
pub(super) enum RefreshResponse {
    /// The session's tokens.
    #[oai(status = 200)]
    Renewed(
        Json<RefreshAnswer>,
        /// Always `no-store`: the response contains secrets.
        #[oai(header = "Cache-Control")]
        String,
    ),
}

impl Credentials {
    pub(in crate::api) fn parse(self) -> Result<Login, Error> {
        // Before any other check, so that the password is wiped whatever else is invalid.
        let password = SecretString::from(self.password);
        session::check_password(password.expose_secret())?;
        let device = self.device_info.as_deref().and_then(session::parse_device);
        Ok(Login { email: session::parse_email(&self.email)?, password, device })
    }
}

impl RefreshToken {
    pub(super) fn parse(self) -> Result<SecretString, Error> {
        let given = match (self.refresh_token, self.snake_case) {
            (Some(one), Some(other)) if one != other => {
                Err("refreshToken and refresh_token have different values: send only one of them")
            }
            (Some(token), _) | (None, Some(token)) => Ok(SecretString::from(token)),
            (None, None) => Err("refreshToken is missing"),
        };
        let given = given.map_err(|message| Error::new(ErrorKind::Invalid, "INVALID_FIELD", message))?;
        text::at_most("refreshToken", given.expose_secret(), 200)?;
        Ok(given)
    }
}

/// Reads a string, or the `userAgent` of the object that the published client sends. Anything else becomes `None`.
fn if_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        Value::Object(device) => device.get("userAgent").and_then(Value::as_str).map(str::to_owned),
        _ => None,
    })
}

/// Converts to Unix seconds, rounded down so that a token is never said to expire later than it does.
pub(in crate::api) const fn seconds(time: Time) -> i64 {
    time.millis().div_euclid(1_000)
}

impl LoginUser {
    pub(in crate::api) fn of(user: &User) -> Self {
        Self {
            id: user.id.to_string(),
            email: user.email.clone(),
            name: user.name.clone(),
            org_id: user.org.to_string(),
            org_role: user.role.number(),
        }
    }
}

impl LoginAnswer {
    pub(super) fn of(begun: &LoggedIn) -> Self {
        let LoggedIn { session, user, tokens } = begun;
        Self {
            success: true,
            message: "Signed in successfully".to_owned(),
            access_token: tokens.access.expose_secret().to_owned(),
            refresh_token: tokens.refresh.expose_secret().to_owned(),
            token_id: session.to_string(),
            expires_at: seconds(tokens.expires_at),
            user: LoginUser::of(user),
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
