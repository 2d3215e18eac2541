//! How does somebody sign in and out over HTTP?

mod wire;

use std::sync::Arc;

use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;

use self::wire::{Credentials, LoginAnswer, LoginResponse, RefreshAnswer, RefreshResponse, RefreshToken, TokenList};
use super::Group;
use super::http::auth::Auth;
use super::http::body::Body;
use super::http::bridge::{act, blocking};
use super::http::envelope::Done;
use super::http::error::{ApiError, status};
use super::http::observe::From;
use super::http::password_work::PasswordWork;
use crate::actions::session;
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
type ListFail = ApiError<{ status::FORBIDDEN }>;
type EndFail = ApiError<{ status::FORBIDDEN | status::NOT_FOUND }>;

/// Never to be kept on the way.
const NO_STORE: &str = "no-store";

#[OpenApi(tag = "Group::Sessions")]
impl SessionApi {
    /// Sign in
    ///
    /// Begins a session: an access token for an hour, and a refresh token for 30 days that renews both. A wrong address
    /// and a wrong password answer alike (`INVALID_CREDENTIALS`). After 10 wrong passwords for an address from one
    /// network, 100 from all, or 30 for any address from one network, within 15 minutes, the answer is 429 and
    /// `Retry-After` says how long to wait; a network that the person signed in from within 30 days is judged by its
    /// own 10 alone.
    #[oai(path = "/user/login", method = "post", operation_id = "loginUser")]
    async fn login(&self, from: From, body: Body<Credentials>) -> Result<LoginResponse, LoginFail> {
        let login = Arc::new(body.0.parse()?);
        let (asked, origin) = (Arc::clone(&login), from.0.clone());
        blocking(&self.app, move |app| session::check(app, &origin, &asked)).await?;
        let begun = self.passwords.run(&self.app, move |app| session::log_in(app, &from.0, &login)).await?;
        Ok(LoginResponse::In(Json(LoginAnswer::of(&begun)), NO_STORE.to_owned()))
    }

    /// Renew a session
    ///
    /// Gives another access token, which ends the one before, and another refresh token. Each refresh token counts
    /// once: one that is used again ends its session, since one of its two users stole it. Whatever is wrong with a
    /// refresh token, the answer is `INVALID_REFRESH_TOKEN`: sign in again.
    #[oai(path = "/user/refresh", method = "post", operation_id = "refreshSession")]
    async fn refresh(&self, from: From, body: Body<RefreshToken>) -> Result<RefreshResponse, RefreshFail> {
        let token = body.0.parse()?;
        let tokens = act(&self.app, move |app| session::refresh(app, &from.0, &token)).await??;
        Ok(RefreshResponse::Renewed(Json(RefreshAnswer::of(&tokens)), NO_STORE.to_owned()))
    }

    /// Sign out
    ///
    /// Ends the session of a refresh token: its access token is refused from the moment of the answer. A refresh token
    /// that renews nothing any more is signed out already, which is no failure.
    #[oai(path = "/user/logout", method = "post", operation_id = "logoutUser")]
    async fn logout(&self, from: From, body: Body<RefreshToken>) -> Result<Json<Done>, LogoutFail> {
        let token = body.0.parse()?;
        if let Some(ending) = blocking(&self.app, move |app| session::log_out(app, &from.0, &token)).await? {
            ending.await?;
        }
        Ok(Json(Done::because("Signed out successfully")))
    }

    /// List one's own sessions and access tokens
    ///
    /// Those that stand, newest first. The tokens themselves are not shown.
    #[oai(path = "/token", method = "get", operation_id = "listTokens")]
    async fn list(&self, auth: Auth) -> Result<Json<TokenList>, ListFail> {
        let caller = auth.0.clone();
        let tokens = act(&self.app, move |app| session::list(app, &auth.0)).await?;
        Ok(Json(TokenList::of(tokens, &caller)))
    }

    /// End a session or an access token
    ///
    /// One of the caller's own, the one in use too: it is refused from the moment of the answer.
    #[oai(path = "/token/:tokenId", method = "delete", operation_id = "deleteToken")]
    async fn end(
        &self,
        auth: Auth,
        /// The token's id.
        #[oai(name = "tokenId")]
        token: Path<String>,
    ) -> Result<Json<Done>, EndFail> {
        let token = TokenId::parse(&token);
        act(&self.app, move |app| session::end(app, &auth.0, token)).await?;
        Ok(Json(Done::because("Token ended successfully")))
    }
}

impl SessionApi {
    /// The operations, over an app, with the gate for work on passwords.
    #[must_use]
    pub fn new(app: Arc<App>, passwords: PasswordWork) -> Self {
        Self { app, passwords }
    }
}
