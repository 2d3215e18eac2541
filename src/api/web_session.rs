//! Operations on web sessions: sign in from a browser, confirm the password, sign out.

mod wire;

use std::sync::Arc;

use poem::Request;
use poem_openapi::OpenApi;

use self::wire::{Confirmation, ConfirmedAnswer, SignedOutResponse, WebSessionAnswer, WebSessionResponse};
use super::Group;
use super::http::auth::{Auth, SignsIn};
use super::http::body::Body;
use super::http::bridge::blocking;
use super::http::envelope::Done;
use super::http::error::{ApiError, status};
use super::http::json::Json;
use super::http::password_work::PasswordWork;
use super::http::web_cookie;
use super::session::wire::Credentials;
use crate::actions::{session, web_session};
use crate::engine::app::App;

/// The operations on web sessions.
pub struct WebSessionApi {
    app: Arc<App>,
    passwords: PasswordWork,
}

type BeginFail = ApiError<{ status::BAD_REQUEST | status::FORBIDDEN | status::BAD_BODY }>;
type ConfirmFail = ApiError<{ status::BAD_REQUEST | status::FORBIDDEN | status::BAD_BODY }>;
type EndFail = ApiError<{ status::FORBIDDEN }>;

/// `Cache-Control` of responses that have a secret.
const NO_STORE: &str = "no-store";

#[OpenApi(tag = "Group::Sessions")]
impl WebSessionApi {
    /// Sign in from a browser
    ///
    /// Starts a web session, as the console does. Its access token is in two halves: the response contains one, and a
    /// cookie that scripts cannot read has the other. Requests need both: the first in `Authorization`, as any access
    /// token, and the cookie, which the browser adds. A web session has no refresh token. It ends 12 hours after its last
    /// use, and at the latest 30 days after it began. The cookie is `Secure` if the connection is encrypted, by this
    /// server or by a proxy in `trusted_proxy` that says so in `X-Forwarded-Proto`.
    ///
    /// A page of another host, as the header `Origin` tells, cannot sign in, nor use a web session. Wrong passwords are
    /// limited as by `loginUser`. Recorded in the audit log as `session.begin`.
    ///
    /// Responses:
    /// - 200: The web session was started.
    /// - 400: A field is missing or invalid.
    /// - 401: The address or the password is wrong (`INVALID_CREDENTIALS`), or the password is right but the account is
    ///   deleted or its invitation was not accepted (`USER_INACTIVE`).
    /// - 403: The request comes from a page of another host (`FOREIGN_ORIGIN`).
    /// - 429: Too many wrong passwords (`TOO_MANY_ATTEMPTS`). `Retry-After` says how many seconds to wait.
    #[oai(path = "/user/web-session", method = "post", operation_id = "createWebSession")]
    async fn begin(
        &self,
        from: SignsIn,
        request: &Request,
        body: Body<Credentials>,
    ) -> Result<WebSessionResponse, BeginFail> {
        web_cookie::check_origin(request)?;
        let login = Arc::new(body.0.parse()?);
        let (asked, origin) = (Arc::clone(&login), from.0.clone());
        blocking(&self.app, move |app| session::check(app, &origin, &asked)).await?;
        let begun = self.passwords.run(&self.app, move |app| web_session::log_in(app, &from.0, &login)).await?;
        let cookie = web_cookie::stored(request, &begun.cookie);
        Ok(WebSessionResponse::In(Json(WebSessionAnswer::of(&begun)), NO_STORE.to_owned(), cookie))
    }

    /// Confirm your password
    ///
    /// In a web session, what is hard to undo needs the password again if it was last given 15 minutes ago or more:
    /// deleting organization keys, deleting users, making somebody OWNER, and creating an access token. Such a request is
    /// refused with `PASSWORD_CONFIRMATION_REQUIRED`; after this call, send it again. Wrong passwords are limited as by
    /// `loginUser`. Recorded in the audit log as `session.confirm`.
    ///
    /// Responses:
    /// - 200: The password is right.
    /// - 400: The password is missing, too long or wrong (`WRONG_PASSWORD`).
    /// - 403: The credential is not a web session (`NOT_A_WEB_SESSION`, `API_KEY_NOT_ALLOWED`).
    /// - 429: A rate limit was reached, or there were too many wrong passwords (`TOO_MANY_ATTEMPTS`). `Retry-After`
    ///   says how many seconds to wait.
    #[oai(path = "/user/web-session/confirm", method = "post", operation_id = "confirmPassword")]
    async fn confirm(&self, auth: Auth, body: Body<Confirmation>) -> Result<Json<ConfirmedAnswer>, ConfirmFail> {
        let (password, caller) = (body.0.parse()?, auth.0);
        let asking = caller.clone();
        let found = blocking(&self.app, move |app| web_session::confirming(app, &asking)).await?;
        let work = move |app: &App| web_session::confirm(app, &caller, found, &password);
        let until = self.passwords.run(&self.app, work).await?;
        Ok(Json(ConfirmedAnswer::until(until)))
    }

    /// Sign out of a browser
    ///
    /// Ends the web session that the request is authenticated with, and removes its cookie. Recorded in the audit log as
    /// `token.revoke`.
    ///
    /// Responses:
    /// - 200: The web session has ended.
    /// - 403: The credential is not a web session (`NOT_A_WEB_SESSION`, `API_KEY_NOT_ALLOWED`).
    #[oai(path = "/user/web-session", method = "delete", operation_id = "deleteWebSession")]
    async fn end(&self, auth: Auth, request: &Request) -> Result<SignedOutResponse, EndFail> {
        web_session::end(&self.app, &auth.0).await?;
        let done = Json(Done::because("Signed out successfully"));
        Ok(SignedOutResponse::Out(done, web_cookie::removed(request)))
    }
}

impl WebSessionApi {
    /// Creates the operations on an app, with the gate for password hashing.
    #[must_use]
    pub fn new(app: Arc<App>, passwords: PasswordWork) -> Self {
        Self { app, passwords }
    }
}
