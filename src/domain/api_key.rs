//! API keys: secrets with which services authenticate, limited by a validity period, a role and optionally projects.

use std::time::Duration;

use super::id::{ApiKeyId, OrgId, ProjectId, UserId};
use super::role::Role;
use super::text::{self, InvalidField};
use super::time::Time;

/// The maximum of the setting that limits live keys per organization.
pub const MOST_PER_ORG: u32 = 100_000;

/// The maximum number of live keys that name one project.
pub const MOST_PER_PROJECT: u32 = 50;

/// The maximum number of projects per key.
pub const MOST_PROJECTS: usize = 100;

/// The maximum time for which a rotated key and its successor may both be valid.
pub const LONGEST_OVERLAP: Duration = Duration::from_hours(30 * 24);

/// An API key, without its secret.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// What determines which requests the key authorizes.
    pub standing: ApiKeyStatus,
    /// The name of the key.
    pub name: String,
    /// A free-text note; up to 250 characters.
    pub note: String,
    /// The masked secret.
    pub mask: String,
    /// When the key was created.
    pub created_at: Time,
    /// The user who created it, or rotated its predecessor; `None` for a key from before this was recorded.
    pub created_by: Option<UserId>,
    /// When the key was rotated, if it was.
    pub rotated_at: Option<Time>,
    /// When the key was last used; may lag by up to a minute.
    pub last_used: Option<Time>,
    /// The client address of the last use.
    pub last_address: Option<String>,
}

/// The settings of an API key that administrators choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeySettings {
    /// The name of the key.
    pub name: String,
    /// A free-text note.
    pub note: String,
    /// The role of the key.
    pub role: Role,
    /// The validity period.
    pub window: Window,
    /// Whether the key is disabled.
    pub disabled: bool,
}

/// The validity period of an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Start, inclusive.
    pub start: Time,
    /// End, exclusive; `None`: the key never expires.
    pub end: Option<Time>,
}

/// What determines which requests an API key authorizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyStatus {
    /// The key's id.
    pub id: ApiKeyId,
    /// The organization that the key belongs to.
    pub org: OrgId,
    /// The role of the key; never OWNER.
    pub role: Role,
    /// Start of the validity period, inclusive.
    pub start: Time,
    /// End of the validity period, exclusive; `None`: the key never expires.
    pub expire: Option<Time>,
    /// Whether the key is disabled.
    pub disabled: bool,
    /// The projects to which the key is limited; empty: the whole organization.
    pub projects: Box<[ProjectId]>,
}

/// The result of verifying a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The key is valid for what was requested.
    Valid,
    /// The organization has no such key.
    NotFound,
    /// The validity period has not started.
    NotYetValid,
    /// The validity period has ended.
    Expired,
    /// The key is disabled.
    Disabled,
    /// The key is limited to other projects.
    WrongProject,
    /// The role of the key is below the requested one.
    InsufficientRole,
}

impl ApiKey {
    /// The settings of the key.
    #[must_use]
    pub fn terms(&self) -> ApiKeySettings {
        let ApiKeyStatus { role, start, expire, disabled, .. } = self.standing;
        let window = Window { start, end: expire };
        ApiKeySettings { name: self.name.clone(), note: self.note.clone(), role, window, disabled }
    }

    /// Returns whether the key counts toward the limits at `now`: expired and rotated keys do not.
    #[must_use]
    pub fn is_live(&self, now: Time) -> bool {
        self.rotated_at.is_none() && self.standing.expire.is_none_or(|end| now < end)
    }
}

impl Window {
    /// Creates a period; `field` names the field to blame if `end` is not later than `start`.
    pub fn new(start: Time, end: Option<Time>, field: &'static str) -> Result<Self, InvalidField> {
        match end {
            Some(end) if end <= start => Err(InvalidField::new(field, "must be later than the start")),
            _ => Ok(Self { start, end }),
        }
    }
}

