//! Decides who may do what. This is the only place that decides, from the rows as they are in the transaction that
//! acts.

use super::caller::{Caller, Identity};
use super::error::{Error, ErrorKind};
use super::retired_key;
use super::rule::{ApiKeys, DENIED, Rule, Scope};
use crate::domain::api_key::{ApiKeyStatus, Verdict};
use crate::domain::id::{ApiKeyId, OrgId, ProjectId, TokenId, UserId};
use crate::domain::project::MemberRole;
use crate::domain::role::Role;
use crate::domain::session::PASSWORD_FRESH;
use crate::domain::time::Time;
use crate::domain::user::User;
use crate::store::token::TokenStatus;
use crate::store::{self, ReadTx};

/// A granted right, and what it was decided from. Only this module creates one.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The organization in which the caller acts.
    pub org: OrgId,
    /// The user who acts; `None` for an API key, a node, the server's administrator or the system.
    pub user: Option<UserId>,
    /// The API key that acts, if any.
    pub api_key: Option<ApiKeyId>,
    /// The role that gives the right.
    pub role: Role,
    /// The time of the decision, and of every change made under it.
    pub at: Time,
    /// When the credential expires, if it does.
    pub ends: Option<Time>,
    /// The access token that acts, as it was before this call.
    pub(super) token: Option<TokenStatus>,
}

impl Grant {
    /// Returns the web session that acts, if one does, and its user.
    pub(crate) fn web_session(&self) -> Option<(TokenId, UserId)> {
        let status = self.token.as_ref().filter(|status| status.password_at.is_some())?;
        Some((status.token.id, status.token.user))
    }
}

/// The code of a denial that asks for the password of a web session. After that, the same call is permitted.
pub(super) const CONFIRMATION_REQUIRED: &str = "PASSWORD_CONFIRMATION_REQUIRED";

/// Why a right was not granted.
#[derive(Debug)]
pub enum Denial {
    /// The credential is no longer valid, or the store failed. Nothing is recorded.
    NoCaller(Box<Error>),
    /// The target does not exist for this caller. Nothing is recorded.
    Missing(Box<Error>),
    /// A known caller of this organization lacks the right. This is recorded.
    Forbidden(OrgId, Box<Error>),
}

/// Decides whether `caller` has the right of `rule` at `now`, from the rows in `tx`.
pub(crate) fn decide(tx: &ReadTx<'_>, caller: &Caller, rule: &Rule, now: Time) -> Result<Grant, Denial> {
    match (&caller.identity, rule) {
        (Identity::User { token, .. }, rule) => {
            let standing = valid(store::token::find(tx, *token).map_err(no_caller)?, now).map_err(no_caller)?;
            let grant = Grant {
                org: standing.org,
                user: Some(standing.token.user),
                api_key: None,
                role: standing.role,
                at: now,
                ends: standing.token.expires_at,
                token: Some(standing),
            };
            decide_user(tx, grant, rule)
        }
        (Identity::Proven { user }, Rule::SignsIn) => {
            let found = store::user::find(tx, *user).map_err(no_caller)?.filter(|user| user.deleted_at.is_none());
            let User { id, org, role, .. } = found.ok_or_else(|| no_caller(account_deleted()))?;
            Ok(Grant { org, user: Some(id), api_key: None, role, at: now, ends: None, token: None })
        }
        (Identity::ApiKey { key, .. }, rule) => {
            let standing = store::api_key::standing(tx, *key).map_err(no_caller)?;
            decide_api_key(&usable(standing.as_ref(), now).map_err(no_caller)?.clone(), rule, now)
        }
        (Identity::Node { org, key, .. }, Rule::SpeaksAsNode) => {
            let end =
                store::org_key::end(tx, *org, *key).map_err(no_caller)?.ok_or_else(|| no_caller(key_is_gone()))?;
            if end.is_some_and(|end| end <= now) {
                return Err(no_caller(retired_key::refusal(tx, *org, *key, now).map_err(no_caller)?));
            }
            Ok(Grant { org: *org, user: None, api_key: None, role: Role::User, at: now, ends: None, token: None })
        }
        (Identity::Administrator { org }, rule) => decide_administrator(tx, *org, rule, now),
        (Identity::System, Rule::Administers(org)) => {
            Ok(Grant { org: *org, user: None, api_key: None, role: Role::Owner, at: now, ends: None, token: None })
        }
        (Identity::Node { org, .. }, rule) => Err(forbidden(*org, rule)),
        (Identity::System | Identity::Proven { .. }, rule) => Err(no_caller(Error::denied(rule.spec().refusal))),
    }
}

