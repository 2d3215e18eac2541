//! Operations on projects and their members.

mod wire;

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::{ApiResponse, OpenApi};

use self::wire::{
    MemberAnswer, MemberRequest, ProjectAnswer, ProjectListAnswer, ProjectRequest, member, project, whole,
};
use super::Group;
use super::http::auth::{Auth, AuthOrKey};
use super::http::body::Body;
use super::http::envelope::DeletedAnswer;
use super::http::error::{ApiError, status};
use super::http::json::Json;
use crate::actions::project as action;
use crate::domain::id::{OrgId, ProjectId, UserId};
use crate::engine::app::App;

/// The operations on projects.
pub struct ProjectApi(pub Arc<App>);

#[derive(ApiResponse)]
enum NewProjectResponse {
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
    /// Returns the organization's projects, newest first. ADMINISTRATOR and OWNER see all projects; other roles see the
    /// projects that they are members of. Recorded in the audit log as `project.list`.
    ///
    /// Responses:
    /// - 200: The projects that you can see.
    /// - 403: You do not belong to this organization, or the credential is an API key. An organization that does not
    ///   exist gets the same response.
    #[oai(path = "/api/organizations/:organizationId/projects", method = "get", operation_id = "listProjects")]
    async fn list(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "organizationId")]
        org: Path<String>,
    ) -> Result<Json<ProjectListAnswer>, ListFail> {
        let org = OrgId::parse(&org);
        let projects = action::list(&self.0, &auth.0, org).await?;
        let result = projects.into_iter().map(project).collect();
        Ok(Json(ProjectListAnswer::new(200, "Projects retrieved successfully", result)))
    }

    /// Create a project
    ///
    /// You become the project's owner. An organization can have at most 1,000 projects. Requires WORKSPACES or higher.
    /// Recorded in the audit log as `project.create`.
    ///
    /// Responses:
    /// - 201: The project was created.
    /// - 400: The name is invalid, or the organization already has 1,000 projects (`PROJECT_LIMIT_REACHED`).
    /// - 403: Your role is below WORKSPACES, you do not belong to this organization, or the credential is an API key.
    ///   An organization that does not exist gets the same response.
    #[oai(path = "/api/organizations/:organizationId/projects", method = "post", operation_id = "createProject")]
    async fn create(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "organizationId")]
        org: Path<String>,
        body: Body<ProjectRequest>,
    ) -> Result<NewProjectResponse, CreateFail> {
        let (org, name) = (OrgId::parse(&org), body.0.parse()?);
        let made = action::create(&self.0, &auth.0, org, name).await?;
        Ok(NewProjectResponse::Made(Json(ProjectAnswer::new(201, "Project created successfully", whole(made)))))
    }

    /// Get a project
    ///
    /// Returns the project with its members. Deleted users are left out. Allowed for the project's members, for
    /// ADMINISTRATOR and OWNER, and for API keys that are restricted to the project. Recorded in the audit log as
    /// `project.read`.
    ///
    /// Responses:
    /// - 200: The project and its members.
    /// - 403: You are neither a member of the project nor an administrator, or the API key is not restricted to this
    ///   project (`API_KEY_NOT_ALLOWED`).
    /// - 404: Your organization has no project with this id (`PROJECT_NOT_FOUND`).
    #[oai(path = "/api/projects/:projectId", method = "get", operation_id = "getProject")]
    async fn read(
        &self,
        auth: AuthOrKey,
        /// Id of the project.
        #[oai(name = "projectId")]
        id: Path<String>,
    ) -> Result<Json<ProjectAnswer>, OneFail> {
        let id = ProjectId::parse(&id);
        let found = action::read(&self.0, &auth.0, id).await?;
        Ok(Json(ProjectAnswer::new(200, "Project retrieved successfully", whole(found))))
    }

    /// Rename a project
    ///
    /// Allowed for the project's owners, ADMINISTRATOR and OWNER. Recorded in the audit log as `project.update`.
    ///
    /// Responses:
    /// - 200: The project after the change.
    /// - 400: The name is invalid.
    /// - 403: You are neither an owner of the project nor an administrator, or the credential is an API key.
    /// - 404: Your organization has no project with this id (`PROJECT_NOT_FOUND`).
    #[oai(path = "/api/projects/:projectId", method = "put", operation_id = "updateProject")]
    async fn rename(
        &self,
        auth: Auth,
        /// Id of the project.
        #[oai(name = "projectId")]
        id: Path<String>,
        body: Body<ProjectRequest>,
    ) -> Result<Json<ProjectAnswer>, ChangeFail> {
        let (id, name) = (ProjectId::parse(&id), body.0.parse()?);
        let changed = action::rename(&self.0, &auth.0, id, name).await?;
        Ok(Json(ProjectAnswer::new(200, "Project updated successfully", whole(changed))))
    }

    /// Delete a project
    ///
    /// API keys that are restricted to this project alone are deleted with it. Keys that are also restricted to other
    /// projects lose only this one. Allowed for the project's owners, unless one of its API keys has a role above their
    /// own, and for ADMINISTRATOR and OWNER. Recorded in the audit log as `project.delete`, with the ids of the deleted
    /// keys.
    ///
    /// Responses:
    /// - 200: The project was deleted.
    /// - 403: You are neither an owner of the project nor an administrator, an API key of the project has a role above
    ///   your own, or the credential is an API key.
    /// - 404: Your organization has no project with this id (`PROJECT_NOT_FOUND`).
    #[oai(path = "/api/projects/:projectId", method = "delete", operation_id = "deleteProject")]
    async fn delete(
        &self,
        auth: Auth,
        /// Id of the project.
        #[oai(name = "projectId")]
        id: Path<String>,
    ) -> Result<Json<DeletedAnswer>, OneFail> {
        let id = ProjectId::parse(&id);
        action::delete(&self.0, &auth.0, id).await?;
        Ok(Json(DeletedAnswer::because("Project deleted successfully")))
    }

    /// Add a project member or change its role
    ///
    /// A project OWNER can change the project, its members, and the API keys whose projects are all their own. A
    /// project EDITOR can see the project. Allowed for the project's owners, ADMINISTRATOR and OWNER. Recorded in the
    /// audit log as `member.put`.
    ///
    /// Responses:
    /// - 200: The member after the change.
    /// - 400: The project role is neither OWNER nor EDITOR.
    /// - 403: You are neither an owner of the project nor an administrator, or the credential is an API key.
    /// - 404: Your organization has no project with this id (`PROJECT_NOT_FOUND`), or no active user with this id
    ///   (`USER_NOT_FOUND`).
    #[oai(path = "/api/projects/:projectId/members/:userId", method = "put", operation_id = "putProjectMember")]
    async fn put_member(
        &self,
        auth: Auth,
        /// Id of the project.
        #[oai(name = "projectId")]
        id: Path<String>,
        /// Id of a user of the same organization.
        #[oai(name = "userId")]
        user: Path<String>,
        body: Body<MemberRequest>,
    ) -> Result<Json<MemberAnswer>, ChangeFail> {
        let (id, user, role) = (ProjectId::parse(&id), UserId::parse(&user), body.0.role());
        let put = action::put_member(&self.0, &auth.0, id, user, role).await?;
        Ok(Json(MemberAnswer::new(200, "Project member saved successfully", member(&put))))
    }

    /// Remove a project member
    ///
    /// The last member can be removed, too: ADMINISTRATOR and OWNER can still manage the project. Allowed for the
    /// project's owners, ADMINISTRATOR and OWNER. Recorded in the audit log as `member.remove`.
    ///
    /// Responses:
    /// - 200: The user is no longer a member of the project.
    /// - 403: You are neither an owner of the project nor an administrator, or the credential is an API key.
    /// - 404: Your organization has no project with this id (`PROJECT_NOT_FOUND`), or the project has no such member
    ///   (`MEMBER_NOT_FOUND`).
    #[oai(path = "/api/projects/:projectId/members/:userId", method = "delete", operation_id = "removeProjectMember")]
    async fn remove_member(
        &self,
        auth: Auth,
        /// Id of the project.
        #[oai(name = "projectId")]
        id: Path<String>,
        /// Id of the user.
        #[oai(name = "userId")]
        user: Path<String>,
    ) -> Result<Json<DeletedAnswer>, OneFail> {
        let (id, user) = (ProjectId::parse(&id), UserId::parse(&user));
        action::remove_member(&self.0, &auth.0, id, user).await?;
        Ok(Json(DeletedAnswer::because("Project member removed successfully")))
    }
}
