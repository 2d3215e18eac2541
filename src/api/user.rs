//! How does a caller ask who it is?

use std::sync::Arc;

use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};

use super::auth::Auth;
use super::error::{Fail, may};
use super::{Group, act};
use crate::actions::app::App;
use crate::actions::session;
use crate::domain::role::Role;
use crate::domain::user::User;

/// The operations on people.
pub struct UserApi(pub Arc<App>);

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
    /// Always false: accounts are not told apart.
    is_business: bool,
}

/// The caller's profile.
#[derive(Object)]
#[oai(example)]
struct ProfileAnswer {
    /// Always true.
    success: bool,
    /// What was done.
    message: String,
    /// The profile.
    data: Profile,
}

#[OpenApi(tag = "Group::People")]
impl UserApi {
    /// Get one's own profile
    ///
    /// Who the credential belongs to, its role, and the id of its organization, which the other calls need.
    #[oai(path = "/user/profile", method = "get", operation_id = "getProfile")]
    async fn profile(&self, auth: Auth) -> Result<Json<ProfileAnswer>, Fail<{ may::BE_REFUSED }>> {
        let user = act(&self.0, move |app| session::profile(app, &auth.0)).await?;
        Ok(Json(answer(user)))
    }
}

fn answer(user: User) -> ProfileAnswer {
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
        is_business: false,
    };
    ProfileAnswer { success: true, message: "Profile retrieved successfully".to_owned(), data }
}

impl Example for ProfileAnswer {
    fn example() -> Self {
        let data = Profile {
            id: "user-018d0b6a-5c80-7000-8000-000000000003".to_owned(),
            name: "Ada".to_owned(),
            last_name: "Lovelace".to_owned(),
            email: "ada@example.org".to_owned(),
            org_id: "org-018d0b6a-5c80-7000-8000-000000000001".to_owned(),
            org_role: Role::Administrator.number(),
            org_role_description: Role::Administrator.name().to_owned(),
            org_roles: Role::Administrator.numbers_up_to(),
            validated: true,
            mfa_required: false,
            is_business: false,
        };
        Self { success: true, message: "Profile retrieved successfully".to_owned(), data }
    }
}
