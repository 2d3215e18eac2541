//! How are projects and their members asked for over HTTP?

mod wire;

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, OpenApi};

use self::wire::{
    MemberAnswer, MemberRequest, ProjectAnswer, ProjectListAnswer, ProjectRequest, member, project, whole,
};
use super::Group;
use super::http::auth::{Auth, AuthOrKey};
use super::http::body::Body;
use super::http::bridge::act;
use super::http::envelope::DeletedAnswer;
use super::http::error::{ApiError, status};
use crate::actions::project as action;
use crate::domain::id::{OrgId, ProjectId, UserId};
use crate::engine::app::App;

/// The operations on projects.
pub struct ProjectApi(pub Arc<App>);

#[derive(ApiResponse)]
enum CreateResponse {
    /// The new project.
    #[oai(status = 201)]
    Made(Json<ProjectAnswer>),
}

type ListFail = ApiError<{ status::WRAPPED | status::FORBIDDEN }>;
type CreateFail = ApiError<{ status::WRAPPED | status::FORBIDDEN | status::BAD_REQUEST | status::BAD_BODY }>;
type OneFail = ApiError<{ status::WRAPPED | status::FORBIDDEN | status::NOT_FOUND }>;
type ChangeFail =
    ApiError<{ status::WRAPPED | status::FORBIDDEN | status::NOT_FOUND | status::BAD_REQUEST | status::BAD_BODY }>;

#[OpenApi(tag = "Group::Projects")]
impl ProjectApi {
    /// List projects
    ///
    /// The projects of the organization, newest first: all of them for ADMINISTRATOR, for others those that they are a
    /// member of.
    #[oai(path = "/api/organizations/:organizationId/projects", method = "get", operation_id = "listProjects")]
    async fn list(
        &self,
        auth: Auth,
        /// The organization's id.
        #[oai(name = "organizationId")]
        org: Path<String>,
    ) -> Result<Json<ProjectListAnswer>, ListFail> {
        let org = OrgId::parse(&org);
        let projects = act(&self.0, move |app| action::list(app, &auth.0, org)).await?;
        let result = projects.into_iter().map(project).collect();
        Ok(Json(ProjectListAnswer::new(200, "Projects retrieved successfully", result)))
    }

    /// Create a project
    ///
    /// Its maker becomes its owner. An organization has at most 1000 projects. Needs WORKSPACES.
    #[oai(path = "/api/organizations/:organizationId/projects", method = "post", operation_id = "createProject")]
    async fn create(
        &self,
        auth: Auth,
        /// The organization's id.
        #[oai(name = "organizationId")]
        org: Path<String>,
        body: Body<ProjectRequest>,
    ) -> Result<CreateResponse, CreateFail> {
        let (org, name) = (OrgId::parse(&org), body.0.parse()?);
        let made = act(&self.0, move |app| action::create(app, &auth.0, org, name)).await?;
        Ok(CreateResponse::Made(Json(ProjectAnswer::new(201, "Project created successfully", whole(made)))))
    }

    /// Get a project
    ///
    /// With its members, deleted people left out. Its members may, ADMINISTRATOR, and API keys that are for the project.
    #[oai(path = "/api/projects/:projectId", method = "get", operation_id = "getProject")]
    async fn read(
        &self,
        auth: AuthOrKey,
        /// The project's id.
        #[oai(name = "projectId")]
        id: Path<String>,
    ) -> Result<Json<ProjectAnswer>, OneFail> {
        let id = ProjectId::parse(&id);
        let found = act(&self.0, move |app| action::read(app, &auth.0, id)).await?;
        Ok(Json(ProjectAnswer::new(200, "Project retrieved successfully", whole(found))))
    }

    /// Rename a project
    ///
    /// Its owners may, and ADMINISTRATOR.
    #[oai(path = "/api/projects/:projectId", method = "put", operation_id = "updateProject")]
    async fn rename(
        &self,
        auth: Auth,
        /// The project's id.
        #[oai(name = "projectId")]
        id: Path<String>,
        body: Body<ProjectRequest>,
    ) -> Result<Json<ProjectAnswer>, ChangeFail> {
        let (id, name) = (ProjectId::parse(&id), body.0.parse()?);
        let changed = act(&self.0, move |app| action::rename(app, &auth.0, id, name)).await?;
        Ok(Json(ProjectAnswer::new(200, "Project updated successfully", whole(changed))))
    }

    /// Delete a project
    ///
    /// API keys that are for this project alone are deleted with it; others lose it. Its owners may, unless one of these
    /// keys has a role above their own, and ADMINISTRATOR.
    #[oai(path = "/api/projects/:projectId", method = "delete", operation_id = "deleteProject")]
    async fn delete(
        &self,
        auth: Auth,
        /// The project's id.
        #[oai(name = "projectId")]
        id: Path<String>,
    ) -> Result<Json<DeletedAnswer>, OneFail> {
        let id = ProjectId::parse(&id);
        act(&self.0, move |app| action::delete(app, &auth.0, id)).await?;
        Ok(Json(DeletedAnswer::because("Project deleted successfully")))
    }

    /// Add or change a member of a project
    ///
    /// An OWNER changes the project, its members, and the API keys that are for the owner's projects alone; an EDITOR
    /// sees the project. The project's owners may, and ADMINISTRATOR.
    #[oai(path = "/api/projects/:projectId/members/:userId", method = "put", operation_id = "putProjectMember")]
    async fn put_member(
        &self,
        auth: Auth,
        /// The project's id.
        #[oai(name = "projectId")]
        id: Path<String>,
        /// The id of a person of the same organization.
        #[oai(name = "userId")]
        user: Path<String>,
        body: Body<MemberRequest>,
    ) -> Result<Json<MemberAnswer>, ChangeFail> {
        let (id, user, role) = (ProjectId::parse(&id), UserId::parse(&user), body.0.role());
        let put = act(&self.0, move |app| action::put_member(app, &auth.0, id, user, role)).await?;
        Ok(Json(MemberAnswer::new(200, "Project member saved successfully", member(&put))))
    }

    /// Remove a member of a project
    ///
    /// The project's owners may, and ADMINISTRATOR. A project may be left without members: ADMINISTRATOR still manages it.
    #[oai(path = "/api/projects/:projectId/members/:userId", method = "delete", operation_id = "removeProjectMember")]
    async fn remove_member(
        &self,
        auth: Auth,
        /// The project's id.
        #[oai(name = "projectId")]
        id: Path<String>,
        /// The person's id.
        #[oai(name = "userId")]
        user: Path<String>,
    ) -> Result<Json<DeletedAnswer>, OneFail> {
        let (id, user) = (ProjectId::parse(&id), UserId::parse(&user));
        act(&self.0, move |app| action::remove_member(app, &auth.0, id, user)).await?;
        Ok(Json(DeletedAnswer::because("Project member removed successfully")))
    }
}
