//! How are the people of an organization asked for over HTTP?

pub(super) mod wire;

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, OpenApi};
use secrecy::ExposeSecret;

use self::wire::{NewUserAnswer, NewUserBody, RenewedInvitation, UserAnswer, UserChange, UserItem, UserList};
use super::Group;
use super::http::auth::Auth;
use super::http::body::Body;
use super::http::bridge::{act, blocking};
use super::http::envelope::Done;
use super::http::error::{ApiError, status};
use super::http::paging::page;
use super::http::password_work::PasswordWork;
use crate::actions::password;
use crate::actions::user::{self, UserPage};
use crate::domain::id::UserId;
use crate::engine::app::App;

/// The operations on the people of an organization.
pub struct UserApi {
    app: Arc<App>,
    passwords: PasswordWork,
}

/// What must not be kept on the way.
const SECRET: &str = "no-store";

#[derive(ApiResponse)]
enum NewUserResponse {
    /// The person was added.
    #[oai(status = 201)]
    Made(
        Json<NewUserAnswer>,
        /// Never to be kept on the way.
        #[oai(header = "Cache-Control")]
        String,
    ),
}

#[derive(ApiResponse)]
enum InvitationResponse {
    /// The new invitation, this once.
    #[oai(status = 200)]
    Renewed(
        Json<RenewedInvitation>,
        /// Never to be kept on the way.
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

#[OpenApi(tag = "Group::People")]
impl UserApi {
    /// List the people of one's organization
    ///
    /// Newest first, the deleted ones too, with `deletedAt`: they can be activated. Needs WORKSPACES.
    #[oai(path = "/organization/users", method = "get", operation_id = "listUsers")]
    async fn list(
        &self,
        auth: Auth,
        /// How many to pass over.
        skip: Query<Option<u32>>,
        /// How many to give: 1 to 1000.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
        take: Query<Option<u32>>,
    ) -> Result<Json<UserList>, ListFail> {
        let (skip, take) = page(skip.0, take.0);
        let page = UserPage { skip, take };
        let (users, total) = act(&self.app, move |app| user::list(app, &auth.0, page)).await?;
        let data = users.into_iter().map(wire::item).collect();
        Ok(Json(UserList { success: true, message: "Users retrieved successfully".to_owned(), data, total }))
    }

    /// Add a person to one's organization
    ///
    /// With a password, which works at once; or with `sendInvite`, which needs none: the answer then has a one-time
    /// token, good for 72 hours, by which the person sets one with `verifyEmail`. No email is sent. Needs WORKSPACES,
    /// and gives at most the caller's own role. An organization has at most `people_max` people, deleted ones included; then
    /// the answer is 400 `USER_LIMIT_REACHED`.
    #[oai(path = "/organization/users", method = "post", operation_id = "createUser")]
    async fn create(&self, auth: Auth, body: Body<NewUserBody>) -> Result<NewUserResponse, CreateFail> {
        let (new, chosen) = body.0.parse()?;
        let mut hash = None;
        if let Some(chosen) = chosen {
            let (caller, wanted) = (auth.0.clone(), new.clone());
            blocking(&self.app, move |app| user::check_new(app, &caller, &wanted)).await?;
            hash = Some(self.passwords.run(&self.app, move |app| password::hash(app, &chosen)).await?);
        }
        let (user, secret) = act(&self.app, move |app| user::create(app, &auth.0, new, hash)).await?;
        let answer = NewUserAnswer {
            success: true,
            message: "User created successfully".to_owned(),
            data: wire::item(user),
            invitation_token: secret.map(|secret| secret.expose_secret().to_owned()),
        };
        Ok(NewUserResponse::Made(Json(answer), SECRET.to_owned()))
    }

    /// Get a person of one's organization
    ///
    /// Deleted or not. Needs WORKSPACES.
    #[oai(path = "/organization/users/:userId", method = "get", operation_id = "getUser")]
    async fn get(
        &self,
        auth: Auth,
        /// The person's id.
        #[oai(name = "userId")]
        user: Path<String>,
    ) -> Result<Json<UserItem>, GetFail> {
        let id = UserId::parse(&user);
        let user = act(&self.app, move |app| user::get(app, &auth.0, id)).await?;
        Ok(Json(wire::item(user)))
    }

    /// Change a person of one's organization
    ///
    /// Name and role, of which each may be left out. A role takes effect at once. Nobody gives, changes or takes away
    /// a role above their own, and the last OWNER of an organization stays. Needs ADMINISTRATOR.
    #[oai(path = "/organization/users/:userId", method = "put", operation_id = "updateUser")]
    async fn update(
        &self,
        auth: Auth,
        /// The person's id.
        #[oai(name = "userId")]
        user: Path<String>,
        body: Body<UserChange>,
    ) -> Result<Json<UserAnswer>, UpdateFail> {
        let (id, change) = (UserId::parse(&user), body.0.parse()?);
        let user = act(&self.app, move |app| user::update(app, &auth.0, id, change)).await?;
        Ok(Json(wire::answer("User updated successfully", user)))
    }

    /// Delete a person of one's organization
    ///
    /// Their tokens, sessions and invitation end at once and for ever; the person can be activated again. Nobody
    /// deletes themselves or somebody above their own role, and the last OWNER stays. Needs ADMINISTRATOR.
    #[oai(path = "/organization/users/:userId", method = "delete", operation_id = "deleteUser")]
    async fn delete(
        &self,
        auth: Auth,
        /// The person's id.
        #[oai(name = "userId")]
        user: Path<String>,
    ) -> Result<Json<Done>, ManageFail> {
        let id = UserId::parse(&user);
        act(&self.app, move |app| user::delete(app, &auth.0, id)).await?;
        Ok(Json(Done::because("User deleted successfully")))
    }

    /// Activate a deleted person
    ///
    /// Undoes the deletion. The person signs in again with the password that they had; who had none needs another
    /// invitation. Needs at least the person's role, and at least the role that whoever deleted them had: ADMINISTRATOR or OWNER.
    #[oai(path = "/organization/users/:userId/activate", method = "post", operation_id = "activateUser")]
    async fn activate(
        &self,
        auth: Auth,
        /// The person's id.
        #[oai(name = "userId")]
        user: Path<String>,
    ) -> Result<Json<Done>, ManageFail> {
        let id = UserId::parse(&user);
        act(&self.app, move |app| user::activate(app, &auth.0, id)).await?;
        Ok(Json(Done::because("User activated successfully")))
    }

    /// Renew a person's invitation
    ///
    /// For a person who has not taken their account over. The answer has a new one-time token, good for 72 hours; the
    /// one before ends. No email is sent. Needs WORKSPACES, and at least the person's role.
    #[oai(path = "/organization/users/:userId/resend-invitation", method = "post", operation_id = "resendInvitation")]
    async fn resend(
        &self,
        auth: Auth,
        /// The person's id.
        #[oai(name = "userId")]
        user: Path<String>,
    ) -> Result<InvitationResponse, ManageFail> {
        let id = UserId::parse(&user);
        let secret = act(&self.app, move |app| user::resend_invitation(app, &auth.0, id)).await?;
        let (message, invitation_token) =
            ("Invitation renewed successfully".to_owned(), secret.expose_secret().to_owned());
        let answer = RenewedInvitation { success: true, message, invitation_token };
        Ok(InvitationResponse::Renewed(Json(answer), SECRET.to_owned()))
    }
}

impl UserApi {
    /// The operations, over an app.
    #[must_use]
    pub fn new(app: Arc<App>, passwords: PasswordWork) -> Self {
        Self { app, passwords }
    }
}
