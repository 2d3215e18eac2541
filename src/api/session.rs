//! Operations on sessions and access tokens: sign in, renew, sign out, create, list and end.

pub(super) mod wire;

use std::sync::Arc;

use poem_openapi::OpenApi;
use poem_openapi::param::Path;

use self::wire::{
    Credentials, LoginAnswer, LoginResponse, NewTokenAnswer, NewTokenBody, NewTokenResponse, RefreshAnswer,
    RefreshResponse, RefreshToken, TokenList,
};
use super::Group;
use super::http::auth::{Auth, SignsIn};
use super::http::body::Body;
use super::http::bridge::blocking;
use super::http::envelope::Done;
use super::http::error::{ApiError, status};
use super::http::json::Json;
use super::http::password_work::PasswordWork;
use crate::actions::{session, token};
use crate::domain::id::TokenId;
use crate::engine::app::App;

/// The operations on sessions.
pub struct SessionApi {
    app: Arc<App>,
    passwords: PasswordWork,
}

type LoginFail = ApiError<{ status::BAD_REQUEST | status::UNAUTHORIZED | status::RATE_LIMITED | status::BAD_BODY }>;
type RefreshFail = ApiError<{ status::BAD_REQUEST | status::UNAUTHORIZED | status::BAD_BODY | status::RATE_LIMITED }>;
type LogoutFail = ApiError<{ status::BAD_REQUEST | status::BAD_BODY }>;
type CreateFail = ApiError<{ status::BAD_REQUEST | status::FORBIDDEN | status::BAD_BODY }>;
type ListFail = ApiError<{ status::FORBIDDEN }>;
type EndFail = ApiError<{ status::FORBIDDEN | status::NOT_FOUND }>;

/// `Cache-Control` of responses that have a secret.
const NO_STORE: &str = "no-store";

#[OpenApi(tag = "Group::Sessions")]
impl SessionApi {
    /// Sign in
    ///
    /// Starts a session and returns its tokens: an access token that is valid for one hour, and a refresh token that
    /// can be exchanged for two new tokens within 30 days. An unknown address and a wrong password get the same
    /// response. Recorded in the audit log as `session.begin`; failed logins are counted, and the counts are recorded
    /// once a minute.
    ///
    /// Within 15 minutes, 10 wrong passwords are allowed for one account from one network, 100 for one account from all
    /// networks together, and 30 from one network for all accounts together. If the user has signed in from the network
    /// in the last 30 days, only the limit of 10 applies.
    ///
    /// Responses:
    /// - 200: The session was started. The response contains its access token and refresh token.
    /// - 400: A field is missing or invalid.
    /// - 401: The address or the password is wrong (`INVALID_CREDENTIALS`), or the password is right but the account is
    ///   deleted or its invitation was not accepted (`USER_INACTIVE`).
    /// - 429: Too many wrong passwords (`TOO_MANY_ATTEMPTS`). `Retry-After` says how many seconds to wait.
    #[oai(path = "/user/login", method = "post", operation_id = "loginUser")]
    async fn login(&self, from: SignsIn, body: Body<Credentials>) -> Result<LoginResponse, LoginFail> {
        let login = Arc::new(body.0.parse()?);
        let (asked, origin) = (Arc::clone(&login), from.0.clone());
        blocking(&self.app, move |app| session::check(app, &origin, &asked)).await?;
        let begun = self.passwords.run(&self.app, move |app| session::log_in(app, &from.0, &login)).await?;
        Ok(LoginResponse::In(Json(LoginAnswer::of(&begun)), NO_STORE.to_owned()))
    }

    /// Renew a session
    ///
    /// Returns a new access token, which replaces the previous one, and a new refresh token. A refresh token can be
    /// used once. If it is used again within 10 seconds, for example by two browser tabs at once, the second call is
    /// refused and the session goes on with the tokens of the first. If it is used again later, the session ends,
    /// because somebody else may have a copy of the token. Recorded in the audit log as `session.refresh`, or as
    /// `session.reuse` if a second use ended the session.
    ///
    /// Responses:
    /// - 200: The session was renewed. The previous access token and refresh token are no longer valid.
    /// - 400: The refresh token is missing, is longer than 200 bytes, or was sent under both names with different
    ///   values.
    /// - 401: The refresh token was used less than 10 seconds ago (`REFRESH_ALREADY_USED`): use the tokens of that call.
    ///   Or it is malformed, unknown, expired or was used earlier, or its session has ended (`INVALID_REFRESH_TOKEN`):
    ///   sign in again.
    #[oai(path = "/user/refresh", method = "post", operation_id = "refreshSession")]
    async fn refresh(&self, from: SignsIn, body: Body<RefreshToken>) -> Result<RefreshResponse, RefreshFail> {
        let token = body.0.parse()?;
        let tokens = session::refresh(&self.app, &from.0, &token).await??;
        Ok(RefreshResponse::Renewed(Json(RefreshAnswer::of(&tokens)), NO_STORE.to_owned()))
    }

