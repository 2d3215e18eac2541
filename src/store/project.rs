//! Projects and their members.

use rusqlite::{Row, params};

use super::touched::Touched;
use super::{ReadTx, StoreError, WriteTx, api_key};
use crate::domain::id::{ApiKeyId, OrgId, ProjectId, UserId};
use crate::domain::project::{Member, MemberRole, Project};
use crate::domain::time::Time;

/// Inserts a project; `false` if the organization has `most` already.
pub fn insert(tx: &WriteTx<'_>, project: &Project, most: u32) -> Result<bool, StoreError> {
    tx.touches.add(Touched::Project(project.id));
    let added = tx.execute(
        "INSERT INTO project (id, org, name, created_at)
         SELECT ?1, ?2, ?3, ?4 WHERE (SELECT count(*) FROM project WHERE org = ?2) < ?5",
        params![project.id.as_bytes(), project.org.as_bytes(), project.name, project.created_at.millis(), most],
    )?;
    Ok(added == 1)
}

/// Renames a project.
pub fn rename(tx: &WriteTx<'_>, id: ProjectId, name: &str) -> Result<(), StoreError> {
    tx.execute("UPDATE project SET name = ?2 WHERE id = ?1", params![id.as_bytes(), name]).map(drop)
}

/// Deletes a project and the API keys that are limited to it alone. Returns the ids of these keys.
pub fn delete(tx: &WriteTx<'_>, id: ProjectId) -> Result<Vec<ApiKeyId>, StoreError> {
    tx.touches.add(Touched::Project(id));
    let keys = api_key::leave_all(tx, id)?;
    tx.execute("DELETE FROM project WHERE id = ?1", [id.as_bytes()])?;
    Ok(keys)
}

/// Returns the projects of an organization, or those of them that `member` belongs to, newest first.
pub fn list(tx: &ReadTx<'_>, org: OrgId, member: Option<UserId>) -> Result<Vec<Project>, StoreError> {
    tx.rows(
        "SELECT id, org, name, created_at FROM project WHERE org = ?1 AND (id IN (
            SELECT project FROM project_member WHERE person = ?2) OR ?2 IS NULL) ORDER BY id DESC",
        params![org.as_bytes(), member.as_ref().map(UserId::as_bytes)],
        project,
    )
}

/// Returns the members of a project, newest user first, without deleted users.
pub fn members(tx: &ReadTx<'_>, id: ProjectId) -> Result<Vec<Member>, StoreError> {
    tx.rows(
        "SELECT person, project_member.role FROM project_member JOIN person ON person.id = project_member.person
         WHERE project = ?1 AND deleted_at IS NULL ORDER BY person DESC",
        [id.as_bytes()],
        |row| Ok(Member { user: UserId::from_bytes(row.get(0)?), role: role(row, 1)? }),
    )
}

/// Adds a member to a project, or changes a member's role.
pub fn put_member(tx: &WriteTx<'_>, id: ProjectId, member: &Member) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO project_member (project, person, role) VALUES (?1, ?2, ?3)
         ON CONFLICT (project, person) DO UPDATE SET role = excluded.role",
        params![id.as_bytes(), member.user.as_bytes(), member.role.name()],
    )
    .map(drop)
}

/// Removes a member; `false` if there is no such member.
pub fn remove_member(tx: &WriteTx<'_>, id: ProjectId, user: UserId) -> Result<bool, StoreError> {
    let sql = "DELETE FROM project_member WHERE project = ?1 AND person = ?2";
    Ok(tx.execute(sql, [id.as_bytes(), user.as_bytes()])? == 1)
}

/// Returns the project with this id.
pub fn find(tx: &ReadTx<'_>, id: ProjectId) -> Result<Option<Project>, StoreError> {
    tx.row("SELECT id, org, name, created_at FROM project WHERE id = ?1", [id.as_bytes()], project)
}

/// Returns the role of a user in a project.
pub fn member_role(tx: &ReadTx<'_>, project: ProjectId, user: UserId) -> Result<Option<MemberRole>, StoreError> {
    let sql = "SELECT role FROM project_member WHERE project = ?1 AND person = ?2";
    tx.row(sql, [project.as_bytes(), user.as_bytes()], |row| role(row, 0))
}

/// Returns every project of the server, with its organization.
pub(super) fn orgs(tx: &ReadTx<'_>) -> Result<Vec<(ProjectId, OrgId)>, StoreError> {
    tx.rows("SELECT id, org FROM project", [], |row| {
        Ok((ProjectId::from_bytes(row.get(0)?), OrgId::from_bytes(row.get(1)?)))
    })
}

fn project(row: &Row<'_>) -> rusqlite::Result<Project> {
    Ok(Project {
        id: ProjectId::from_bytes(row.get(0)?),
        org: OrgId::from_bytes(row.get(1)?),
        name: row.get(2)?,
        created_at: Time::from_millis(row.get(3)?),
    })
}

/// Reads a role from a column; the schema permits no invalid one.
fn role(row: &Row<'_>, column: usize) -> rusqlite::Result<MemberRole> {
    MemberRole::parse(&row.get::<_, String>(column)?).ok_or(rusqlite::Error::InvalidQuery)
}
