//! How is an organization itself asked for over HTTP?

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;

use super::Group;
use super::http::auth::{Auth, AuthOrKey};
use super::http::body::Body;
use super::http::bridge::act;
use super::http::error::{ApiError, status};
use super::http::timestamp::Timestamp;
use crate::actions::org;
use crate::domain::id::OrgId;
use crate::domain::org::{Org, parse_about, parse_domain, parse_name};
use crate::domain::text::InvalidField;
use crate::engine::app::App;
use crate::engine::error::Error;

/// The operations on organizations.
pub struct OrgApi(pub Arc<App>);

/// An organization; what it did not say of itself is empty.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct Organization {
    /// The organization's id.
    id: String,
    /// What people call it.
    name: String,
    /// Its name on the internet.
    domain: String,
    /// Its pages.
    website: String,
    /// The first line of its address.
    address1: String,
    /// The second line of its address.
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
    /// Whether it is a business.
    #[oai(rename = "is_business")]
    is_business: bool,
    /// Always false: there is no second factor.
    mfa_enforced: bool,
}

/// An organization, as it is now.
#[derive(Object)]
struct OrganizationAnswer {
    /// Always true.
    success: bool,
    /// What was done.
    message: String,
    /// The organization.
    data: Organization,
}

/// What an organization is to say of itself. What is left out stays as it is; an empty text takes it back.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
#[serde(rename_all = "camelCase")]
struct OrganizationChange {
    /// What people call it: 1 to 100 characters.
    #[oai(validator(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    name: Option<String>,
    /// Its name on the internet: up to 253 characters. It decides nothing.
    #[oai(validator(max_length = 253, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    domain: Option<String>,
    /// Its pages: up to 200 characters.
    #[oai(validator(max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    website: Option<String>,
    /// The first line of its address: up to 200 characters.
    #[oai(validator(max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    address1: Option<String>,
    /// The second line of its address: up to 200 characters.
    #[oai(validator(max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    address2: Option<String>,
    /// City: up to 200 characters.
    #[oai(validator(max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    city: Option<String>,
    /// Postal code: up to 200 characters.
    #[oai(validator(max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    zipcode: Option<String>,
    /// Telephone number: up to 200 characters.
    #[oai(validator(max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    phone: Option<String>,
    /// State or province: up to 200 characters.
    #[oai(validator(max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    state: Option<String>,
    /// Country: up to 200 characters.
    #[oai(validator(max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    country: Option<String>,
    /// Whether it is a business.
    #[oai(rename = "is_business")]
    #[serde(rename = "is_business")]
    is_business: Option<bool>,
    /// Must not be true: there is no second factor.
    mfa_enforced: Option<bool>,
}

type UpdateFail = ApiError<{ status::BAD_REQUEST | status::FORBIDDEN | status::BAD_BODY }>;

#[OpenApi(tag = "Group::People")]
impl OrgApi {
    /// Get one's organization
    ///
    /// What it says of itself. Any member may.
    #[oai(path = "/organization/:orgId", method = "get", operation_id = "getOrganization")]
    async fn get(
        &self,
        auth: AuthOrKey,
        /// The organization's id.
        #[oai(name = "orgId")]
        org: Path<String>,
    ) -> Result<Json<OrganizationAnswer>, ApiError<{ status::FORBIDDEN }>> {
        let id = OrgId::parse(&org);
        let org = act(&self.0, move |app| org::get(app, &auth.0, id)).await?;
        Ok(Json(answer("Organization retrieved successfully", org)))
    }

    /// Change one's organization
    ///
    /// What it says of itself; nothing of it decides anything. Needs ADMINISTRATOR.
    #[oai(path = "/organization/:orgId", method = "put", operation_id = "updateOrganization")]
    async fn update(
        &self,
        auth: Auth,
        /// The organization's id.
        #[oai(name = "orgId")]
        org: Path<String>,
        body: Body<OrganizationChange>,
    ) -> Result<Json<OrganizationAnswer>, UpdateFail> {
        let (id, change) = (OrgId::parse(&org), body.0.parse()?);
        let org = act(&self.0, move |app| org::update(app, &auth.0, id, |org| change.of(org))).await?;
        Ok(Json(answer("Organization updated successfully", org)))
    }
}

impl OrganizationChange {
    /// The same, once each text is known to be short and plain.
    fn parse(self) -> Result<Self, Error> {
        if self.mfa_enforced == Some(true) {
            return Err(InvalidField::new("mfaEnforced", "must not be true: there is no second factor").into());
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
