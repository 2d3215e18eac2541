//! Operations on the users of an organization.

pub(super) mod wire;

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::{ApiResponse, OpenApi};
use secrecy::ExposeSecret;

use self::wire::{
    NewUserAnswer, NewUserBody, RenewedInvitation, UserAnswer, UserChange, UserDeletedAnswer, UserItem, UserList,
};
use super::Group;
use super::http::auth::Auth;
use super::http::body::Body;
use super::http::bridge::{act, blocking};
use super::http::envelope::Done;
use super::http::error::{ApiError, status};
use super::http::json::Json;
use super::http::paging::page;
use super::http::password_work::PasswordWork;
use crate::actions::password;
use crate::actions::user::{self, UserPage};
use crate::domain::id::UserId;
use crate::engine::app::App;

/// The operations on the users of an organization.
pub struct UserApi {
    app: Arc<App>,
    passwords: PasswordWork,
}

/// `Cache-Control` of responses that have a secret.
const SECRET: &str = "no-store";

#[derive(ApiResponse)]
enum NewUserResponse {
    /// The user was created.
    #[oai(status = 201)]
    Made(
        Json<NewUserAnswer>,
        /// Always `no-store`: the response may contain a one-time token.
        #[oai(header = "Cache-Control")]
        String,
    ),
}

#[derive(ApiResponse)]
enum InvitationResponse {
    /// The new invitation.
    #[oai(status = 200)]
    Renewed(
        Json<RenewedInvitation>,
        /// Always `no-store`: the response may contain a one-time token.
        #[oai(header = "Cache-Control")]
        String,
    ),
}

type ListFail = ApiError<{ status::BAD_REQUEST | status::FORBIDDEN }>;
type GetFail = ApiError<{ status::FORBIDDEN | status::NOT_FOUND }>;
type CreateFail = ApiError<{ status::BAD_REQUEST | status::FORBIDDEN | status::CONFLICT | status::BAD_BODY }>;
type UpdateFail =
    ApiError<{ status::BAD_REQUEST | status::FORBIDDEN | status::NOT_FOUND | status::CONFLICT | status::BAD_BODY }>;
type ManageFail = ApiError<{ status::BAD_REQUEST | status::FORBIDDEN | status::NOT_FOUND }>;
type ActivateFail = ApiError<{ status::BAD_REQUEST | status::FORBIDDEN | status::NOT_FOUND | status::CONFLICT }>;

#[OpenApi(tag = "Group::People")]
impl UserApi {
    /// List the users of your organization
    ///
    /// Returns all users, newest first. Deleted users have a `deletedAt`; they are included because they can be
    /// activated again. Requires WORKSPACES or higher. Recorded in the audit log as `user.list`.
    ///
    /// Responses:
    /// - 200: A page of users, and their total number.
    /// - 400: `skip` or `take` is out of range.
    /// - 403: Your role is below WORKSPACES, or the credential is an API key.
    #[oai(path = "/organization/users", method = "get", operation_id = "listUsers")]
    async fn list(
        &self,
        auth: Auth,
        /// Number of users to skip. Default 0.
        skip: Query<Option<u32>>,
        /// Maximum number of users to return: 1 to 1,000. Default 1,000.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
        take: Query<Option<u32>>,
    ) -> Result<Json<UserList>, ListFail> {
        let (skip, take) = page(skip.0, take.0);
        let page = UserPage { skip, take };
        let (users, total) = act(&self.app, move |app| user::list(app, &auth.0, page)).await?;
        let data = users.into_iter().map(wire::item).collect();
        Ok(Json(UserList { success: true, message: "Users retrieved successfully".to_owned(), data, total }))
    }

