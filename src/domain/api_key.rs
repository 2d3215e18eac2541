//! What is an API key? A secret by which a service calls, good for a time, a role and perhaps some projects.

use super::id::{ApiKeyId, OrgId, ProjectId};
use super::role::Role;
use super::time::Time;

/// An API key, without the secret.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// What decides what it opens.
    pub standing: Standing,
    /// What people call it.
    pub name: String,
    /// What people should know of it; up to 250 characters.
    pub note: String,
    /// What is shown of the secret.
    pub mask: String,
    /// When it was made.
    pub created_at: Time,
    /// When it got a successor, if it did.
    pub rotated_at: Option<Time>,
    /// When it was last used, up to a minute late.
    pub last_used: Option<Time>,
    /// From where.
    pub last_address: Option<String>,
}

/// All of an API key that decides what it opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its id.
    pub id: ApiKeyId,
    /// Its organization.
    pub org: OrgId,
    /// What it may do; never OWNER.
    pub role: Role,
    /// It is valid from this moment on.
    pub start: Time,
    /// It is valid before this moment; for ever, if `None`.
    pub expire: Option<Time>,
    /// Whether it was switched off.
    pub disabled: bool,
    /// The projects that it is for; none: the whole organization.
    pub projects: Box<[ProjectId]>,
}

/// What a verification finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The key opens what was asked for.
    Valid,
    /// There is no such key in the organization.
    NotFound,
    /// It starts later.
    NotYetValid,
    /// It has ended.
    Expired,
    /// It was switched off.
    Disabled,
    /// It is not for the project that was asked for.
    WrongProject,
    /// Its role is below the one that was asked for.
    InsufficientRole,
}

impl Verdict {
    /// The stable word for it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Valid => "VALID",
            Self::NotFound => "NOT_FOUND",
            Self::NotYetValid => "NOT_YET_VALID",
            Self::Expired => "EXPIRED",
            Self::Disabled => "DISABLED",
            Self::WrongProject => "WRONG_PROJECT",
            Self::InsufficientRole => "INSUFFICIENT_ROLE",
        }
    }
}

impl Standing {
    /// Whether the key is good for anything at `now`.
    #[must_use]
    pub fn at(&self, now: Time) -> Verdict {
        if now < self.start {
            Verdict::NotYetValid
        } else if self.expire.is_some_and(|end| end <= now) {
            Verdict::Expired
        } else if self.disabled {
            Verdict::Disabled
        } else {
            Verdict::Valid
        }
    }

    /// Whether the key opens a project of its organization.
    #[must_use]
    pub fn opens(&self, project: ProjectId) -> bool {
        self.projects.is_empty() || self.projects.contains(&project)
    }
}
