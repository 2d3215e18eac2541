//! What is said of one's own account, and what do callers send of it? The wire's own types, so that a new column cannot leak.

use poem_openapi::Object;
use secrecy::SecretString;
use serde::Deserialize;

use crate::actions::account::Names;
use crate::api::user::wire::{names, parse_role};
use crate::domain::id::UserId;
use crate::domain::org::Org;
use crate::domain::password;
use crate::domain::role::Role;
use crate::domain::text::{self, InvalidField};
use crate::domain::user::User;
use crate::engine::error::Error;

/// What a caller knows of itself.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct Profile {
    /// The user's id.
    id: String,
    /// First name.
    name: String,
    /// Last name.
    last_name: String,
    /// Email address.
    email: String,
    /// The organization's id.
    org_id: String,
    /// USER 0, BILLING 1, WORKSPACES 2, ADMINISTRATOR 254, OWNER 255.
    org_role: u8,
    /// The name of the role.
    org_role_description: String,
    /// Every role up to this one.
    org_roles: Vec<u8>,
    /// Whether the person has taken the account over.
    validated: bool,
    /// Always false: there is no second factor.
    mfa_required: bool,
    /// Whether the organization says that it is a business.
    is_business: bool,
}

/// The caller's profile.
#[derive(Object)]
pub(super) struct ProfileAnswer {
    /// Always true.
    success: bool,
    /// What was done.
    message: String,
    /// The profile.
    data: Profile,
}

/// The role that a person is to have.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(super) struct RoleChange {
    /// USER 0, BILLING 1, WORKSPACES 2, ADMINISTRATOR 254 or OWNER 255; at most the caller's own.
    #[oai(validator(minimum(value = "0"), maximum(value = "255")))]
    org_role: i64,
}

/// What is to be different about one's own account; what is left out stays as it is.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccountChange {
    /// First name: 1 to 100 characters.
    #[oai(validator(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    name: Option<String>,
    /// Last name: up to 100 characters.
    #[oai(validator(max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    last_name: Option<String>,
    /// The password to have: 12 to 1024 bytes that are no common password.
    #[oai(validator(max_length = 1024))]
    password: Option<String>,
    /// The password that there is, without which there is no other.
    #[oai(validator(max_length = 1024))]
    current_password: Option<String>,
}

/// An invitation that is taken.
#[derive(Object, Deserialize)]
pub(super) struct InvitationTaken {
    /// The one-time token, `oki_...`.
    #[oai(validator(max_length = 200))]
    token: String,
    /// The password to have: 12 to 1024 bytes that are no common password.
    #[oai(validator(max_length = 1024))]
    password: String,
}

/// A role that was given.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct RoleGiven {
    /// The person's id.
    user_id: String,
    /// The role that they had.
    previous_role: u8,
    /// The role that they have.
    new_role: u8,
    /// What was done.
    message: String,
}

/// A role that was given, with what was done.
#[derive(Object)]
pub(super) struct RoleAnswer {
    /// Always true.
    success: bool,
    /// What was done.
    message: String,
    /// The role.
    data: RoleGiven,
}

/// What an account is to become.
pub(super) struct ParsedAccount {
    pub names: Names,
    /// The password to have, and the one that there is.
    pub password: Option<(SecretString, Option<SecretString>)>,
}

impl RoleChange {
    pub(super) fn parse(self) -> Result<Role, Error> {
        Ok(parse_role(self.org_role)?)
    }
}

impl AccountChange {
    pub(super) fn parse(self) -> Result<ParsedAccount, Error> {
        let names = names(self.name, self.last_name)?;
        let current = self.current_password.map(|current| tried("currentPassword", current)).transpose()?;
        let password = self.password.map(|password| password::parse("password", &password)).transpose()?;
        Ok(ParsedAccount { names, password: password.map(|password| (password, current)) })
    }
}

impl InvitationTaken {
    pub(super) fn parse(self) -> Result<(SecretString, SecretString), Error> {
        text::at_most("token", &self.token, 200)?;
        Ok((SecretString::from(self.token), password::parse("password", &self.password)?))
    }
}

/// A password that is tried may break the rules of today; it is only no longer than any can be.
fn tried(field: &'static str, text: String) -> Result<SecretString, InvalidField> {
    let most = *password::BYTES.end();
    if text.len() > most {
        return Err(InvalidField::new(field, format!("must have at most {most} bytes")));
    }
    Ok(SecretString::from(text))
}

pub(super) fn profile(user: User, org: &Org) -> ProfileAnswer {
    let data = Profile {
        id: user.id.to_string(),
        name: user.name,
        last_name: user.last_name,
        email: user.email,
        org_id: user.org.to_string(),
        org_role: user.role.number(),
        org_role_description: user.role.name().to_owned(),
        org_roles: user.role.numbers_up_to(),
        validated: user.validated,
        mfa_required: false,
        is_business: org.about.is_business,
    };
    ProfileAnswer { success: true, message: "Profile retrieved successfully".to_owned(), data }
}

pub(super) fn role(user: UserId, previous: Role, new: Role) -> RoleAnswer {
    let message = "User role updated successfully".to_owned();
    let data = RoleGiven {
        user_id: user.to_string(),
        previous_role: previous.number(),
        new_role: new.number(),
        message: message.clone(),
    };
    RoleAnswer { success: true, message, data }
}