    /// Create a user in your organization
    ///
    /// With `password`, the user can sign in immediately. With `sendInvite`, no password is needed: the response
    /// contains a one-time token, valid for 72 hours, with which the user sets a password (`verifyEmail`). The server
    /// does not send email, so pass the token on yourself. An organization can have at most `people_max` users (a
    /// server setting), including deleted ones. Requires WORKSPACES or higher. The new user's role cannot be above your
    /// own. Recorded in the audit log as `user.create`.
    ///
    /// Responses:
    /// - 201: The user was created.
    /// - 400: A field is invalid; the password is missing, too short or too common; or the organization already has
    ///   `people_max` users (`USER_LIMIT_REACHED`).
    /// - 403: Your role is below WORKSPACES or below the new user's role, or the credential is an API key.
    /// - 409: A user of this server, in whichever organization, already has this email address (`EMAIL_TAKEN`).
    #[oai(path = "/organization/users", method = "post", operation_id = "createUser")]
    async fn create(&self, auth: Auth, body: Body<NewUserBody>) -> Result<NewUserResponse, CreateFail> {
        let (new, chosen) = body.0.parse()?;
        let mut hash = None;
        if let Some(chosen) = chosen {
            let (caller, wanted) = (auth.0.clone(), new.clone());
            blocking(&self.app, move |app| user::check_new(app, &caller, &wanted)).await?;
            hash = Some(self.passwords.run(&self.app, move |app| password::hash(app, &chosen)).await?);
        }
        let (user, invitation) = user::create(&self.app, &auth.0, new, hash).await?;
        let (secret, invited_until) = invitation.unzip();
        let answer = NewUserAnswer {
            success: true,
            message: "User created successfully".to_owned(),
            data: wire::item((user, invited_until)),
            invitation_token: secret.map(|secret| secret.expose_secret().to_owned()),
        };
        Ok(NewUserResponse::Made(Json(answer), SECRET.to_owned()))
    }

    /// Get a user of your organization
    ///
    /// Deleted users can be retrieved, too. Requires WORKSPACES or higher. Recorded in the audit log as `user.read`.
    ///
    /// Responses:
    /// - 200: The user, without an envelope.
    /// - 403: Your role is below WORKSPACES, or the credential is an API key.
    /// - 404: Your organization has no user with this id (`USER_NOT_FOUND`).
    #[oai(path = "/organization/users/:userId", method = "get", operation_id = "getUser")]
    async fn get(
        &self,
        auth: Auth,
        /// Id of the user.
        #[oai(name = "userId")]
        user: Path<String>,
    ) -> Result<Json<UserItem>, GetFail> {
        let id = UserId::parse(&user);
        let user = user::get(&self.app, &auth.0, id).await?;
        Ok(Json(wire::item(user)))
    }

    /// Change a user of your organization
    ///
    /// Changes the user's name, role or both. Fields that you leave out stay as they are. A new role takes effect
    /// immediately. You cannot grant, change or revoke a role above your own, and an organization's last OWNER cannot
    /// be demoted. Requires ADMINISTRATOR or OWNER. Recorded in the audit log as `user.update`, `user.role` or both.
    ///
    /// Responses:
    /// - 200: The user after the change.
    /// - 400: A field is invalid, or the user is deleted (`USER_DELETED`).
    /// - 403: Your role is below ADMINISTRATOR or below the user's current or new role, or the credential is an API
    ///   key.
    /// - 404: Your organization has no user with this id (`USER_NOT_FOUND`).
    /// - 409: The user is the last OWNER of the organization (`LAST_OWNER`).
    #[oai(path = "/organization/users/:userId", method = "put", operation_id = "updateUser")]
    async fn update(
        &self,
        auth: Auth,
        /// Id of the user.
        #[oai(name = "userId")]
        user: Path<String>,
        body: Body<UserChange>,
    ) -> Result<Json<UserAnswer>, UpdateFail> {
        let (id, change) = (UserId::parse(&user), body.0.parse()?);
        let user = user::update(&self.app, &auth.0, id, change).await?;
        Ok(Json(wire::answer("User updated successfully", user)))
    }

