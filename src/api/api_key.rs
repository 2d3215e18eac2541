//! Operations on API keys, except their verification.

mod wire;

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::{ApiResponse, OpenApi};
use secrecy::ExposeSecret;

use self::wire::{ApiKeyAnswer, ApiKeyChangeRequest, ApiKeyListAnswer, ApiKeyRotateRequest, CreateRequest, made, page};
use super::Group;
use super::http::auth::Auth;
use super::http::body::Body;
use super::http::bridge::act;
use super::http::envelope::DeletedAnswer;
use super::http::error::{ApiError, status};
use super::http::json::Json;
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
    /// The new key with its secret.
    #[oai(status = 201)]
    Made(
        Json<ApiKeyAnswer>,
        /// Always `no-store`: the response contains the secret.
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
        /// Total number of keys that the caller can see.
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
    /// Returns the keys without their secrets, newest first. ADMINISTRATOR and OWNER see all keys. A project owner sees
    /// only the keys whose projects are all their own. Everybody else sees none. Recorded in the audit log as
    /// `api_key.list`.
    ///
    /// Responses:
    /// - 200: A page of keys. `X-Total-Count` is the total number that you can see.
    /// - 400: `skip` or `take` is out of range.
    /// - 403: You do not belong to this organization, or the credential is an API key. An organization that does not
    ///   exist gets the same response.
    #[oai(path = "/api/organizations/:organizationId/api-keys", method = "get", operation_id = "listApiKeys")]
    async fn list(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "organizationId")]
        org: Path<String>,
        /// Number of keys to skip. Default 0.
        skip: Query<Option<u32>>,
        /// Maximum number of keys to return: 1 to 1,000. Default 1,000.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
        take: Query<Option<u32>>,
    ) -> Result<ListResponse, ListFail> {
        Ok(self.listed(auth.0, Place::Org(OrgId::parse(&org)), skip.0, take.0).await?)
    }

    /// List the API keys of a project
    ///
    /// Returns the keys that are restricted to this project, and possibly to others as well, newest first. Only keys
    /// that `listApiKeys` shows you are included. Allowed for the project's members, ADMINISTRATOR and OWNER. Recorded
    /// in the audit log as `api_key.list`.
    ///
    /// Responses:
    /// - 200: A page of keys. `X-Total-Count` is the total number that you can see.
    /// - 400: `skip` or `take` is out of range.
    /// - 403: You are neither a member of the project nor an administrator, or the credential is an API key.
    /// - 404: Your organization has no project with this id (`PROJECT_NOT_FOUND`).
    #[oai(path = "/api/projects/:projectId/api-keys", method = "get", operation_id = "listProjectApiKeys")]
    async fn list_of_project(
        &self,
        auth: Auth,
        /// Id of the project.
        #[oai(name = "projectId")]
        project: Path<String>,
        /// Number of keys to skip. Default 0.
        skip: Query<Option<u32>>,
        /// Maximum number of keys to return: 1 to 1,000. Default 1,000.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
        take: Query<Option<u32>>,
    ) -> Result<ListResponse, ListOfFail> {
        Ok(self.listed(auth.0, Place::Project(ProjectId::parse(&project)), skip.0, take.0).await?)
    }

    /// Create an API key
    ///
    /// The response contains the secret. It cannot be retrieved again, because only its digest is stored. A key without
    /// projects is valid for the whole organization. At most 50 keys can be restricted to the same project, and an
    /// organization can have at most `api_keys_max` keys (a server setting, 1,000 by default). Expired and rotated keys
    /// do not count. Requires ADMINISTRATOR or OWNER. Recorded in the audit log as `api_key.create`.
    ///
    /// Responses:
    /// - 201: The key was created. The result contains its secret.
    /// - 400: A field is invalid, a project does not exist, the expiry is not in the future or not after the start, or a
    ///   limit is reached (`API_KEY_LIMIT_REACHED`).
    /// - 403: Your role is below ADMINISTRATOR, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    #[oai(path = "/api/organizations/:organizationId/api-keys", method = "post", operation_id = "createApiKey")]
    async fn create(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "organizationId")]
        org: Path<String>,
        body: Body<CreateRequest>,
    ) -> Result<SecretResponse, CreateFail> {
        let (org, request) = (OrgId::parse(&org), body.0.parse()?);
        let (key, secret) = api_key::create(&self.0, &auth.0, org, request).await?;
        let result = made(&key, secret.expose_secret());
        let answer = ApiKeyAnswer::new(201, "API key created successfully", result);
        Ok(SecretResponse::Made(Json(answer), "no-store".to_owned()))
    }

    /// Change an API key
    ///
    /// The body identifies the key and contains all of its settings. Only `listProjectsId`, `disabled` and `note` may
    /// be left out; they then stay as they are. An empty `listProjectsId` makes the key valid for the whole
    /// organization. Allowed for ADMINISTRATOR and OWNER. A user who owns all of the key's projects may also change the
    /// key, but not its role, and may restrict it only to their own projects. Recorded in the audit log as
    /// `api_key.update`.
    ///
    /// Responses:
    /// - 200: The key after the change, with its secret masked.
    /// - 400: A field is invalid, a project does not exist, the expiry is not in the future or not after the start, or a
    ///   limit is reached (`API_KEY_LIMIT_REACHED`).
    /// - 403: The key's current or new role is above your own; you may not change the role or assign one of the
    ///   projects; you do not belong to this organization; or the credential is an API key.
    /// - 404: The organization has no key with this id, or none that you can see (`API_KEY_NOT_FOUND`).
    /// - 409: The key was rotated, so its dates can no longer be changed (`API_KEY_ALREADY_ROTATED`).
    #[oai(path = "/api/organizations/:organizationId/api-keys", method = "put", operation_id = "updateApiKey")]
    async fn update(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "organizationId")]
        org: Path<String>,
        body: Body<ApiKeyChangeRequest>,
    ) -> Result<Json<ApiKeyAnswer>, ChangeFail> {
        Ok(self.changed(auth.0, Place::Org(OrgId::parse(&org)), body.0).await?)
    }

    /// Change an API key of a project
    ///
    /// Like `updateApiKey`, for a key that is restricted to this project and possibly to others as well. Allowed for
    /// ADMINISTRATOR and OWNER, and for those of the project's owners who may change the key. Recorded in the audit log
    /// as `api_key.update`.
    ///
    /// Responses:
    /// - 200: The key after the change, with its secret masked.
    /// - 400: A field is invalid, a project does not exist, the expiry is not in the future or not after the start, or a
    ///   limit is reached (`API_KEY_LIMIT_REACHED`).
    /// - 403: You are neither an owner of the project nor an administrator; the key's current or new role is above your
    ///   own; you may not change the role or assign one of the projects; or the credential is an API key.
    /// - 404: Your organization has no project with this id (`PROJECT_NOT_FOUND`), or the project has no key with this
    ///   id, or none that you can see (`API_KEY_NOT_FOUND`).
    /// - 409: The key was rotated, so its dates can no longer be changed (`API_KEY_ALREADY_ROTATED`).
    #[oai(path = "/api/projects/:projectId/api-keys", method = "put", operation_id = "updateProjectApiKey")]
    async fn update_of_project(
        &self,
        auth: Auth,
        /// Id of the project.
        #[oai(name = "projectId")]
        project: Path<String>,
        body: Body<ApiKeyChangeRequest>,
    ) -> Result<Json<ApiKeyAnswer>, ChangeFail> {
        Ok(self.changed(auth.0, Place::Project(ProjectId::parse(&project)), body.0).await?)
    }

    /// Delete an API key
    ///
    /// The key is refused as soon as the response is sent. Allowed for everybody who may change the key. Recorded in
    /// the audit log as `api_key.delete`.
    ///
    /// Responses:
    /// - 200: The key was deleted.
    /// - 403: The key's role is above your own, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    /// - 404: The organization has no key with this id, or none that you can see (`API_KEY_NOT_FOUND`).
    #[oai(path = "/api/organizations/:organizationId/api-keys/:id", method = "delete", operation_id = "deleteApiKey")]
    async fn delete(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "organizationId")]
        org: Path<String>,
        /// Id of the key.
        id: Path<String>,
    ) -> Result<Json<DeletedAnswer>, DeleteFail> {
        let (org, id) = (OrgId::parse(&org), ApiKeyId::parse(&id));
        api_key::delete(&self.0, &auth.0, org, id).await?;
        Ok(Json(DeletedAnswer::because("API key deleted successfully")))
    }

    /// Rotate an API key
    ///
    /// Creates a successor with the same name, note, role, projects and expiry, and returns its secret, which cannot be
    /// retrieved again. The old key expires after the overlap, or at its own expiry if that is earlier. Until then, it
    /// does not count against any limit and cannot be rotated again. Allowed for everybody who may change the key.
    /// Recorded in the audit log as `api_key.rotate` and `api_key.create`.
    ///
    /// Responses:
    /// - 201: The successor was created. The result contains its secret.
    /// - 400: The overlap is out of range, the key is disabled, expired or not yet valid, or too many rotated keys are
    ///   still in their overlap (`API_KEY_LIMIT_REACHED`).
    /// - 403: The key's role is above your own, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    /// - 404: The organization has no key with this id, or none that you can see (`API_KEY_NOT_FOUND`).
    /// - 409: The key was already rotated (`API_KEY_ALREADY_ROTATED`). Rotate its successor.
    #[oai(
        path = "/api/organizations/:organizationId/api-keys/:id/rotate",
        method = "post",
        operation_id = "rotateApiKey"
    )]
    async fn rotate(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "organizationId")]
        org: Path<String>,
        /// Id of the key.
        id: Path<String>,
        body: Body<ApiKeyRotateRequest>,
    ) -> Result<SecretResponse, ChangeFail> {
        let (org, id, overlap) = (OrgId::parse(&org), ApiKeyId::parse(&id), body.0.parse()?);
        let (key, secret) = api_key::rotate(&self.0, &auth.0, org, id, overlap).await?;
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

    async fn changed(
        &self,
        caller: Caller,
        place: Place,
        body: ApiKeyChangeRequest,
    ) -> Result<Json<ApiKeyAnswer>, Error> {
        let change = body.parse()?;
        let key = api_key::update(&self.0, &caller, place, change).await?;
        Ok(Json(ApiKeyAnswer::new(200, "API key updated successfully", made(&key, &key.mask))))
    }
}
