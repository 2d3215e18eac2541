//! Projects: parts of an organization with their own members, to which API keys can be limited.

use super::id::{OrgId, ProjectId, UserId};
use super::text::{self, InvalidField};
use super::time::Time;

/// The maximum number of projects per organization.
pub const MOST_PER_ORG: u32 = 1_000;

/// A project.
#[derive(Clone, Debug)]
pub struct Project {
    /// The project's id.
    pub id: ProjectId,
    /// The organization that the project belongs to.
    pub org: OrgId,
    /// The name of the project.
    pub name: String,
    /// When the project was created.
    pub created_at: Time,
}

/// What a member may do in a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberRole {
    /// May change the project, its members, and the API keys that are limited to projects of this owner.
    Owner,
    /// May read the project.
    Editor,
}

/// A member of a project.
#[derive(Clone, Debug)]
pub struct Member {
    /// The user.
    pub user: UserId,
    /// The role in the project.
    pub role: MemberRole,
}

impl MemberRole {
    /// The role's name, in capitals.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "OWNER",
            Self::Editor => "EDITOR",
        }
    }

    /// Parses a role's name in any letter case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Owner, Self::Editor].into_iter().find(|role| role.name().eq_ignore_ascii_case(text))
    }
}

/// Parses the name of a project: 1 to 100 characters.
pub fn parse_name(value: &str) -> Result<String, InvalidField> {
    text::parse("name", value, 1..=100)
}
