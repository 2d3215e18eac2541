//! Who may do what? The only place that decides, against the rows as they are in the transaction that acts.

use super::caller::{Caller, Identity};
use super::error::{Error, Kind};
use crate::domain::api_key::{Standing, Verdict};
use crate::domain::id::{ApiKeyId, OrgId, ProjectId, UserId};
use crate::domain::project::MemberRole;
use crate::domain::role::Role;
use crate::domain::time::Time;
use crate::domain::user::User;
use crate::store::token;
use crate::store::{self, ReadTx};

/// What somebody asks to be allowed. An id that cannot be read is `None`: it names what does not exist.
#[derive(Clone, Debug)]
pub enum Rule {
    /// To see their own profile.
    SeesOwnProfile,
    /// To change their own account.
    ManagesOwnAccount,
    /// To see and end their own sessions.
    ManagesOwnSessions,
    /// To begin or renew a session, by a proof in the request itself.
    SignsIn,
    /// To see an organization.
    SeesOrg(Option<OrgId>),
    /// To change what an organization says of itself.
    ManagesOrg(Option<OrgId>),
    /// To see the people of their own organization.
    SeesPeople,
    /// To create, invite and activate people of their own organization, up to their own role.
    AddsPeople,
    /// To change and delete people of their own organization, up to their own role.
    ManagesPeople,
    /// To see the projects of an organization.
    SeesProjects(Option<OrgId>),
    /// To make projects in an organization.
    AddsProjects(Option<OrgId>),
    /// To see one project: its members, and ADMINISTRATOR.
    SeesProject(Option<ProjectId>),
    /// To change one project: its owners, and ADMINISTRATOR.
    ManagesProject(Option<ProjectId>),
    /// To see the API keys of an organization: all of them, or those of their own projects.
    SeesApiKeys(Option<OrgId>),
    /// To see the API keys of one project, as far as they see them at all.
    SeesApiKeysOf(Option<ProjectId>),
    /// To make, change and delete API keys of an organization.
    ManagesApiKeys(Option<OrgId>),
    /// To see the keys of an organization.
    SeesKeys(Option<OrgId>),
    /// To make and delete the keys of an organization.
    ManagesKeys(Option<OrgId>),
    /// To see the nodes of an organization.
    SeesNodes(Option<OrgId>),
    /// To delete and activate the nodes of an organization.
    ManagesNodes(Option<OrgId>),
    /// To find the nodes of their own organization.
    FindsNodes,
    /// To see the audit log of their own organization, as far as their role goes.
    SeesEvents,
    /// To mark events as read for themselves.
    MarksEvents,
    /// To speak as a node of the organization whose key verified the signature.
    SpeaksAsNode,
    /// To administer an organization from the command line.
    Administers(OrgId),
}

/// A right that was decided on, and what it was decided from. Only this module makes one.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The organization that is acted in.
    pub org: OrgId,
    /// The user who acts, unless it is an API key, a node or the system.
    pub user: Option<UserId>,
    /// The API key that acts.
    pub api_key: Option<ApiKeyId>,
    /// The role that the right comes from.
    pub role: Role,
    /// The moment of the decision, and of everything that follows from it.
    pub at: Time,
    /// When the token was last used before.
    pub(super) token_used: Option<Time>,
}

/// Why a right was not given.
#[derive(Debug)]
pub enum Denial {
    /// The credential does not stand any more, or the store failed: nothing is recorded.
    NoCaller(Box<Error>),
    /// There is no such thing for this caller: nothing is recorded.
    Missing(Box<Error>),
    /// A known caller of this organization may not; that is recorded.
    Forbidden(OrgId, Box<Error>),
}

/// Which API keys may, as far as their role goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ApiKeys {
    /// None.
    Never,
    /// Those that are for the whole organization.
    Whole,
    /// Those that are for that project.
    OfTheProject,
}

/// What a rule asks for; one row each in [`Rule::terms`].
struct Terms {
    /// What the audit log calls the rule.
    name: &'static str,
    /// The least role that a user needs; `None` where no user may at all.
    least: Option<Role>,
    /// Which API keys may.
    api_keys: ApiKeys,
    /// What a caller who may not is told: the same for another organization, a missing one and a role too low.
    refusal: &'static str,
}

