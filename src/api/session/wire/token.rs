//! Request and response bodies for access tokens, and for the list of sessions and access tokens.

use poem_openapi::{ApiResponse, Enum, Object};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use crate::actions::token::{CreatedToken, NewToken};
use crate::api::http::json::Json;
use crate::api::http::timestamp::Timestamp;
use crate::domain::session::OwnToken;
use crate::domain::user::{parse_token_name, parse_token_ttl};
use crate::engine::caller::{Caller, Identity};
use crate::engine::error::Error;

/// An access token to create.
#[derive(Object, Deserialize)]
#[oai(rename = "NewAccessTokenBody", rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(in crate::api::session) struct NewTokenBody {
    /// What you call it, shown by `listTokens`: 1 to 100 characters.
    #[oai(validator(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    name: String,
    /// Seconds until it expires: 60 to 31622400 (366 days).
    #[oai(validator(minimum(value = "60"), maximum(value = "31622400")))]
    ttl_seconds: i64,
}

/// A created access token with its secret.
#[derive(Object, Serialize)]
#[oai(rename = "NewAccessTokenAnswer", rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(in crate::api::session) struct NewTokenAnswer {
    /// Always true.
    success: bool,
    /// Human-readable confirmation.
    message: String,
    /// The secret, `okp_...`.
    token: String,
    /// Id of the access token, for `deleteToken`.
    token_id: String,
    /// Its name.
    name: String,
    /// Time of expiry.
    expires_at: Timestamp,
}

#[derive(ApiResponse)]
pub(in crate::api::session) enum NewTokenResponse {
    /// The access token with its secret.
    #[oai(status = 201)]
    Made(
        Json<NewTokenAnswer>,
        /// Always `no-store`: the response contains a secret.
        #[oai(header = "Cache-Control")]
        String,
    ),
}

/// Origin of an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize)]
#[oai(rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
enum TokenType {
    /// Started by a login; it can be renewed.
    Session,
    /// Created with `createToken` or on the command line; it cannot be renewed.
    Token,
}

/// A valid session or access token.
#[derive(Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
struct TokenItem {
    /// Id of the session or access token.
    id: String,
    /// Origin: `session` for a login, `token` for `createToken` and the command line.
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    kind: TokenType,
    /// Name that the client gave at login. Null if it gave none, and for access tokens.
    #[oai(nullable)]
    device_info: Option<String>,
    /// Name of an access token that was created with `createToken`. Null for all others, and for sessions.
    #[oai(nullable)]
    name: Option<String>,
    /// Time of creation.
    created_at: Timestamp,
    /// Time of expiry. A session expires unless it is renewed before then. Null if an access token never expires.
    #[oai(nullable)]
    expires_at: Option<Timestamp>,
    /// Time of the last use, accurate to the minute. Null if it was never used.
    #[oai(nullable)]
    last_used: Option<Timestamp>,
    /// Whether this request was authenticated with this session or access token.
    current: bool,
}

/// The caller's sessions and access tokens.
#[derive(Object, Serialize)]
pub(in crate::api::session) struct TokenList {
    /// Always true.
    success: bool,
    /// Human-readable confirmation.
    message: String,
    /// The sessions and access tokens, newest first.
    tokens: Vec<TokenItem>,
}

impl NewTokenBody {
    pub(in crate::api::session) fn parse(self) -> Result<NewToken, Error> {
        Ok(NewToken { name: parse_token_name(&self.name)?, ttl: parse_token_ttl(self.ttl_seconds)? })
    }
}

impl NewTokenAnswer {
    pub(in crate::api::session) fn of(made: CreatedToken) -> Self {
        Self {
            success: true,
            message: "Access token created successfully".to_owned(),
            token: made.secret.expose_secret().to_owned(),
            token_id: made.id.to_string(),
            name: made.name,
            expires_at: Timestamp(made.expires_at),
        }
    }
}

impl TokenList {
    pub(in crate::api::session) fn of(tokens: Vec<OwnToken>, caller: &Caller) -> Self {
        let tokens = tokens.into_iter().map(|token| TokenItem {
            id: token.id.to_string(),
            kind: if token.is_session { TokenType::Session } else { TokenType::Token },
            current: matches!(caller.identity, Identity::User { token: current, .. } if current == token.id),
            device_info: token.device,
            name: token.name,
            created_at: Timestamp(token.created_at),
            expires_at: token.ends_at.map(Timestamp),
            last_used: token.last_used.map(Timestamp),
        });
        Self { success: true, message: "Tokens retrieved successfully".to_owned(), tokens: tokens.collect() }
    }
}
