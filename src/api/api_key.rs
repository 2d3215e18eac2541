//! How are API keys asked for over HTTP?

mod wire;

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, OpenApi};
use secrecy::ExposeSecret;

use self::wire::{ApiKeyAnswer, ApiKeyListAnswer, ChangeRequest, CreateRequest, RotateRequest, made, page};
use super::Group;
use super::http::auth::Auth;
use super::http::body::Body;
use super::http::bridge::act;
use super::http::envelope::DeletedAnswer;
use super::http::error::{ApiError, status};
use super::http::paging;
use crate::actions::api_key::{self, Place};
use crate::domain::id::{ApiKeyId, OrgId, ProjectId};
use crate::engine::app::App;
use crate::engine::caller::Caller;
use crate::engine::error::Error;

/// The operations on API keys.
pub struct ApiKeyApi(pub Arc<App>);

#[derive(ApiResponse)]
enum SecretResponse {
    /// The key with its secret, this once.
    #[oai(status = 201)]
    Made(
        Json<ApiKeyAnswer>,
        /// Never to be kept on the way.
        #[oai(header = "Cache-Control")]
        String,
    ),
}

#[derive(ApiResponse)]
enum ListResponse {
    /// The keys.
    #[oai(status = 200)]
    Found(
        Json<ApiKeyListAnswer>,
        /// How many there are in all.
        #[oai(header = "X-Total-Count")]
        i64,
    ),
}

type ListFail = ApiError<{ status::WRAPPED | status::FORBIDDEN | status::BAD_REQUEST }>;
type ListOfFail = ApiError<{ status::WRAPPED | status::FORBIDDEN | status::BAD_REQUEST | status::NOT_FOUND }>;
type CreateFail = ApiError<{ status::WRAPPED | status::FORBIDDEN | status::BAD_REQUEST | status::BAD_BODY }>;
type DeleteFail = ApiError<{ status::WRAPPED | status::FORBIDDEN | status::NOT_FOUND }>;
type ChangeFail = ApiError<
    {
        status::WRAPPED
            | status::FORBIDDEN
            | status::BAD_REQUEST
            | status::NOT_FOUND
            | status::CONFLICT
            | status::BAD_BODY
    },
>;

#[OpenApi(tag = "Group::ApiKeys")]
impl ApiKeyApi {
    /// List the API keys of an organization
    ///
    /// Newest first, without their secrets. ADMINISTRATOR sees all; the owner of projects sees those that are for their
    /// projects alone; others see none. At most 1000 at once: `X-Total-Count` says how many there are, `skip` passes over.
    #[oai(path = "/api/organizations/:organizationId/api-keys", method = "get", operation_id = "listApiKeys")]
    async fn list(
        &self,
        auth: Auth,
        /// The organization's id.
        #[oai(name = "organizationId")]
        org: Path<String>,
        /// How many to pass over.
        skip: Query<Option<u32>>,
        /// How many to give: 1 to 1000.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
        take: Query<Option<u32>>,
    ) -> Result<ListResponse, ListFail> {
        Ok(self.listed(auth.0, Place::Org(OrgId::parse(&org)), skip.0, take.0).await?)
    }

    /// List the API keys of a project
    ///
    /// Those that name the project, newest first, as far as the caller sees them in the organization's list.
    #[oai(path = "/api/projects/:projectId/api-keys", method = "get", operation_id = "listProjectApiKeys")]
    async fn list_of_project(
        &self,
        auth: Auth,
        /// The project's id.
        #[oai(name = "projectId")]
        project: Path<String>,
        /// How many to pass over.
        skip: Query<Option<u32>>,
        /// How many to give: 1 to 1000.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
        take: Query<Option<u32>>,
    ) -> Result<ListResponse, ListOfFail> {
        Ok(self.listed(auth.0, Place::Project(ProjectId::parse(&project)), skip.0, take.0).await?)
    }

    /// Create an API key
    ///
    /// The answer holds the secret, once: only its digest is stored. A key without projects is for the whole
    /// organization. At most 50 live keys name one project, and an organization has at most 1000 unless the server is
    /// set otherwise; keys that have ended do not count. Needs ADMINISTRATOR.
    #[oai(path = "/api/organizations/:organizationId/api-keys", method = "post", operation_id = "createApiKey")]
    async fn create(
        &self,
        auth: Auth,
        /// The organization's id.
        #[oai(name = "organizationId")]
        org: Path<String>,
        body: Body<CreateRequest>,
    ) -> Result<SecretResponse, CreateFail> {
        let (org, request) = (OrgId::parse(&org), body.0.parse()?);
        let (key, secret) = act(&self.0, move |app| api_key::create(app, &auth.0, org, request)).await?;
        let result = made(&key, secret.expose_secret());
        let answer = ApiKeyAnswer::new(201, "API key created successfully", result);
        Ok(SecretResponse::Made(Json(answer), "no-store".to_owned()))
    }

