//! Request and response bodies for users. These types are separate from the domain's, so that a new column cannot leak.

use poem_openapi::Object;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::actions::account::Names;
use crate::actions::user::{CreatedKeys, InvitedUser, NewUser, UserPatch};
use crate::api::http::timestamp::Timestamp;
use crate::domain::id::ApiKeyId;
use crate::domain::password;
use crate::domain::role::Role;
use crate::domain::text::InvalidField;
use crate::domain::user::{parse_email, parse_last_name, parse_name};
use crate::engine::error::{Error, ErrorKind};

/// A user of an organization.
#[derive(Object, Serialize)]
#[oai(rename = "OrganizationUser", rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct UserItem {
    /// Id of the user.
    pub id: String,
    /// Email address.
    pub email: String,
    /// First name.
    pub name: String,
    /// Last name.
    pub last_name: String,
    /// Id of the organization.
    pub org_id: String,
    /// Role: USER 0, BILLING 1, WORKSPACES 2, ADMINISTRATOR 254, OWNER 255.
    pub org_role: u8,
    /// Whether the account is set up: false until an invited user has accepted the invitation.
    pub validated: bool,
    /// Time of deletion. Null if the user is not deleted.
    #[oai(nullable)]
    pub deleted_at: Option<Timestamp>,
    /// End of the user's invitation. Null if the user has none, or it has expired.
    #[oai(nullable)]
    pub invited_until: Option<Timestamp>,
    /// Name of the role, such as `ADMINISTRATOR`.
    pub org_role_description: String,
    /// The numbers of all roles up to and including this one.
    pub org_roles: Vec<u8>,
}

/// A user after the operation.
#[derive(Object, Serialize)]
pub(in crate::api) struct UserAnswer {
    /// Always true.
    pub success: bool,
    /// Human-readable confirmation.
    pub message: String,
    /// The user.
    pub data: UserItem,
}

/// The users of an organization.
#[derive(Object, Serialize)]
#[oai(rename = "OrganizationUserList")]
pub(in crate::api) struct UserList {
    /// Always true.
    pub success: bool,
    /// Human-readable confirmation.
    pub message: String,
    /// The users, newest first.
    pub data: Vec<UserItem>,
    /// Total number of users, including deleted ones.
    pub total: i64,
}

/// A user to create.
#[derive(Object, Deserialize)]
#[oai(rename = "OrganizationUserInput", rename_all = "camelCase", skip_serializing_if_is_none)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct NewUserBody {
    /// Email address: 3 to 254 characters, unique on the server in any letter case. Deleting a user frees theirs.
    #[oai(validator(min_length = 3, max_length = 254, pattern = r"^[^@\x00-\x20\x7f]+@[^@\x00-\x20\x7f]+$"))]
    email: String,
    /// Password: 12 to 1,024 bytes, not a common password. Ignored with `sendInvite`, and required without it.
    #[oai(validator(max_length = 1024))]
    password: Option<String>,
    /// First name: 1 to 100 characters.
    #[oai(validator(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    first_name: String,
    /// Last name: up to 100 characters.
    #[oai(validator(max_length = 100, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    last_name: String,
    /// Role: USER 0 (the default), BILLING 1, WORKSPACES 2, ADMINISTRATOR 254 or OWNER 255; at most the caller's own.
    #[oai(validator(minimum(value = "0"), maximum(value = "255")))]
    org_role: Option<i64>,
    /// Whether to invite the user to set a password, with the one-time token in the response. Default false.
    send_invite: Option<bool>,
}

/// A created user.
#[derive(Object, Serialize)]
#[oai(rename = "NewOrganizationUserAnswer", rename_all = "camelCase", skip_serializing_if_is_none)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct NewUserAnswer {
    /// Always true.
    pub success: bool,
    /// Human-readable confirmation.
    pub message: String,
    /// The user.
    pub data: UserItem,
    /// One-time token for `verifyEmail`, valid for 72 hours. Only with `sendInvite`; it cannot be retrieved again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invitation_token: Option<String>,
}

/// A new invitation.
#[derive(Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct RenewedInvitation {
    /// Always true.
    pub success: bool,
    /// Human-readable confirmation.
    pub message: String,
    /// One-time token for `verifyEmail`, valid for 72 hours. It cannot be retrieved again.
    pub invitation_token: String,
}

