//! Request and response bodies for web sessions.

use poem_openapi::{ApiResponse, Object};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::actions::web_session::WebSession;
use crate::api::http::envelope::Done;
use crate::api::http::json::Json;
use crate::api::http::timestamp::Timestamp;
use crate::api::session::wire::{LoginUser, seconds};
use crate::domain::session::check_password;
use crate::domain::time::Time;
use crate::engine::error::Error;

/// A new web session with one half of its token.
#[derive(Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(super) struct WebSessionAnswer {
    /// Always true.
    success: bool,
    /// Human-readable confirmation.
    message: String,
    /// Half of the access token, `okw_...`. It is worth nothing without the cookie.
    access_token: String,
    /// Id of the session, for `deleteToken`.
    token_id: String,
    /// When the session ends unless it is used, in Unix seconds. Each use moves it.
    expires_at: i64,
    /// The user who signed in.
    user: LoginUser,
}

#[derive(ApiResponse)]
pub(super) enum WebSessionResponse {
    /// The web session.
    #[oai(status = 200)]
    In(
        Json<WebSessionAnswer>,
        /// Always `no-store`: the response contains a secret.
        #[oai(header = "Cache-Control")]
        String,
        /// The cookie with the other half of the access token, `HttpOnly` and `SameSite=Strict`.
        #[oai(header = "Set-Cookie")]
        String,
    ),
}

#[derive(ApiResponse)]
pub(super) enum SignedOutResponse {
    /// The web session has ended.
    #[oai(status = 200)]
    Out(
        Json<Done>,
        /// Removes the cookie.
        #[oai(header = "Set-Cookie")]
        String,
    ),
}

/// The password of the caller's own account.
#[derive(Object, Deserialize)]
#[oai(rename = "PasswordConfirmationBody")]
pub(super) struct Confirmation {
    /// Password of the account: up to 1,024 bytes.
    #[oai(validator(min_length = 1, max_length = 1024))]
    password: String,
}

/// The confirmation of a password.
#[derive(Object, Serialize)]
#[oai(rename = "PasswordConfirmationAnswer", rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfirmedAnswer {
    /// Always true.
    success: bool,
    /// Human-readable confirmation.
    message: String,
    /// Time until which the password is not asked for again.
    confirmed_until: Timestamp,
}

impl Confirmation {
    pub(super) fn parse(self) -> Result<SecretString, Error> {
        let password = SecretString::from(self.password);
        check_password(password.expose_secret())?;
        Ok(password)
    }
}

impl WebSessionAnswer {
    pub(super) fn of(begun: &WebSession) -> Self {
        Self {
            success: true,
            message: "Signed in successfully".to_owned(),
            access_token: begun.bearer.expose_secret().to_owned(),
            token_id: begun.id.to_string(),
            expires_at: seconds(begun.expires_at),
            user: LoginUser::of(&begun.user),
        }
    }
}

impl ConfirmedAnswer {
    pub(super) fn until(time: Time) -> Self {
        let message = "Password confirmed successfully".to_owned();
        Self { success: true, message, confirmed_until: Timestamp(time) }
    }
}
