//! What is sent and said of projects?

use poem_openapi::{Enum, Object};
use serde::de::Unexpected;
use serde::{Deserialize, Deserializer, de};

use crate::actions::project::Whole;
use crate::api::http::envelope::wrapped;
use crate::api::http::timestamp::Timestamp;
use crate::domain::project::{self, Member, MemberRole, Project};
use crate::domain::text::InvalidField;

/// What a project is to be called.
#[derive(Object, Deserialize)]
pub(super) struct ProjectRequest {
    /// Its name: 1 to 100 characters.
    #[oai(validator(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    name: String,
}

/// What somebody is to be in a project.
#[derive(Object, Deserialize)]
#[oai(rename = "ProjectMemberRequest")]
pub(super) struct MemberRequest {
    /// OWNER or EDITOR, in any letter case.
    role: MemberRoleName,
}

/// A project.
#[derive(Object)]
#[oai(rename = "Project", rename_all = "camelCase")]
pub(super) struct ProjectItem {
    /// The project's id.
    public_id: String,
    /// Its name.
    name: String,
    /// The organization's id.
    organization_id: String,
    /// When it was made.
    created_at: Timestamp,
}

/// A project with its members.
#[derive(Object)]
#[oai(rename = "ProjectWithMembers", rename_all = "camelCase")]
pub(super) struct ProjectWhole {
    /// The project's id.
    public_id: String,
    /// Its name.
    name: String,
    /// The organization's id.
    organization_id: String,
    /// When it was made.
    created_at: Timestamp,
    /// Who belongs to it.
    members: Vec<MemberItem>,
}

/// A member of a project.
#[derive(Object)]
#[oai(rename = "ProjectMember", rename_all = "camelCase")]
pub(super) struct MemberItem {
    /// The person's id.
    user_id: String,
    /// What they are in the project.
    role: MemberRoleName,
}

/// What a member may do in a project.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "ProjectRole", rename_all = "UPPERCASE")]
enum MemberRoleName {
    /// Changes the project, its members and the API keys that are for the owner's projects alone.
    Owner,
    /// Sees the project.
    Editor,
}

wrapped!(
    /// The projects, newest first.
    ProjectListAnswer,
    Vec<ProjectItem>
);
wrapped!(
    /// The project, as it is now.
    ProjectAnswer,
    ProjectWhole
);
wrapped!(
    /// The member, as it is now.
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

/// In any letter case, which the document does not say: it would be an enumeration no more.
impl<'de> Deserialize<'de> for MemberRoleName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let known = MemberRole::parse(&text).map(Self::from);
        known.ok_or_else(|| de::Error::invalid_value(Unexpected::Other("another text"), &"OWNER or EDITOR"))
    }
}