    /// Change an API key
    ///
    /// The key is named in the body. What it is to be from now on is sent whole; without `listProjectsId`, `disabled` or
    /// `note` these stay. An empty `listProjectsId` makes it a key of the whole organization. ADMINISTRATOR may, and the
    /// owner of all of its projects, but for its role and other projects.
    #[oai(path = "/api/organizations/:organizationId/api-keys", method = "put", operation_id = "updateApiKey")]
    async fn update(
        &self,
        auth: Auth,
        /// The organization's id.
        #[oai(name = "organizationId")]
        org: Path<String>,
        body: Body<ChangeRequest>,
    ) -> Result<Json<ApiKeyAnswer>, ChangeFail> {
        Ok(self.changed(auth.0, Place::Org(OrgId::parse(&org)), body.0).await?)
    }

    /// Change an API key of a project
    ///
    /// As in the organization, for a key that names the project. The project's owners may, and ADMINISTRATOR.
    #[oai(path = "/api/projects/:projectId/api-keys", method = "put", operation_id = "updateProjectApiKey")]
    async fn update_of_project(
        &self,
        auth: Auth,
        /// The project's id.
        #[oai(name = "projectId")]
        project: Path<String>,
        body: Body<ChangeRequest>,
    ) -> Result<Json<ApiKeyAnswer>, ChangeFail> {
        Ok(self.changed(auth.0, Place::Project(ProjectId::parse(&project)), body.0).await?)
    }

    /// Delete an API key
    ///
    /// It is refused from the moment of the answer. Who may change it may delete it.
    #[oai(path = "/api/organizations/:organizationId/api-keys/:id", method = "delete", operation_id = "deleteApiKey")]
    async fn delete(
        &self,
        auth: Auth,
        /// The organization's id.
        #[oai(name = "organizationId")]
        org: Path<String>,
        /// The key's id.
        id: Path<String>,
    ) -> Result<Json<DeletedAnswer>, DeleteFail> {
        let (org, id) = (OrgId::parse(&org), ApiKeyId::parse(&id));
        act(&self.0, move |app| api_key::delete(app, &auth.0, org, id)).await?;
        Ok(Json(DeletedAnswer::because("API key deleted successfully")))
    }

    /// Rotate an API key
    ///
    /// Makes a successor with the same name, note, role, projects and end, and answers with its secret, once. The key
    /// itself ends after the overlap, or at its own end if that is sooner; it counts against no limit meanwhile and
    /// cannot be rotated again. Who may change it may rotate it.
    #[oai(
        path = "/api/organizations/:organizationId/api-keys/:id/rotate",
        method = "post",
        operation_id = "rotateApiKey"
    )]
    async fn rotate(
        &self,
        auth: Auth,
        /// The organization's id.
        #[oai(name = "organizationId")]
        org: Path<String>,
        /// The key's id.
        id: Path<String>,
        body: Body<RotateRequest>,
    ) -> Result<SecretResponse, ChangeFail> {
        let (org, id, overlap) = (OrgId::parse(&org), ApiKeyId::parse(&id), body.0.parse()?);
        let (key, secret) = act(&self.0, move |app| api_key::rotate(app, &auth.0, org, id, overlap)).await?;
        let result = made(&key, secret.expose_secret());
        let answer = ApiKeyAnswer::new(201, "API key rotated successfully", result);
        Ok(SecretResponse::Made(Json(answer), "no-store".to_owned()))
    }
}

impl ApiKeyApi {
    async fn listed(
        &self,
        caller: Caller,
        place: Place,
        skip: Option<u32>,
        take: Option<u32>,
    ) -> Result<ListResponse, Error> {
        let (skip, take) = paging::page(skip, take);
        let found = act(&self.0, move |app| api_key::list(app, &caller, place, skip, take)).await?;
        let total = found.total;
        let answer = ApiKeyListAnswer::new(200, "API keys retrieved successfully", page(found));
        Ok(ListResponse::Found(Json(answer), total))
    }

    async fn changed(&self, caller: Caller, place: Place, body: ChangeRequest) -> Result<Json<ApiKeyAnswer>, Error> {
        let change = body.parse()?;
        let key = act(&self.0, move |app| api_key::update(app, &caller, place, change)).await?;
        Ok(Json(ApiKeyAnswer::new(200, "API key updated successfully", made(&key, &key.mask))))
    }
}