const DENIED: &str = "Access denied";

impl Rule {
    /// The table of contract and roles.
    const fn terms(&self) -> Terms {
        use ApiKeys::{Never, OfTheProject, Whole};
        use Role::{Administrator, User, Workspaces};
        let (name, least, api_keys, refusal) = match self {
            Self::SeesOwnProfile => ("see own profile", Some(User), Never, DENIED),
            Self::ManagesOwnAccount => ("manage own account", Some(User), Never, DENIED),
            Self::ManagesOwnSessions => ("manage own sessions", Some(User), Never, DENIED),
            Self::SignsIn => ("sign in", Some(User), Never, DENIED),
            Self::SeesOrg(_) => {
                ("see organization", Some(User), Whole, "Access denied: you can only view your own organization")
            }
            Self::ManagesOrg(_) => {
                let refusal = "Access denied: only OWNER and ADMINISTRATOR roles can change their own organization";
                ("manage organization", Some(Administrator), Never, refusal)
            }
            Self::SeesPeople => ("see people", Some(Workspaces), Never, "Insufficient permissions to view users"),
            Self::AddsPeople => ("add people", Some(Workspaces), Never, "Insufficient permissions to create users"),
            Self::ManagesPeople => {
                ("manage people", Some(Administrator), Never, "Insufficient permissions to manage users")
            }
            Self::SeesProjects(_) => (
                "see projects",
                Some(User),
                Never,
                "Access denied: you can only view projects of your own organization",
            ),
            Self::AddsProjects(_) => {
                ("add projects", Some(Workspaces), Never, "Insufficient permissions to create projects")
            }
            Self::SeesProject(_) => {
                ("see project", Some(User), OfTheProject, "Access denied: not a member of the project")
            }
            Self::ManagesProject(_) => {
                ("manage project", Some(User), Never, "Insufficient permissions to manage the project")
            }
            Self::SeesApiKeys(_) => (
                "see API keys",
                Some(User),
                Never,
                "Access denied: you can only view API keys of your own organization",
            ),
            Self::SeesApiKeysOf(_) => ("see API keys", Some(User), Never, "Access denied: not a member of the project"),
            Self::ManagesApiKeys(_) => {
                ("manage API keys", Some(User), Never, "Insufficient permissions to manage API keys")
            }
            Self::SeesKeys(_) => {
                let refusal = "Access denied: you can only view keys for your own organization";
                ("see keys", Some(Administrator), Never, refusal)
            }
            Self::ManagesKeys(_) => {
                let refusal = "Access denied: you can only manage keys for your own organization";
                ("manage keys", Some(Administrator), Never, refusal)
            }
            Self::SeesNodes(_) => {
                ("see nodes", Some(User), Whole, "Access denied: you can only view nodes of your own organization")
            }
            Self::ManagesNodes(_) => {
                let refusal = "Insufficient permissions: only OWNER and ADMINISTRATOR roles can manage nodes";
                ("manage nodes", Some(Administrator), Whole, refusal)
            }
            Self::FindsNodes => ("find nodes", Some(User), Whole, DENIED),
            Self::SeesEvents => ("see events", Some(User), Whole, DENIED),
            Self::MarksEvents => ("mark events", Some(User), Never, DENIED),
            Self::SpeaksAsNode => ("speak as a node", None, Never, DENIED),
            Self::Administers(_) => ("administer", None, Never, DENIED),
        };
        Terms { name, least, api_keys, refusal }
    }

