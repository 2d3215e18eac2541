//! Request and response bodies for accounts. These types are separate from the domain's, so that a new column cannot
//! leak.

use poem_openapi::Object;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::actions::account::Names;
use crate::api::user::wire::{names, parse_role};
use crate::domain::id::UserId;
use crate::domain::org::Org;
use crate::domain::password;
use crate::domain::role::Role;
use crate::domain::text::{self, InvalidField};
use crate::domain::user::User;
use crate::engine::error::Error;

/// The caller's own account.
#[derive(Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
struct Profile {
    /// Id of the user.
    id: String,
    /// First name.
    name: String,
    /// Last name.
    last_name: String,
    /// Email address.
    email: String,
    /// Id of the organization.
    org_id: String,
    /// Role: USER 0, BILLING 1, WORKSPACES 2, ADMINISTRATOR 254, OWNER 255.
    org_role: u8,
    /// Name of the role, such as `ADMINISTRATOR`.
    org_role_description: String,
    /// The numbers of all roles up to and including this one.
    org_roles: Vec<u8>,
    /// Whether the account is set up: false until an invited user has accepted the invitation.
    validated: bool,
    /// Always false: multi-factor authentication is not supported.
    mfa_required: bool,
    /// Whether the organization is marked as a business.
    is_business: bool,
}

/// The caller's profile.
#[derive(Object, Serialize)]
pub(super) struct ProfileAnswer {
    /// Always true.
    success: bool,
    /// Human-readable confirmation.
    message: String,
    /// The profile.
    data: Profile,
}

/// A user's new role.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(super) struct RoleChange {
    /// New role: USER 0, BILLING 1, WORKSPACES 2, ADMINISTRATOR 254 or OWNER 255; at most the caller's own.
    #[oai(validator(minimum(value = "0"), maximum(value = "255")))]
    org_role: i64,
}

/// Changes to the caller's own account. Fields that are left out stay as they are.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccountChange {
    /// First name: 1 to 100 characters.
    #[oai(validator(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    name: Option<String>,
    /// Last name: up to 100 characters.
    #[oai(validator(max_length = 100, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    last_name: Option<String>,
    /// New password: 12 to 1,024 bytes, not a common password.
    #[oai(validator(max_length = 1024))]
    password: Option<String>,
    /// Current password, up to 1,024 bytes. Required for setting a new one if the account has a password.
    #[oai(validator(max_length = 1024))]
    current_password: Option<String>,
}

/// The invitation's token and the password to set.
#[derive(Object, Deserialize)]
pub(super) struct InvitationTaken {
    /// One-time token of the invitation, `oki_...`.
    #[oai(validator(max_length = 200))]
    token: String,
    /// New password: 12 to 1,024 bytes, not a common password.
    #[oai(validator(max_length = 1024))]
    password: String,
}

/// An accepted invitation.
#[derive(Object, Serialize)]
pub(super) struct VerifiedAnswer {
    /// Always true.
    pub success: bool,
    /// Human-readable confirmation.
    pub message: String,
    /// Email address of the account, to sign in with.
    pub email: String,
}

/// A changed role.
#[derive(Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
struct RoleGiven {
    /// Id of the user.
    user_id: String,
    /// Role before the change, as a number.
    previous_role: u8,
    /// Role now, as a number.
    new_role: u8,
    /// Human-readable confirmation.
    message: String,
}

/// The role change.
#[derive(Object, Serialize)]
pub(super) struct RoleAnswer {
    /// Always true.
    success: bool,
    /// Human-readable confirmation.
    message: String,
    /// The role before and after.
    data: RoleGiven,
}

/// A parsed change of one's own account.
pub(super) struct ParsedAccount {
    pub names: Names,
    /// The new password and the current one.
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

/// Checks only the length of a current password: it may have been set under older rules.
fn tried(field: &'static str, text: String) -> Result<SecretString, InvalidField> {
    let most = *password::BYTES.end();
    if text.len() > most {
        return Err(InvalidField::new(field, format!("must be at most {most} bytes long")));
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
