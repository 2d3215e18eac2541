//! Request and response bodies for projects.

use poem_openapi::{Enum, Object};
use serde::de::Unexpected;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::actions::project::Whole;
use crate::api::http::envelope::wrapped;
use crate::api::http::timestamp::Timestamp;
use crate::domain::project::{self, Member, MemberRole, Project};
use crate::domain::text::InvalidField;

/// The name of a project.
#[derive(Object, Deserialize)]
pub(super) struct ProjectRequest {
    /// Name of the project: 1 to 100 characters.
    #[oai(validator(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    name: String,
}

/// A user's role in a project.
#[derive(Object, Deserialize)]
#[oai(rename = "ProjectMemberRequest")]
pub(super) struct MemberRequest {
    /// OWNER or EDITOR, in any letter case.
    role: MemberRoleName,
}

/// A project.
#[derive(Object, Serialize)]
#[oai(rename = "Project", rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(super) struct ProjectItem {
    /// Id of the project.
    public_id: String,
    /// Name of the project.
    name: String,
    /// Id of the organization.
    organization_id: String,
    /// Time of creation.
    created_at: Timestamp,
}

/// A project with its members.
#[derive(Object, Serialize)]
#[oai(rename = "ProjectWithMembers", rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(super) struct ProjectWhole {
    /// Id of the project.
    public_id: String,
    /// Name of the project.
    name: String,
    /// Id of the organization.
    organization_id: String,
    /// Time of creation.
    created_at: Timestamp,
    /// The project's members, except deleted users.
    members: Vec<MemberItem>,
}

/// A member of a project.
#[derive(Object, Serialize)]
#[oai(rename = "ProjectMember", rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(super) struct MemberItem {
    /// Id of the user.
    user_id: String,
    /// The user's role in the project.
    role: MemberRoleName,
}

/// Role of a project member.
#[derive(Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[oai(rename = "ProjectRole", rename_all = "UPPERCASE")]
#[serde(rename_all = "UPPERCASE")]
enum MemberRoleName {
    /// Can change the project, its members, and the API keys whose projects are all their own.
    Owner,
    /// Can see the project.
    Editor,
}

wrapped!(
    /// The projects, newest first.
    ProjectListAnswer,
    Vec<ProjectItem>
);
wrapped!(
    /// A project after the operation.
    ProjectAnswer,
    ProjectWhole
);
wrapped!(
    /// A project member after the operation.
    MemberAnswer,
    MemberItem
);

impl ProjectRequest {
    pub(super) fn parse(self) -> Result<String, InvalidField> {
        project::parse_name(&self.name)
    }
}

impl MemberRequest {
    pub(super) const fn role(&self) -> MemberRole {
        match self.role {
            MemberRoleName::Owner => MemberRole::Owner,
            MemberRoleName::Editor => MemberRole::Editor,
        }
    }
}

pub(super) fn project(project: Project) -> ProjectItem {
    ProjectItem {
        public_id: project.id.to_string(),
        name: project.name,
        organization_id: project.org.to_string(),
        created_at: Timestamp(project.created_at),
    }
}

pub(super) fn whole(whole: Whole) -> ProjectWhole {
    let ProjectItem { public_id, name, organization_id, created_at } = project(whole.project);
    let members = whole.members.iter().map(member).collect();
    ProjectWhole { public_id, name, organization_id, created_at, members }
}

pub(super) fn member(member: &Member) -> MemberItem {
    MemberItem { user_id: member.user.to_string(), role: member.role.into() }
}

impl From<MemberRole> for MemberRoleName {
    fn from(role: MemberRole) -> Self {
        match role {
            MemberRole::Owner => Self::Owner,
            MemberRole::Editor => Self::Editor,
        }
    }
}

/// Accepts any letter case. The document lists the two values only, so that they stay an enumeration.
impl<'de> Deserialize<'de> for MemberRoleName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let known = MemberRole::parse(&text).map(Self::from);
        known.ok_or_else(|| de::Error::invalid_value(Unexpected::Other("another text"), &"OWNER or EDITOR"))
    }
}
