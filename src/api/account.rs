//! How does a caller ask who it is, and for its own account?

mod wire;

use std::sync::Arc;

use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use secrecy::ExposeSecret;

use self::wire::{AccountChange, InvitationTaken, ParsedAccount, ProfileAnswer, RoleAnswer, RoleChange};
use super::Group;
use super::http::auth::Auth;
use super::http::body::Body;
use super::http::bridge::{act, blocking};
use super::http::envelope::Done;
use super::http::error::{ApiError, status};
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
    /// Get one's own profile
    ///
    /// Who the credential belongs to, its role, and the id of its organization, which the other calls need.
    #[oai(path = "/user/profile", method = "get", operation_id = "getProfile")]
    async fn profile(&self, auth: Auth) -> Result<Json<ProfileAnswer>, ApiError<{ status::FORBIDDEN }>> {
        let (user, org) = act(&self.app, move |app| account::profile(app, &auth.0)).await?;
        Ok(Json(wire::profile(user, &org)))
    }

    /// Get an account
    ///
    /// Anybody's own; another person's of the organization needs WORKSPACES.
    #[oai(path = "/user/:id", method = "get", operation_id = "getAccount")]
    async fn get(
        &self,
        auth: Auth,
        /// The person's id.
        id: Path<String>,
    ) -> Result<Json<UserAnswer>, GetFail> {
        let id = UserId::parse(&id);
        let user = act(&self.app, move |app| account::get(app, &auth.0, id)).await?;
        Ok(Json(people::answer("User retrieved successfully", user)))
    }

    /// Change one's own account
    ///
    /// Names and password. Once there is a password, another one needs `currentPassword`. A new password ends one's
    /// other sessions; access tokens that are no sessions stay until they are ended by themselves.
    #[oai(path = "/user/:id", method = "put", operation_id = "updateAccount")]
    async fn update(
        &self,
        auth: Auth,
        /// One's own id.
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
        act(&self.app, move |app| account::update(app, &caller, id, names, renewed)).await?;
        Ok(Json(Done::because("User updated successfully")))
    }

    /// Change a person's role
    ///
    /// Takes effect at once. Nobody gives, changes or takes away a role above their own, and the last OWNER of an
    /// organization stays. Needs ADMINISTRATOR.
    #[oai(path = "/user/:id/role", method = "put", operation_id = "updateUserRole")]
    async fn set_role(
        &self,
        auth: Auth,
        /// The person's id.
        id: Path<String>,
        body: Body<RoleChange>,
    ) -> Result<Json<RoleAnswer>, RoleFail> {
        let (id, role) = (UserId::parse(&id), body.0.parse()?);
        let (user, previous) = act(&self.app, move |app| user::set_role(app, &auth.0, id, role)).await?;
        Ok(Json(wire::role(user, previous, role)))
    }

    /// Take an invitation
    ///
    /// Sets the password of the invited person, who can sign in from then on. The credential is the one-time token.
    /// One that is unknown, was taken or replaced, or is older than 72 hours is refused alike, with `INVALID_TOKEN`.
    #[oai(path = "/user/verify-email", method = "post", operation_id = "verifyEmail")]
    async fn verify(&self, from: From, body: Body<InvitationTaken>) -> Result<Json<Done>, VerifyFail> {
        let (token, new) = body.0.parse()?;
        let invited = blocking(&self.app, move |app| invitation::check(app, token.expose_secret())).await?;
        let hash = self.passwords.run(&self.app, move |app| password::hash(app, &new)).await?;
        blocking(&self.app, move |app| invitation::take(app, from.0, invited, hash)).await?;
        Ok(Json(Done::because("Email verified successfully")))
    }
}

impl AccountApi {
    /// The operations, over an app.
    #[must_use]
    pub fn new(app: Arc<App>, passwords: PasswordWork) -> Self {
        Self { app, passwords }
    }
}
