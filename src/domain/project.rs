//! What is a project? A part of an organization that has members of its own and that API keys can be for.

use super::id::{OrgId, ProjectId, UserId};
use super::text::{self, InvalidField};
use super::time::Time;

/// The most projects of an organization.
pub const MOST_PER_ORG: u32 = 1_000;

/// A project.
#[derive(Clone, Debug)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its organization.
    pub org: OrgId,
    /// What people call it.
    pub name: String,
    /// When it was made.
    pub created_at: Time,
}

/// What a member may do in a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberRole {
    /// Changes the project, its members and the API keys that are for the owner's projects alone.
    Owner,
    /// Sees the project.
    Editor,
}

/// A member of a project.
#[derive(Clone, Debug)]
pub struct Member {
    /// The person.
    pub user: UserId,
    /// As what.
    pub role: MemberRole,
}

impl MemberRole {
    /// Its name, in capitals.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "OWNER",
            Self::Editor => "EDITOR",
        }
    }

    /// The role with this name, in any letter case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Owner, Self::Editor].into_iter().find(|role| role.name().eq_ignore_ascii_case(text))
    }
}

/// Takes the name of a project: 1 to 100 characters.
pub fn parse_name(value: &str) -> Result<String, InvalidField> {
    text::parse("name", value, 1..=100)
}