    /// Delete a user of your organization
    ///
    /// Permanently revokes the user's sessions, access tokens and invitation. The account itself can be activated again
    /// with `activateUser`, unless somebody else has taken the email address, which the deletion frees. API keys that the
    /// user created stay valid, and the user may have kept copies of their secrets: the response names them, so that you
    /// can rotate or delete them. You cannot delete yourself, a user whose role is above your own, or the last OWNER.
    /// Requires ADMINISTRATOR or OWNER. Recorded in the audit log as `user.delete`.
    ///
    /// Responses:
    /// - 200: The user was deleted. The response names the API keys that the user created.
    /// - 400: The user is you (`CANNOT_DELETE_YOURSELF`) or is already deleted (`USER_ALREADY_DELETED`).
    /// - 403: Your role is below ADMINISTRATOR or below the user's, or the credential is an API key.
    /// - 404: Your organization has no user with this id (`USER_NOT_FOUND`).
    #[oai(path = "/organization/users/:userId", method = "delete", operation_id = "deleteUser")]
    async fn delete(
        &self,
        auth: Auth,
        /// Id of the user.
        #[oai(name = "userId")]
        user: Path<String>,
    ) -> Result<Json<UserDeletedAnswer>, ManageFail> {
        let id = UserId::parse(&user);
        let created = user::delete(&self.app, &auth.0, id).await?;
        Ok(Json(wire::deleted(created)))
    }

    /// Activate a deleted user
    ///
    /// The user's old password works again. A user who had no password needs a new invitation. Your role must not be
    /// below the user's, nor below the role of whoever deleted the user, which is ADMINISTRATOR or OWNER. Deleting the
    /// user freed their email address, so they cannot be activated while another user has it. Recorded in the audit log
    /// as `user.activate`.
    ///
    /// Responses:
    /// - 200: The user is active again.
    /// - 400: The user is not deleted (`USER_NOT_DELETED`).
    /// - 403: Your role is below the user's or below that of whoever deleted the user, or the credential is an API key.
    /// - 404: Your organization has no user with this id (`USER_NOT_FOUND`).
    /// - 409: A user of this server has taken the email address meanwhile (`EMAIL_TAKEN`).
    #[oai(path = "/organization/users/:userId/activate", method = "post", operation_id = "activateUser")]
    async fn activate(
        &self,
        auth: Auth,
        /// Id of the user.
        #[oai(name = "userId")]
        user: Path<String>,
    ) -> Result<Json<Done>, ActivateFail> {
        let id = UserId::parse(&user);
        user::activate(&self.app, &auth.0, id).await?;
        Ok(Json(Done::because("User activated successfully")))
    }

    /// Replace a user's invitation
    ///
    /// Creates a new one-time token, valid for 72 hours, and invalidates the previous one. This is possible only for a
    /// user who has neither accepted an invitation nor been given a password. The server does not send email, so pass
    /// the token on yourself. Requires WORKSPACES or higher, and a role that is not below the user's. Recorded in the
    /// audit log as `user.invite`.
    ///
    /// Responses:
    /// - 200: The new invitation token.
    /// - 400: The user has already accepted an invitation or been given a password (`USER_ALREADY_VALIDATED`), or is
    ///   deleted (`USER_DELETED`).
    /// - 403: Your role is below WORKSPACES or below the user's, or the credential is an API key.
    /// - 404: Your organization has no user with this id (`USER_NOT_FOUND`).
    #[oai(path = "/organization/users/:userId/resend-invitation", method = "post", operation_id = "resendInvitation")]
    async fn resend(
        &self,
        auth: Auth,
        /// Id of the user.
        #[oai(name = "userId")]
        user: Path<String>,
    ) -> Result<InvitationResponse, ManageFail> {
        let id = UserId::parse(&user);
        let secret = user::resend_invitation(&self.app, &auth.0, id).await?;
        let (message, invitation_token) =
            ("Invitation renewed successfully".to_owned(), secret.expose_secret().to_owned());
        let answer = RenewedInvitation { success: true, message, invitation_token };
        Ok(InvitationResponse::Renewed(Json(answer), SECRET.to_owned()))
    }
}

impl UserApi {
    /// Creates the operations on an app, with the gate for password hashing.
    #[must_use]
    pub fn new(app: Arc<App>, passwords: PasswordWork) -> Self {
        Self { app, passwords }
    }
}