    /// What the audit log calls it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.terms().name
    }

    /// Whether the rule is about `own`, the caller's organization, and no other.
    fn is_about(&self, own: OrgId) -> bool {
        match self {
            Self::SeesOrg(org)
            | Self::ManagesOrg(org)
            | Self::SeesProjects(org)
            | Self::AddsProjects(org)
            | Self::SeesApiKeys(org)
            | Self::ManagesApiKeys(org)
            | Self::SeesKeys(org)
            | Self::ManagesKeys(org)
            | Self::SeesNodes(org)
            | Self::ManagesNodes(org) => *org == Some(own),
            Self::SeesOwnProfile
            | Self::ManagesOwnAccount
            | Self::ManagesOwnSessions
            | Self::SignsIn
            | Self::SeesPeople
            | Self::AddsPeople
            | Self::ManagesPeople
            | Self::SeesProject(_)
            | Self::ManagesProject(_)
            | Self::SeesApiKeysOf(_)
            | Self::FindsNodes
            | Self::SeesEvents
            | Self::MarksEvents => true,
            Self::SpeaksAsNode | Self::Administers(_) => false,
        }
    }
}

/// Decides whether `caller` has the right of `rule` at `now`, as the rows stand in `tx`.
pub(super) fn decide(tx: &ReadTx<'_>, caller: &Caller, rule: &Rule, now: Time) -> Result<Grant, Denial> {
    match (&caller.identity, rule) {
        (Identity::User { token, .. }, rule) => {
            let standing = valid(store::token::find(tx, *token).map_err(no_caller)?, now).map_err(no_caller)?;
            let grant = Grant {
                org: standing.org,
                user: Some(standing.token.user),
                api_key: None,
                role: standing.role,
                at: now,
                token_used: standing.token.last_used,
            };
            decide_user(tx, grant, rule)
        }
        (Identity::Proven { user }, Rule::SignsIn) => {
            let found = store::user::find(tx, *user).map_err(no_caller)?.filter(|user| user.deleted_at.is_none());
            let User { id, org, role, .. } = found.ok_or_else(|| no_caller(gone()))?;
            Ok(Grant { org, user: Some(id), api_key: None, role, at: now, token_used: None })
        }
        (Identity::ApiKey { key, .. }, rule) => {
            let standing = store::api_key::standing(tx, *key).map_err(no_caller)?;
            decide_api_key(&usable(standing.as_ref(), now).map_err(no_caller)?.clone(), rule, now)
        }
        (Identity::Node { org, key, .. }, Rule::SpeaksAsNode) => {
            if !store::org_key::exists(tx, *org, *key).map_err(no_caller)? {
                return Err(no_caller(super::signed_call::key_is_gone()));
            }
            Ok(Grant { org: *org, user: None, api_key: None, role: Role::User, at: now, token_used: None })
        }
        (Identity::System, Rule::Administers(org)) => {
            Ok(Grant { org: *org, user: None, api_key: None, role: Role::Owner, at: now, token_used: None })
        }
        (Identity::Node { org, .. }, rule) => Err(forbidden(*org, rule)),
        (Identity::System | Identity::Proven { .. }, rule) => Err(no_caller(Error::denied(rule.terms().refusal))),
    }
}

fn decide_user(tx: &ReadTx<'_>, grant: Grant, rule: &Rule) -> Result<Grant, Denial> {
    let high_enough = rule.terms().least.is_some_and(|least| grant.role >= least);
    if !high_enough || !rule.is_about(grant.org) {
        return Err(forbidden(grant.org, rule));
    }
    let (project, changes) = match rule {
        Rule::SeesProject(project) | Rule::SeesApiKeysOf(project) => (project, false),
        Rule::ManagesProject(project) => (project, true),
        _ => return Ok(grant),
    };
    let project = own_project(tx, grant.org, *project)?;
    let member = match grant.user {
        Some(user) => store::project::member_role(tx, project, user).map_err(no_caller)?,
        None => None,
    };
    let enough = if changes { member == Some(MemberRole::Owner) } else { member.is_some() };
    if enough || grant.role >= Role::Administrator { Ok(grant) } else { Err(forbidden(grant.org, rule)) }
}