    /// Sign out
    ///
    /// Ends the session that the refresh token belongs to. The session's access token is refused as soon as the
    /// response is sent. Succeeds without effect if the session has already ended or the refresh token is unknown.
    /// Recorded in the audit log as `token.revoke`, or as `session.reuse` if the refresh token had been used more than
    /// 10 seconds before.
    ///
    /// Responses:
    /// - 200: The session has ended.
    /// - 400: The refresh token is missing, is longer than 200 bytes, or was sent under both names with different
    ///   values.
    #[oai(path = "/user/logout", method = "post", operation_id = "logoutUser")]
    async fn logout(&self, from: SignsIn, body: Body<RefreshToken>) -> Result<Json<Done>, LogoutFail> {
        let token = body.0.parse()?;
        if let Some(ending) = blocking(&self.app, move |app| session::log_out(app, &from.0, &token)).await? {
            ending.await?;
        }
        Ok(Json(Done::because("Signed out successfully")))
    }

    /// Create an access token
    ///
    /// Creates an access token for your own account, for example for a script, or to replace one that expires soon. The
    /// response contains its secret. It cannot be retrieved again, because only its digest is stored. The token acts for
    /// you with your current role until it expires, you revoke it (`deleteToken`) or you are deleted. You can have 100
    /// valid access tokens; sessions do not count. Recorded in the audit log as `token.create`.
    ///
    /// Responses:
    /// - 201: The access token was created. The response contains its secret.
    /// - 400: A field is missing or invalid, or you already have 100 valid access tokens (`TOKEN_LIMIT_REACHED`).
    /// - 403: The credential is an API key (`API_KEY_NOT_ALLOWED`).
    #[oai(path = "/token", method = "post", operation_id = "createToken")]
    async fn create(&self, auth: Auth, body: Body<NewTokenBody>) -> Result<NewTokenResponse, CreateFail> {
        let new = body.0.parse()?;
        let made = token::create(&self.app, &auth.0, new).await?;
        Ok(NewTokenResponse::Made(Json(NewTokenAnswer::of(made)), NO_STORE.to_owned()))
    }

    /// List your sessions and access tokens
    ///
    /// Returns your valid sessions and access tokens, newest first, without their secrets. Recorded in the audit log as
    /// `session.list`.
    ///
    /// Responses:
    /// - 200: The caller's sessions and access tokens.
    /// - 403: The credential is an API key (`API_KEY_NOT_ALLOWED`).
    #[oai(path = "/token", method = "get", operation_id = "listTokens")]
    async fn list(&self, auth: Auth) -> Result<Json<TokenList>, ListFail> {
        let caller = auth.0.clone();
        let tokens = session::list(&self.app, &auth.0).await?;
        Ok(Json(TokenList::of(tokens, &caller)))
    }

    /// Revoke a session or access token
    ///
    /// Revokes one of your own sessions or access tokens. This can be the one that you are using. It is refused as soon
    /// as the response is sent. Recorded in the audit log as `token.revoke`.
    ///
    /// Responses:
    /// - 200: The session or access token was revoked.
    /// - 403: The credential is an API key (`API_KEY_NOT_ALLOWED`).
    /// - 404: You have no valid session or access token with this id (`TOKEN_NOT_FOUND`).
    #[oai(path = "/token/:tokenId", method = "delete", operation_id = "deleteToken")]
    async fn end(
        &self,
        auth: Auth,
        /// Id of the session or access token, as `listTokens` returns it.
        #[oai(name = "tokenId")]
        token: Path<String>,
    ) -> Result<Json<Done>, EndFail> {
        let token = TokenId::parse(&token);
        session::end(&self.app, &auth.0, token).await?;
        Ok(Json(Done::because("Token revoked successfully")))
    }
}

impl SessionApi {
    /// Creates the operations on an app, with the gate for password hashing.
    #[must_use]
    pub fn new(app: Arc<App>, passwords: PasswordWork) -> Self {
        Self { app, passwords }
    }
}
