//! What is remembered of a project?

use rusqlite::Row;

use super::{ReadTx, StoreError};
use crate::domain::id::{OrgId, ProjectId, UserId};
use crate::domain::project::{MemberRole, Project};
use crate::domain::time::Time;

/// The project with this id.
pub fn find(tx: &ReadTx<'_>, id: ProjectId) -> Result<Option<Project>, StoreError> {
    tx.row("SELECT id, org, name, created_at FROM project WHERE id = ?1", [id.as_bytes()], project)
}

/// What a person is in a project.
pub fn member_role(tx: &ReadTx<'_>, project: ProjectId, user: UserId) -> Result<Option<MemberRole>, StoreError> {
    let sql = "SELECT role FROM project_member WHERE project = ?1 AND user = ?2";
    let role: Option<String> = tx.row(sql, [project.as_bytes(), user.as_bytes()], |row| row.get(0))?;
    Ok(role.and_then(|role| MemberRole::parse(&role)))
}

/// Every project of the server, with its organization.
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
