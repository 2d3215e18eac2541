//! What is an API key? A secret by which a service calls, good for a time, a role and perhaps some projects.

use std::time::Duration;

use super::id::{ApiKeyId, OrgId, ProjectId};
use super::role::Role;
use super::text::{self, InvalidField};
use super::time::Time;

/// The most live keys that a setting may allow an organization.
pub const MOST_PER_ORG: u32 = 100_000;

/// The most live keys that name one project.
pub const MOST_PER_PROJECT: u32 = 50;

/// The most projects that one key names.
pub const MOST_PROJECTS: usize = 100;

/// The longest that a rotated key and its successor may both be valid.
pub const LONGEST_OVERLAP: Duration = Duration::from_hours(30 * 24);

/// How many days before its end a key's end is announced, the last time first.
pub const ANNOUNCED: [u32; 3] = [1, 7, 30];

/// An API key, without the secret.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// What decides what it opens.
    pub standing: ApiKeyStatus,
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

/// What people decide of an API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeySettings {
    /// What people call it.
    pub name: String,
    /// What people should know of it.
    pub note: String,
    /// What it may do.
    pub role: Role,
    /// When it is valid.
    pub window: Window,
    /// Whether it is switched off.
    pub disabled: bool,
}

/// When an API key is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// From this moment on.
    pub start: Time,
    /// Before this moment; for ever, if `None`.
    pub end: Option<Time>,
}

/// All of an API key that decides what it opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyStatus {
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

impl ApiKey {
    /// What people have decided of it.
    #[must_use]
    pub fn terms(&self) -> ApiKeySettings {
        let ApiKeyStatus { role, start, expire, disabled, .. } = self.standing;
        let window = Window { start, end: expire };
        ApiKeySettings { name: self.name.clone(), note: self.note.clone(), role, window, disabled }
    }

    /// Whether it counts against the limits at `now`: a key that has ended or has a successor does not.
    #[must_use]
    pub fn is_live(&self, now: Time) -> bool {
        self.rotated_at.is_none() && self.standing.expire.is_none_or(|end| now < end)
    }
}

impl Window {
    /// A window of some length; `end` is the name of the field that ends it.
    pub fn new(start: Time, end: Option<Time>, field: &'static str) -> Result<Self, InvalidField> {
        match end {
            Some(end) if end <= start => Err(InvalidField::new(field, "must be later than the start")),
            _ => Ok(Self { start, end }),
        }
    }
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Valid,
        Self::NotFound,
        Self::NotYetValid,
        Self::Expired,
        Self::Disabled,
        Self::WrongProject,
        Self::InsufficientRole,
    ];

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

impl ApiKeyStatus {
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

/// Takes the name of an API key: 1 to 100 characters.
pub fn parse_name(field: &'static str, value: &str) -> Result<String, InvalidField> {
    text::parse(field, value, 1..=100)
}

/// Takes a note: up to 250 characters.
pub fn parse_note(value: &str) -> Result<String, InvalidField> {
    text::parse("note", value, 0..=250)
}

/// Takes the number of a role that an API key may have.
pub fn parse_role(number: i64) -> Result<Role, InvalidField> {
    let role = Role::from_number(number).filter(|role| *role < Role::Owner);
    let problem = "must be USER 0, BILLING 1, WORKSPACES 2 or ADMINISTRATOR 254";
    role.ok_or_else(|| InvalidField::new("roleId", problem))
}

/// 0001-01-01T00:00:00.000Z.
const YEAR_ONE: Time = Time::from_millis(-62_135_596_800_000);

/// Takes a moment with an offset from UTC.
pub fn parse_time(field: &'static str, value: &str) -> Result<Time, InvalidField> {
    let problem = "must be RFC 3339 with an offset, such as 2024-01-15T10:30:00Z";
    // Clients in .NET and Python cannot read the year 0, and could list no keys any more.
    let readable = |time: &Time| *time >= YEAR_ONE;
    Time::parse_rfc3339(value).filter(readable).ok_or_else(|| InvalidField::new(field, problem))
}

/// Takes the ids of projects, each once.
pub fn parse_projects(ids: &[String]) -> Result<Vec<ProjectId>, InvalidField> {
    if ids.len() > MOST_PROJECTS {
        return Err(InvalidField::new("listProjectsId", format!("must name at most {MOST_PROJECTS} projects")));
    }
    let ids: Option<Vec<_>> = ids.iter().map(|id| ProjectId::parse(id)).collect();
    let mut ids = ids.ok_or_else(unknown_project)?;
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// A project is named that the organization does not have.
#[must_use]
pub fn unknown_project() -> InvalidField {
    InvalidField::new("listProjectsId", "names a project that the organization does not have")
}

/// Takes the seconds for which a rotated key and its successor are both valid.
pub fn parse_overlap(seconds: i64) -> Result<Duration, InvalidField> {
    let overlap = u64::try_from(seconds).ok().map(Duration::from_secs).filter(|overlap| *overlap <= LONGEST_OVERLAP);
    let problem = format!("must be 0 to {} seconds", LONGEST_OVERLAP.as_secs());
    overlap.ok_or_else(|| InvalidField::new("overlapSeconds", problem))
}