fn decide_user(tx: &ReadTx<'_>, grant: Grant, rule: &Rule) -> Result<Grant, Denial> {
    let high_enough = rule.spec().least.is_some_and(|least| grant.role >= least);
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

fn decide_api_key(key: &ApiKeyStatus, rule: &Rule, now: Time) -> Result<Grant, Denial> {
    let spec = rule.spec();
    let may = match (spec.api_keys, rule) {
        (ApiKeys::Never, _) => false,
        (ApiKeys::Whole, _) => key.projects.is_empty(),
        (ApiKeys::OfTheProject, Rule::SeesProject(Some(project))) => key.projects.contains(project),
        (ApiKeys::OfTheProject, _) => false,
    };
    if !may {
        let message = match spec.api_keys {
            ApiKeys::Never => "An API key cannot do this: use an access token",
            ApiKeys::Whole => {
                "An API key that is restricted to projects cannot do this: use one that is valid for the whole organization"
            }
            ApiKeys::OfTheProject => "Only an API key for this project can do this",
        };
        let error = Error::new(ErrorKind::Denied, "API_KEY_NOT_ALLOWED", message);
        return Err(Denial::Forbidden(key.org, Box::new(error)));
    }
    if spec.least.is_none_or(|least| key.role < least) || !rule.is_about(key.org) {
        return Err(forbidden(key.org, rule));
    }
    Ok(Grant {
        org: key.org,
        user: None,
        api_key: Some(key.id),
        role: key.role,
        at: now,
        ends: key.expire,
        token: None,
    })
}

/// Decides for the server's administrator, who has the rights of an OWNER in whichever organization a request is about.
/// `chosen` is the organization in which they act, if the request names none.
fn decide_administrator(tx: &ReadTx<'_>, chosen: Option<OrgId>, rule: &Rule, now: Time) -> Result<Grant, Denial> {
    let missing = |error: Error| Denial::Missing(Box::new(error));
    let org = match rule.scope() {
        Scope::Org(org) => existing(tx, org).map_err(missing)?,
        Scope::Project(project) => {
            let found = project.map(|id| store::project::find(tx, id)).transpose().map_err(no_caller)?.flatten();
            found.ok_or_else(|| missing(no_such_project()))?.org
        }
        Scope::OwnOrg => chosen.ok_or_else(|| missing(several_organizations()))?,
        Scope::Account => return Err(no_caller(no_account())),
        Scope::Internal => return Err(no_caller(Error::denied(rule.spec().refusal))),
    };
    if chosen.is_some_and(|chosen| chosen != org) {
        return Err(missing(two_organizations()));
    }
    Ok(Grant { org, user: None, api_key: None, role: Role::Owner, at: now, ends: None, token: None })
}

/// Returns the id of an organization for the server's administrator, from whom it is no secret which ones exist.
pub(super) fn existing(tx: &ReadTx<'_>, org: Option<OrgId>) -> Result<OrgId, Error> {
    let found = org.map(|id| store::org::find(tx, id)).transpose()?.flatten();
    found.map(|org| org.id).ok_or_else(|| {
        let message = "No organization has this id: `orgkeys org list` lists them";
        Error::new(ErrorKind::Missing, "ORGANIZATION_NOT_FOUND", message)
    })
}

/// Returns a project of the caller's organization. A project of another organization counts as missing.
fn own_project(tx: &ReadTx<'_>, org: OrgId, project: Option<ProjectId>) -> Result<ProjectId, Denial> {
    let found = match project {
        Some(id) => store::project::find(tx, id).map_err(no_caller)?,
        None => None,
    };
    let found = found.filter(|project| project.org == org);
    found.map(|project| project.id).ok_or_else(|| Denial::Missing(Box::new(no_such_project())))
}

/// The error for a project that does not exist, or not for this caller.
pub(crate) fn no_such_project() -> Error {
    Error::new(ErrorKind::Missing, "PROJECT_NOT_FOUND", "Project not found")
}

fn forbidden(org: OrgId, rule: &Rule) -> Denial {
    Denial::Forbidden(org, Box::new(Error::denied(rule.spec().refusal)))
}

/// Returns the organization whose API keys `caller` may verify: its own. Neither rows nor roles matter, so this needs
/// no disk access.
pub(crate) fn verifies_for(caller: &Caller) -> Result<OrgId, Error> {
    match caller.identity {
        Identity::User { org, .. } | Identity::ApiKey { org, .. } => Ok(org),
        Identity::Administrator { org } => org.ok_or_else(several_organizations),
        Identity::Proven { .. } | Identity::Node { .. } | Identity::System => Err(Error::denied(DENIED)),
    }
}

/// Checks that `role` is not above the caller's own: nobody can grant, change or revoke a higher role.
pub(crate) fn reaches(grant: &Grant, role: Role) -> Result<(), Error> {
    if role <= grant.role {
        return Ok(());
    }
    let message = format!("Insufficient permissions: {role} is above your own role, {}", grant.role);
    Err(Error::denied(message))
}

/// Checks that the password of a web session was given a short while ago. A browser may be left open, so this is asked for
/// what is hard to undo. Other credentials have no password to confirm.
pub(crate) fn knows_password(grant: &Grant) -> Result<(), Error> {
    let given = grant.token.as_ref().and_then(|status| status.password_at);
    if given.is_none_or(|given| grant.at < given.plus(PASSWORD_FRESH)) {
        return Ok(());
    }
    let message = "This needs your password again, because you gave it more than 15 minutes ago: confirm it \
        (POST /user/web-session/confirm), then try again";
    Err(Error::new(ErrorKind::Denied, CONFIRMATION_REQUIRED, message))
}

/// Returns an API key that is valid at `now`, or an error that says why it is not.
pub(crate) fn usable(standing: Option<&ApiKeyStatus>, now: Time) -> Result<&ApiKeyStatus, Error> {
    let Some(standing) = standing else {
        return Err(Error::unauthenticated("API_KEY_NOT_FOUND", "The API key is unknown to this server"));
    };
    let (code, message) = match standing.at(now) {
        Verdict::NotYetValid => {
            ("API_KEY_NOT_YET_VALID", "The API key is not valid yet: its start date is in the future")
        }
        Verdict::Expired => ("API_KEY_EXPIRED", "The API key has expired: ask for a new one"),
        Verdict::Disabled => ("API_KEY_DISABLED", "The API key is disabled"),
        Verdict::NotFound => ("API_KEY_NOT_FOUND", "The API key is unknown to this server"),
        Verdict::Valid | Verdict::WrongProject | Verdict::InsufficientRole => return Ok(standing),
    };
    Err(Error::unauthenticated(code, message))
}

/// The error for a signature whose key was deleted after it was verified.
fn key_is_gone() -> Error {
    let advice = "The key that made this signature has just been deleted: sign with another key of the organization";
    Error::new(ErrorKind::Invalid, "BAD_SIGNATURE", "Invalid signature").advising(advice)
}

/// The error for what only a user has, if the server's administrator asks for it.
pub(crate) fn no_account() -> Error {
    let message = "The server's administrator, who calls over the server's unix socket without a credential, has no account: \
        to act as a user, send an access token, or call the server by its URL";
    Error::new(ErrorKind::Denied, "NO_ACCOUNT", message)
}

fn several_organizations() -> Error {
    let message = "The server does not have exactly one organization, and the request names none: add --org to the command, or \
        send X-Orgkeys-Organization. `orgkeys org list` lists the organizations";
    Error::new(ErrorKind::Invalid, "ORGANIZATION_REQUIRED", message)
}

fn two_organizations() -> Error {
    let message =
        "The request names two organizations: --org, or X-Orgkeys-Organization, is not the one that it is about";
    Error::new(ErrorKind::Invalid, "TWO_ORGANIZATIONS", message)
}

fn account_deleted() -> Error {
    Error::unauthenticated("TOKEN_REVOKED", "The account was deleted")
}

/// Returns a token that is valid at `now`, or an error that says why it is not.
pub(crate) fn valid(standing: Option<TokenStatus>, now: Time) -> Result<TokenStatus, Error> {
    let Some(standing) = standing else {
        return Err(Error::unauthenticated(
            "INVALID_TOKEN",
            "The access token is unknown to this server, or was replaced by a refresh: sign in again, or use another token",
        ));
    };
    if standing.token.revoked_at.is_some() || standing.user_deleted {
        return Err(Error::unauthenticated(
            "TOKEN_REVOKED",
            "The access token was revoked: sign in again, or use another token",
        ));
    }
    if standing.token.expires_at.is_some_and(|end| end <= now) {
        return Err(Error::unauthenticated(
            "TOKEN_EXPIRED",
            "The access token has expired: sign in again, or use another token",
        ));
    }
    Ok(standing)
}

fn no_caller(error: impl Into<Error>) -> Denial {
    Denial::NoCaller(Box::new(error.into()))
}