/// Checks that a key does not end at `now` or earlier; `field` names the field to blame.
pub fn check_end(field: &'static str, end: Option<Time>, now: Time) -> Result<(), InvalidField> {
    match end {
        Some(end) if end <= now => {
            let problem = "must be in the future: to end a key now, disable or delete it";
            Err(InvalidField::new(field, problem))
        }
        _ => Ok(()),
    }
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 7] = [
        Self::Valid,
        Self::NotFound,
        Self::NotYetValid,
        Self::Expired,
        Self::Disabled,
        Self::WrongProject,
        Self::InsufficientRole,
    ];

    /// The stable code of the verdict.
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
    /// Returns whether the key is valid at `now`, regardless of project and role.
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

    /// Returns whether the key may be used for a project of its organization.
    #[must_use]
    pub fn opens(&self, project: ProjectId) -> bool {
        self.projects.is_empty() || self.projects.contains(&project)
    }
}

/// Parses the name of an API key: 1 to 100 characters.
pub fn parse_name(field: &'static str, value: &str) -> Result<String, InvalidField> {
    text::parse(field, value, 1..=100)
}

/// Parses a note: up to 250 characters.
pub fn parse_note(value: &str) -> Result<String, InvalidField> {
    text::parse("note", value, 0..=250)
}

/// Parses the role number of an API key: any role but OWNER.
pub fn parse_role(number: i64) -> Result<Role, InvalidField> {
    let role = Role::from_number(number).filter(|role| *role < Role::Owner);
    let problem = "must be USER 0, BILLING 1, WORKSPACES 2 or ADMINISTRATOR 254";
    role.ok_or_else(|| InvalidField::new("roleId", problem))
}

/// 0001-01-01T00:00:00.000Z.
const YEAR_ONE: Time = Time::from_millis(-62_135_596_800_000);

/// Parses RFC 3339 with an offset from UTC.
pub fn parse_time(field: &'static str, value: &str) -> Result<Time, InvalidField> {
    let problem = "must be RFC 3339 with an offset, such as 2024-01-15T10:30:00Z";
    // Clients in .NET and Python cannot represent the year 0: one such key would break their listing of keys.
    let readable = |time: &Time| *time >= YEAR_ONE;
    Time::parse_rfc3339(value).filter(readable).ok_or_else(|| InvalidField::new(field, problem))
}

/// Parses project ids, and sorts and deduplicates them.
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

/// The error for a project that does not exist in the organization.
#[must_use]
pub fn unknown_project() -> InvalidField {
    InvalidField::new("listProjectsId", "contains a project that does not exist in the organization")
}

/// Parses for how many seconds a rotated key stays valid beside its successor.
pub fn parse_overlap(seconds: i64) -> Result<Duration, InvalidField> {
    let overlap = u64::try_from(seconds).ok().map(Duration::from_secs).filter(|overlap| *overlap <= LONGEST_OVERLAP);
    let problem = format!("must be 0 to {} seconds", LONGEST_OVERLAP.as_secs());
    overlap.ok_or_else(|| InvalidField::new("overlapSeconds", problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_refused_for_its_time_before_it_is_refused_because_it_is_disabled() {
        let status = |start, expire: Option<i64>, disabled| ApiKeyStatus {
            id: ApiKeyId::from_number(1).expect("an id"),
            org: OrgId::from_bytes([1; 16]),
            role: Role::User,
            start: Time::from_millis(start),
            expire: expire.map(Time::from_millis),
            disabled,
            projects: Box::default(),
        };
        for (start, expire, verdict) in [
            (100, None, Verdict::Valid),
            (100, Some(101), Verdict::Valid),
            (101, Some(102), Verdict::NotYetValid),
            (99, Some(100), Verdict::Expired),
        ] {
            assert_eq!(status(start, expire, false).at(Time::from_millis(100)), verdict);
            let disabled = if verdict == Verdict::Valid { Verdict::Disabled } else { verdict };
            assert_eq!(status(start, expire, true).at(Time::from_millis(100)), disabled);
        }
    }
}
