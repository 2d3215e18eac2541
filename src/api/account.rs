//! Operations on one's own account and on invitations.

mod wire;

use std::sync::Arc;

use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use secrecy::ExposeSecret;

use self::wire::{
    AccountChange, InvitationTaken, ParsedAccount, ProfileAnswer, RoleAnswer, RoleChange, VerifiedAnswer,
};
use super::Group;
use super::http::auth::Auth;
use super::http::body::Body;
use super::http::bridge::blocking;
use super::http::envelope::Done;
use super::http::error::{ApiError, status};
use super::http::json::Json;
use super::http::observe::From;
use super::http::password_work::PasswordWork;
use super::user::wire::{self as people, UserAnswer};
use crate::actions::{account, invitation, password, user};
use crate::domain::id::UserId;
use crate::engine::app::App;

/// The operations on accounts.
pub struct AccountApi {
    app: Arc<App>,
    passwords: PasswordWork,
}

type GetFail = ApiError<{ status::FORBIDDEN | status::NOT_FOUND }>;
type UpdateFail = ApiError<{ status::BAD_REQUEST | status::FORBIDDEN | status::BAD_BODY }>;
type RoleFail =
    ApiError<{ status::BAD_REQUEST | status::FORBIDDEN | status::NOT_FOUND | status::CONFLICT | status::BAD_BODY }>;
type VerifyFail = ApiError<{ status::BAD_REQUEST | status::BAD_BODY }>;

#[OpenApi(tag = "Group::People")]
impl AccountApi {
    /// Get your own profile
    ///
    /// Returns the user that the access token belongs to, including the role and the id of the organization. Most other
    /// calls need that id. Recorded in the audit log as `user.profile`.
    ///
    /// Responses:
    /// - 200: The caller's profile.
    /// - 403: The credential is an API key, which has no profile (`API_KEY_NOT_ALLOWED`).
    #[oai(path = "/user/profile", method = "get", operation_id = "getProfile")]
    async fn profile(&self, auth: Auth) -> Result<Json<ProfileAnswer>, ApiError<{ status::FORBIDDEN }>> {
        let (user, org) = account::profile(&self.app, &auth.0).await?;
        Ok(Json(wire::profile(user, &org)))
    }

    /// Get an account
    ///
    /// You can always get your own account. Getting another user's account in your organization requires WORKSPACES or
    /// higher. Recorded in the audit log as `user.read`.
    ///
    /// Responses:
    /// - 200: The account.
    /// - 403: The account belongs to another user and your role is below WORKSPACES, or the credential is an API key.
    /// - 404: Your organization has no user with this id (`USER_NOT_FOUND`).
    #[oai(path = "/user/:id", method = "get", operation_id = "getAccount")]
    async fn get(
        &self,
        auth: Auth,
        /// Id of the user.
        id: Path<String>,
    ) -> Result<Json<UserAnswer>, GetFail> {
        let id = UserId::parse(&id);
        let user = account::get(&self.app, &auth.0, id).await?;
        Ok(Json(people::answer("User retrieved successfully", user)))
    }

    /// Change your own account
    ///
    /// Changes your name, your password or both. Fields that you leave out stay as they are. If the account has a
    /// password, setting a new one requires `currentPassword`, and wrong attempts count as failed logins. A new
    /// password ends your other sessions. Access tokens that do not belong to a session stay valid until you revoke
    /// them. Recorded in the audit log as `user.update` or `user.password`.
    ///
    /// Responses:
    /// - 200: The account was changed.
    /// - 400: A field is invalid, or the current password is missing or wrong (`WRONG_PASSWORD`).
    /// - 403: The id in the path is not your own, or the credential is an API key.
    /// - 429: A rate limit was reached, or there were too many wrong passwords (`TOO_MANY_ATTEMPTS`). `Retry-After`
    ///   says how many seconds to wait.
    #[oai(path = "/user/:id", method = "put", operation_id = "updateAccount")]
    async fn update(
        &self,
        auth: Auth,
        /// Your own user id.
        id: Path<String>,
        body: Body<AccountChange>,
    ) -> Result<Json<Done>, UpdateFail> {
        let (id, caller) = (UserId::parse(&id), auth.0);
        let ParsedAccount { names, password } = body.0.parse()?;
        let mut renewed = None;
        if let Some((new, current)) = password {
            let (asking, proving) = (caller.clone(), caller.clone());
            let stored = blocking(&self.app, move |app| account::current_password(app, &asking, id)).await?;
            let work =
                self.passwords.run(&self.app, move |app| account::renew(app, &proving, stored, current.as_ref(), &new));
            renewed = Some(work.await?);
        }
        account::update(&self.app, &caller, id, names, renewed).await?;
        Ok(Json(Done::because("User updated successfully")))
    }

    /// Change a user's role
    ///
    /// The new role takes effect immediately. You cannot grant, change or revoke a role above your own, and an
    /// organization's last OWNER cannot be demoted. Requires ADMINISTRATOR or OWNER. Recorded in the audit log as
    /// `user.role`.
    ///
    /// Responses:
    /// - 200: The role was changed.
    /// - 400: The number is not a role, or the user is deleted (`USER_DELETED`).
    /// - 403: Your role is below ADMINISTRATOR or below the user's current or new role, or the credential is an API
    ///   key.
    /// - 404: Your organization has no user with this id (`USER_NOT_FOUND`).
    /// - 409: The user is the last OWNER of the organization (`LAST_OWNER`).
    #[oai(path = "/user/:id/role", method = "put", operation_id = "updateUserRole")]
    async fn set_role(
        &self,
        auth: Auth,
        /// Id of the user.
        id: Path<String>,
        body: Body<RoleChange>,
    ) -> Result<Json<RoleAnswer>, RoleFail> {
        let (id, role) = (UserId::parse(&id), body.0.parse()?);
        let (user, previous) = user::set_role(&self.app, &auth.0, id, role).await?;
        Ok(Json(wire::role(user, previous, role)))
    }

    /// Accept an invitation
    ///
    /// Sets the invited user's password. The user can then sign in. The credential is the one-time token from the
    /// invitation, or from the link that a start prints while no OWNER has a password. A token that is unknown, already
    /// used, replaced or older than 72 hours (one hour for that link) is always refused with the same error,
    /// `INVALID_TOKEN`. Recorded in the audit log as `user.verify`.
    ///
    /// Responses:
    /// - 200: The password is set, and the user can sign in. The response contains the address to sign in with.
    /// - 400: The token is not valid (`INVALID_TOKEN`), or the password is shorter than 12 bytes, longer than 1,024
    ///   bytes, or too common.
    #[oai(path = "/user/verify-email", method = "post", operation_id = "verifyEmail")]
    async fn verify(&self, from: From, body: Body<InvitationTaken>) -> Result<Json<VerifiedAnswer>, VerifyFail> {
        let (token, new) = body.0.parse()?;
        let invited = blocking(&self.app, move |app| invitation::check(app, token.expose_secret())).await?;
        let hash = self.passwords.run(&self.app, move |app| password::hash(app, &new)).await?;
        let email = blocking(&self.app, move |app| invitation::take(app, from.0, invited, hash)).await?;
        Ok(Json(VerifiedAnswer { success: true, message: "Email verified successfully".to_owned(), email }))
    }
}

impl AccountApi {
    /// Creates the operations on an app, with the gate for password hashing.
    #[must_use]
    pub fn new(app: Arc<App>, passwords: PasswordWork) -> Self {
        Self { app, passwords }
    }
}
