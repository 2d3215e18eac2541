//! What is said of the people of an organization, and what do callers send of them? The wire's own types, so that a new column cannot leak.

use poem_openapi::Object;
use secrecy::SecretString;
use serde::Deserialize;

use crate::actions::account::Names;
use crate::actions::user::{NewUser, UserPatch};
use crate::api::http::timestamp::Timestamp;
use crate::domain::password;
use crate::domain::role::Role;
use crate::domain::text::InvalidField;
use crate::domain::user::{User, parse_email, parse_last_name, parse_name};
use crate::engine::error::{Error, ErrorKind};

/// A person of an organization.
#[derive(Object)]
#[oai(rename = "OrganizationUser", rename_all = "camelCase")]
pub(in crate::api) struct UserItem {
    /// The person's id.
    pub id: String,
    /// Email address.
    pub email: String,
    /// First name.
    pub name: String,
    /// Last name.
    pub last_name: String,
    /// The organization's id.
    pub org_id: String,
    /// USER 0, BILLING 1, WORKSPACES 2, ADMINISTRATOR 254, OWNER 255.
    pub org_role: u8,
    /// Whether the person has taken the account over.
    pub validated: bool,
    /// When the person was deleted, if they were.
    #[oai(nullable)]
    pub deleted_at: Option<Timestamp>,
    /// The name of the role.
    pub org_role_description: String,
    /// Every role up to this one.
    pub org_roles: Vec<u8>,
}

/// A person, as they are now.
#[derive(Object)]
pub(in crate::api) struct UserAnswer {
    /// Always true.
    pub success: bool,
    /// What was done.
    pub message: String,
    /// The person.
    pub data: UserItem,
}

/// The people of an organization.
#[derive(Object)]
#[oai(rename = "OrganizationUserList")]
pub(in crate::api) struct UserList {
    /// Always true.
    pub success: bool,
    /// What was done.
    pub message: String,
    /// The people, newest first.
    pub data: Vec<UserItem>,
    /// How many there are in all.
    pub total: i64,
}

/// Somebody to be added to the organization.
#[derive(Object, Deserialize)]
#[oai(rename = "OrganizationUserInput", rename_all = "camelCase", skip_serializing_if_is_none)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct NewUserBody {
    /// Email address, unique on the server in any letter case: 3 to 254 characters.
    #[oai(validator(
        min_length = 3,
        max_length = 254,
        pattern = r"^[^@\s\x00-\x1f\x7f-\x9f]+@[^@\s\x00-\x1f\x7f-\x9f]+$"
    ))]
    email: String,
    /// 12 to 1024 bytes that are no common password. Not needed, and not used, with `sendInvite`.
    #[oai(validator(max_length = 1024))]
    password: Option<String>,
    /// First name: 1 to 100 characters.
    #[oai(validator(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    first_name: String,
    /// Last name: up to 100 characters.
    #[oai(validator(max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    last_name: String,
    /// USER 0 (if left out), BILLING 1, WORKSPACES 2, ADMINISTRATOR 254 or OWNER 255; at most the caller's own.
    #[oai(validator(minimum(value = "0"), maximum(value = "255")))]
    org_role: Option<i64>,
    /// Whether the person sets a password themselves, with the one-time token of the answer.
    send_invite: Option<bool>,
}

/// Somebody who was added.
#[derive(Object)]
#[oai(rename = "NewOrganizationUserAnswer", rename_all = "camelCase", skip_serializing_if_is_none)]
pub(in crate::api) struct NewUserAnswer {
    /// Always true.
    pub success: bool,
    /// What was done.
    pub message: String,
    /// The person.
    pub data: UserItem,
    /// The one-time token for `verifyEmail`, good for 72 hours; only with `sendInvite`, and only here.
    pub invitation_token: Option<String>,
}

/// A new invitation.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(in crate::api) struct RenewedInvitation {
    /// Always true.
    pub success: bool,
    /// What was done.
    pub message: String,
    /// The one-time token for `verifyEmail`, good for 72 hours; it is only here.
    pub invitation_token: String,
}

/// What is to be different about a person; what is left out stays as it is.
#[derive(Object, Deserialize)]
#[oai(rename = "OrganizationUserChange", rename_all = "camelCase", skip_serializing_if_is_none)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct UserChange {
    /// First name: 1 to 100 characters.
    #[oai(validator(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    name: Option<String>,
    /// Last name: up to 100 characters.
    #[oai(validator(max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    last_name: Option<String>,
    /// USER 0, BILLING 1, WORKSPACES 2, ADMINISTRATOR 254 or OWNER 255; at most the caller's own.
    #[oai(validator(minimum(value = "0"), maximum(value = "255")))]
    org_role: Option<i64>,
}

impl NewUserBody {
    /// Somebody to be added, and their password unless they are invited.
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
            Error::new(ErrorKind::Invalid, "INVALID_FIELD", "password must be given, or sendInvite be true")
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

/// The names that a body has.
pub(in crate::api) fn names(name: Option<String>, last_name: Option<String>) -> Result<Names, InvalidField> {
    Ok(Names {
        name: name.map(|name| parse_name("name", &name)).transpose()?,
        last_name: last_name.map(|name| parse_last_name(&name)).transpose()?,
    })
}

/// The role with this number.
pub(in crate::api) fn parse_role(number: i64) -> Result<Role, InvalidField> {
    Role::from_number(number).ok_or_else(|| {
        let known = "must be USER 0, BILLING 1, WORKSPACES 2, ADMINISTRATOR 254 or OWNER 255";
        InvalidField::new("orgRole", known)
    })
}

pub(in crate::api) fn item(user: User) -> UserItem {
    UserItem {
        id: user.id.to_string(),
        email: user.email,
        name: user.name,
        last_name: user.last_name,
        org_id: user.org.to_string(),
        org_role: user.role.number(),
        validated: user.validated,
        deleted_at: user.deleted_at.map(Timestamp),
        org_role_description: user.role.name().to_owned(),
        org_roles: user.role.numbers_up_to(),
    }
}

/// A person, with what was done.
pub(in crate::api) fn answer(message: &str, user: User) -> UserAnswer {
    UserAnswer { success: true, message: message.to_owned(), data: item(user) }
}
