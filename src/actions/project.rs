//! Creates, lists, renames and deletes projects, and manages their members.

use crate::domain::event::Event;
use crate::domain::id::{OrgId, ProjectId, UserId};
use crate::domain::project::{MOST_PER_ORG, Member, MemberRole, Project};
use crate::domain::role::Role;
use crate::engine::access::{self, Grant};
use crate::engine::app::App;
use crate::engine::caller::Caller;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::pending::Pending;
use crate::engine::rule::Rule;
use crate::store::{self, ReadTx};

/// A project with its members, newest person first.
#[derive(Clone, Debug)]
pub struct Whole {
    /// The project.
    pub project: Project,
    /// Its members.
    pub members: Vec<Member>,
}

/// Returns the projects of an organization, newest first: all of them for administrators, their own for others.
pub fn list(app: &App, caller: &Caller, org: Option<OrgId>) -> Pending<Vec<Project>> {
    app.read(caller, &Rule::SeesProjects(org), |tx, grant| {
        let projects = store::project::list(tx, grant.org, own_only(grant)?)?;
        let event = Event::ProjectsListed { org: grant.org, count: projects.len() };
        Ok((projects, event))
    })
}

/// Creates a project. The caller becomes its owner, unless the caller is the server's administrator, who is no user.
pub fn create(app: &App, caller: &Caller, org: Option<OrgId>, name: String) -> Pending<Whole> {
    let env = app.env.clone();
    app.record(caller, Rule::AddsProjects(org), move |tx, grant| {
        let project = Project { id: env.id(), org: grant.org, name, created_at: grant.at };
        if !store::project::insert(tx, &project, MOST_PER_ORG)? {
            return Err(limit_reached());
        }
        if let Some(user) = grant.user {
            store::project::put_member(tx, project.id, &Member { user, role: MemberRole::Owner })?;
        }
        let event = Event::ProjectCreated { project: project.id };
        Ok((whole(tx, project.id)?, event))
    })
}

/// Returns a project with its members.
pub fn read(app: &App, caller: &Caller, project: Option<ProjectId>) -> Pending<Whole> {
    app.read(caller, &Rule::SeesProject(project), |tx, _| {
        let whole = whole(tx, project.ok_or_else(access::no_such_project)?)?;
        let event = Event::ProjectRead { project: whole.project.id };
        Ok((whole, event))
    })
}

/// Renames a project.
pub fn rename(app: &App, caller: &Caller, project: Option<ProjectId>, name: String) -> Pending<Whole> {
    app.record(caller, Rule::ManagesProject(project), move |tx, _| {
        let project = project.ok_or_else(access::no_such_project)?;
        store::project::rename(tx, project, &name)?;
        Ok((whole(tx, project)?, Event::ProjectUpdated { project }))
    })
}

/// Deletes a project, and with it the API keys that are for it alone: without a project they would be for the whole
/// organization. A caller cannot delete a project with an API key whose role is above their own.
pub fn delete(app: &App, caller: &Caller, project: Option<ProjectId>) -> Pending<()> {
    app.revoke(caller, Rule::ManagesProject(project), move |tx, grant| {
        let project = project.ok_or_else(access::no_such_project)?;
        if let Some(role) = store::api_key::highest_role(tx, project, grant.at)? {
            access::reaches(grant, role)?;
        }
        let api_keys = store::project::delete(tx, project)?;
        Ok(((), Event::ProjectDeleted { project, api_keys }))
    })
}

/// Adds a user of the organization as a member, or changes their member role.
pub fn put_member(
    app: &App,
    caller: &Caller,
    project: Option<ProjectId>,
    user: Option<UserId>,
    role: MemberRole,
) -> Pending<Member> {
    app.record(caller, Rule::ManagesProject(project), move |tx, grant| {
        let (project, user) = (project.ok_or_else(access::no_such_project)?, user.ok_or_else(no_such_user)?);
        let person = store::user::find(tx, user)?.filter(|user| user.org == grant.org && user.deleted_at.is_none());
        person.ok_or_else(no_such_user)?;
        let new = store::project::member_role(tx, project, user)?.is_none();
        let member = Member { user, role };
        store::project::put_member(tx, project, &member)?;
        Ok((member, Event::MemberPut { project, user, role: role.name(), new }))
    })
}

/// Removes a member, even if the user is deleted.
pub fn remove_member(app: &App, caller: &Caller, project: Option<ProjectId>, user: Option<UserId>) -> Pending<()> {
    app.revoke(caller, Rule::ManagesProject(project), move |tx, _| {
        let (project, user) = (project.ok_or_else(access::no_such_project)?, user.ok_or_else(no_such_member)?);
        if !store::project::remove_member(tx, project, user)? {
            return Err(no_such_member());
        }
        Ok(((), Event::MemberRemoved { project, user }))
    })
}

/// Returns `None` if the caller may see every project of their organization, otherwise the user whose own projects they
/// may see.
pub(super) fn own_only(grant: &Grant) -> Result<Option<UserId>, Error> {
    if grant.role >= Role::Administrator {
        return Ok(None);
    }
    grant.user.map(Some).ok_or_else(|| Error::internal("a caller that is neither an administrator nor a user"))
}

fn whole(tx: &ReadTx<'_>, project: ProjectId) -> Result<Whole, Error> {
    let members = store::project::members(tx, project)?;
    let project = store::project::find(tx, project)?.ok_or_else(access::no_such_project)?;
    Ok(Whole { project, members })
}

fn limit_reached() -> Error {
    let message = format!(
        "Maximum number of projects ({MOST_PER_ORG}) has been reached. Please delete existing projects before creating new ones."
    );
    Error::new(ErrorKind::Invalid, "PROJECT_LIMIT_REACHED", message)
}

fn no_such_user() -> Error {
    Error::new(ErrorKind::Missing, "USER_NOT_FOUND", "User not found")
}

fn no_such_member() -> Error {
    Error::new(ErrorKind::Missing, "MEMBER_NOT_FOUND", "The user is not a member of the project")
}
