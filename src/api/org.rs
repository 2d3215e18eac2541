//! Operations on the caller's organization itself.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::{Object, OpenApi};
use serde::{Deserialize, Serialize};

use super::Group;
use super::http::auth::{Auth, AuthOrKey};
use super::http::body::Body;
use super::http::error::{ApiError, status};
use super::http::json::Json;
use super::http::timestamp::Timestamp;
use crate::actions::org;
use crate::domain::id::OrgId;
use crate::domain::org::{Org, parse_about, parse_domain, parse_name};
use crate::domain::text::InvalidField;
use crate::engine::app::App;
use crate::engine::error::Error;

/// The operations on organizations.
pub struct OrgApi(pub Arc<App>);

/// An organization. Details that were never set are empty strings.
#[derive(Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
struct Organization {
    /// Id of the organization.
    id: String,
    /// Name of the organization.
    name: String,
    /// Domain name.
    domain: String,
    /// Website.
    website: String,
    /// First line of the postal address.
    address1: String,
    /// Second line of the postal address.
    address2: String,
    /// City.
    city: String,
    /// Postal code.
    zipcode: String,
    /// Telephone number.
    phone: String,
    /// State or province.
    state: String,
    /// Country.
    country: String,
    /// Always null: organizations are not deleted.
    #[oai(nullable)]
    deleted_at: Option<Timestamp>,
    /// Always false: there are no repositories.
    repos_disabled: bool,
    /// Whether the organization is a business.
    #[oai(rename = "is_business")]
    #[serde(rename = "is_business")]
    is_business: bool,
    /// Always false: multi-factor authentication is not supported.
    mfa_enforced: bool,
}

/// An organization after the operation.
#[derive(Object, Serialize)]
struct OrganizationAnswer {
    /// Always true.
    success: bool,
    /// Human-readable confirmation.
    message: String,
    /// The organization.
    data: Organization,
}

/// Changes to an organization's details. Fields that are left out stay as they are; an empty string clears a detail.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
#[serde(rename_all = "camelCase")]
struct OrganizationChange {
    /// Name: 1 to 100 characters.
    #[oai(validator(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    name: Option<String>,
    /// Domain name: up to 253 characters. Informational only.
    #[oai(validator(max_length = 253, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    domain: Option<String>,
    /// Website: up to 200 characters.
    #[oai(validator(max_length = 200, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    website: Option<String>,
    /// First line of the postal address: up to 200 characters.
    #[oai(validator(max_length = 200, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    address1: Option<String>,
    /// Second line of the postal address: up to 200 characters.
    #[oai(validator(max_length = 200, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    address2: Option<String>,
    /// City: up to 200 characters.
    #[oai(validator(max_length = 200, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    city: Option<String>,
    /// Postal code: up to 200 characters.
    #[oai(validator(max_length = 200, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    zipcode: Option<String>,
    /// Telephone number: up to 200 characters.
    #[oai(validator(max_length = 200, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    phone: Option<String>,
    /// State or province: up to 200 characters.
    #[oai(validator(max_length = 200, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    state: Option<String>,
    /// Country: up to 200 characters.
    #[oai(validator(max_length = 200, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    country: Option<String>,
    /// Whether the organization is a business.
    #[oai(rename = "is_business")]
    #[serde(rename = "is_business")]
    is_business: Option<bool>,
    /// Must not be true: multi-factor authentication is not supported.
    mfa_enforced: Option<bool>,
}

type UpdateFail = ApiError<{ status::BAD_REQUEST | status::FORBIDDEN | status::BAD_BODY }>;

#[OpenApi(tag = "Group::People")]
impl OrgApi {
    /// Get your organization
    ///
    /// Returns the organization's name and details. Allowed for every role, and for API keys that are not restricted to
    /// projects. Recorded in the audit log as `org.read`.
    ///
    /// Responses:
    /// - 200: The organization.
    /// - 403: You do not belong to this organization, or the API key is restricted to projects. An organization that
    ///   does not exist gets the same response.
    #[oai(path = "/organization/:orgId", method = "get", operation_id = "getOrganization")]
    async fn get(
        &self,
        auth: AuthOrKey,
        /// Id of the organization.
        #[oai(name = "orgId")]
        org: Path<String>,
    ) -> Result<Json<OrganizationAnswer>, ApiError<{ status::FORBIDDEN }>> {
        let id = OrgId::parse(&org);
        let org = org::get(&self.0, &auth.0, id).await?;
        Ok(Json(answer("Organization retrieved successfully", org)))
    }

    /// Change your organization
    ///
    /// Changes the organization's name and details. They are informational: no access decision depends on them.
    /// Requires ADMINISTRATOR or OWNER. Recorded in the audit log as `org.update`.
    ///
    /// Responses:
    /// - 200: The organization after the change.
    /// - 400: A field is too long or contains control characters, the name is empty, or `mfaEnforced` is true.
    /// - 403: Your role is below ADMINISTRATOR, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    #[oai(path = "/organization/:orgId", method = "put", operation_id = "updateOrganization")]
    async fn update(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "orgId")]
        org: Path<String>,
        body: Body<OrganizationChange>,
    ) -> Result<Json<OrganizationAnswer>, UpdateFail> {
        let (id, change) = (OrgId::parse(&org), body.0.parse()?);
        let org = org::update(&self.0, &auth.0, id, |org| change.of(org)).await?;
        Ok(Json(answer("Organization updated successfully", org)))
    }
}

impl OrganizationChange {
    /// Returns the same change after checking the length and characters of each text.
    fn parse(self) -> Result<Self, Error> {
        if self.mfa_enforced == Some(true) {
            return Err(InvalidField::new(
                "mfaEnforced",
                "must not be true: multi-factor authentication is not supported",
            )
            .into());
        }
        let about = |field, value: Option<String>| value.map(|value| parse_about(field, &value)).transpose();
        Ok(Self {
            name: self.name.map(|name| parse_name(&name)).transpose()?,
            domain: self.domain.map(|domain| parse_domain(&domain)).transpose()?,
            website: about("website", self.website)?,
            address1: about("address1", self.address1)?,
            address2: about("address2", self.address2)?,
            city: about("city", self.city)?,
            zipcode: about("zipcode", self.zipcode)?,
            phone: about("phone", self.phone)?,
            state: about("state", self.state)?,
            country: about("country", self.country)?,
            ..self
        })
    }

    fn of(self, mut org: Org) -> Org {
        let about = &mut org.about;
        for (field, value) in [
            (&mut org.name, self.name),
            (&mut about.domain, self.domain),
            (&mut about.website, self.website),
            (&mut about.address1, self.address1),
            (&mut about.address2, self.address2),
            (&mut about.city, self.city),
            (&mut about.zipcode, self.zipcode),
            (&mut about.phone, self.phone),
            (&mut about.state, self.state),
            (&mut about.country, self.country),
        ] {
            if let Some(value) = value {
                *field = value;
            }
        }
        about.is_business = self.is_business.unwrap_or(about.is_business);
        org
    }
}

fn answer(message: &str, org: Org) -> OrganizationAnswer {
    let Org { id, name, about, .. } = org;
    let data = Organization {
        id: id.to_string(),
        name,
        domain: about.domain,
        website: about.website,
        address1: about.address1,
        address2: about.address2,
        city: about.city,
        zipcode: about.zipcode,
        phone: about.phone,
        state: about.state,
        country: about.country,
        deleted_at: None,
        repos_disabled: false,
        is_business: about.is_business,
        mfa_enforced: false,
    };
    OrganizationAnswer { success: true, message: message.to_owned(), data }
}