/// A deleted user's API keys, which stay valid.
#[derive(Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct UserDeletedAnswer {
    /// Always true.
    pub success: bool,
    /// Human-readable confirmation.
    pub message: String,
    /// The API keys that the user created and that have not expired, newest first: at most 100.
    pub api_keys: Vec<CreatedApiKey>,
    /// Total number of these API keys.
    pub api_keys_total: i64,
}

/// An API key that a deleted user had created.
#[derive(Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct CreatedApiKey {
    /// Id of the key.
    pub api_key_id: i32,
    /// Name of the key.
    pub api_key_name: String,
}

/// Changes to a user. Fields that are left out stay as they are.
#[derive(Object, Deserialize)]
#[oai(rename = "OrganizationUserChange", rename_all = "camelCase", skip_serializing_if_is_none)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct UserChange {
    /// First name: 1 to 100 characters.
    #[oai(validator(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    name: Option<String>,
    /// Last name: up to 100 characters.
    #[oai(validator(max_length = 100, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    last_name: Option<String>,
    /// Role: USER 0, BILLING 1, WORKSPACES 2, ADMINISTRATOR 254 or OWNER 255; at most the caller's own.
    #[oai(validator(minimum(value = "0"), maximum(value = "255")))]
    org_role: Option<i64>,
}

impl NewUserBody {
    /// Returns the user to create, and the password unless the user is invited.
    pub(in crate::api) fn parse(self) -> Result<(NewUser, Option<SecretString>), Error> {
        let new = NewUser {
            email: parse_email(&self.email)?,
            name: parse_name("firstName", &self.first_name)?,
            last_name: parse_last_name(&self.last_name)?,
            role: self.org_role.map_or(Ok(Role::User), parse_role)?,
        };
        if self.send_invite.unwrap_or(false) {
            return Ok((new, None));
        }
        let password = self.password.ok_or_else(|| {
            Error::new(ErrorKind::Invalid, "INVALID_FIELD", "password is required unless sendInvite is true")
        })?;
        Ok((new, Some(password::parse("password", &password)?)))
    }
}

impl UserChange {
    pub(in crate::api) fn parse(self) -> Result<UserPatch, Error> {
        let Names { name, last_name } = names(self.name, self.last_name)?;
        Ok(UserPatch { name, last_name, role: self.org_role.map(parse_role).transpose()? })
    }
}

/// Parses the names in a body.
pub(in crate::api) fn names(name: Option<String>, last_name: Option<String>) -> Result<Names, InvalidField> {
    Ok(Names {
        name: name.map(|name| parse_name("name", &name)).transpose()?,
        last_name: last_name.map(|name| parse_last_name(&name)).transpose()?,
    })
}

/// Returns the role with this number.
pub(in crate::api) fn parse_role(number: i64) -> Result<Role, InvalidField> {
    Role::from_number(number).ok_or_else(|| {
        let known = "must be USER 0, BILLING 1, WORKSPACES 2, ADMINISTRATOR 254 or OWNER 255";
        InvalidField::new("orgRole", known)
    })
}

pub(in crate::api) fn item((user, invited_until): InvitedUser) -> UserItem {
    UserItem {
        id: user.id.to_string(),
        email: user.email,
        name: user.name,
        last_name: user.last_name,
        org_id: user.org.to_string(),
        org_role: user.role.number(),
        validated: user.validated,
        deleted_at: user.deleted_at.map(Timestamp),
        invited_until: invited_until.map(Timestamp),
        org_role_description: user.role.name().to_owned(),
        org_roles: user.role.numbers_up_to(),
    }
}

/// Confirms the deletion of a user, and names the API keys that they created.
pub(in crate::api) fn deleted(created: CreatedKeys) -> UserDeletedAnswer {
    let key = |(id, api_key_name): (ApiKeyId, String)| CreatedApiKey { api_key_id: id.number(), api_key_name };
    UserDeletedAnswer {
        success: true,
        message: "User deleted successfully".to_owned(),
        api_keys: created.newest.into_iter().map(key).collect(),
        api_keys_total: created.total,
    }
}

/// Returns a user with a confirmation.
pub(in crate::api) fn answer(message: &str, user: InvitedUser) -> UserAnswer {
    UserAnswer { success: true, message: message.to_owned(), data: item(user) }
}