fn decide_api_key(key: &Standing, rule: &Rule, now: Time) -> Result<Grant, Denial> {
    let terms = rule.terms();
    let may = match (terms.api_keys, rule) {
        (ApiKeys::Never, _) => false,
        (ApiKeys::Whole, _) => key.projects.is_empty(),
        (ApiKeys::OfTheProject, Rule::SeesProject(Some(project))) => key.projects.contains(project),
        (ApiKeys::OfTheProject, _) => false,
    };
    if !may {
        let message = "An API key may not do this: use an access token";
        let error = Error::new(Kind::Denied, "API_KEY_NOT_ALLOWED", message);
        return Err(Denial::Forbidden(key.org, Box::new(error)));
    }
    if terms.least.is_none_or(|least| key.role < least) || !rule.is_about(key.org) {
        return Err(forbidden(key.org, rule));
    }
    Ok(Grant { org: key.org, user: None, api_key: Some(key.id), role: key.role, at: now, token_used: None })
}

/// A project of the caller's organization; one of another answers as one that does not exist.
fn own_project(tx: &ReadTx<'_>, org: OrgId, project: Option<ProjectId>) -> Result<ProjectId, Denial> {
    let found = match project {
        Some(id) => store::project::find(tx, id).map_err(no_caller)?,
        None => None,
    };
    let found = found.filter(|project| project.org == org);
    found.map(|project| project.id).ok_or_else(|| Denial::Missing(Box::new(no_such_project())))
}

/// There is no such project, or not for this caller.
pub(super) fn no_such_project() -> Error {
    Error::new(Kind::Missing, "PROJECT_NOT_FOUND", "Project not found")
}

fn forbidden(org: OrgId, rule: &Rule) -> Denial {
    Denial::Forbidden(org, Box::new(Error::denied(rule.terms().refusal)))
}

/// The organization whose API keys `caller` may have verified: its own, whoever it is. Neither rows nor roles matter, so
/// that it is decided without the disk.
pub(super) fn verifies_for(caller: &Caller) -> Result<OrgId, Error> {
    match caller.identity {
        Identity::User { org, .. } | Identity::ApiKey { org, .. } => Ok(org),
        Identity::Proven { .. } | Identity::Node { .. } | Identity::System => Err(Error::denied(DENIED)),
    }
}

/// Nobody gives, changes or takes away a role above their own.
pub(super) fn reaches(grant: &Grant, role: Role) -> Result<(), Error> {
    if role <= grant.role {
        return Ok(());
    }
    let message = format!("Insufficient permissions: {role} is above your own role, {}", grant.role);
    Err(Error::denied(message))
}

/// An API key that is good for something at `now`, or why it is not.
pub(super) fn usable(standing: Option<&Standing>, now: Time) -> Result<&Standing, Error> {
    let Some(standing) = standing else {
        return Err(Error::unauthenticated("API_KEY_NOT_FOUND", "The API key is not known to this server"));
    };
    let (code, message) = match standing.at(now) {
        Verdict::NotYetValid => ("API_KEY_NOT_YET_VALID", "The API key is not valid yet: its start lies ahead"),
        Verdict::Expired => ("API_KEY_EXPIRED", "The API key has expired: ask for another"),
        Verdict::Disabled => ("API_KEY_DISABLED", "The API key was switched off"),
        Verdict::NotFound => ("API_KEY_NOT_FOUND", "The API key is not known to this server"),
        Verdict::Valid | Verdict::WrongProject | Verdict::InsufficientRole => return Ok(standing),
    };
    Err(Error::unauthenticated(code, message))
}

fn gone() -> Error {
    Error::unauthenticated("TOKEN_REVOKED", "The account was deleted")
}

/// A token that stands at `now`, or why it does not.
pub(super) fn valid(standing: Option<token::Standing>, now: Time) -> Result<token::Standing, Error> {
    let Some(standing) = standing else {
        return Err(Error::unauthenticated("INVALID_TOKEN", "The access token is not known to this server"));
    };
    if standing.token.revoked_at.is_some() || standing.user_deleted {
        return Err(Error::unauthenticated("TOKEN_REVOKED", "The access token was revoked: ask for another"));
    }
    if standing.token.expires_at.is_some_and(|end| end <= now) {
        return Err(Error::unauthenticated("TOKEN_EXPIRED", "The access token has expired: ask for another"));
    }
    Ok(standing)
}

fn no_caller(error: impl Into<Error>) -> Denial {
    Denial::NoCaller(Box::new(error.into()))
}
