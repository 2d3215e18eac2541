//! Who may do what? The only place that decides, against the rows as they are in the transaction that acts.

use super::caller::{Caller, Identity};
use super::error::Error;
use crate::domain::id::{OrgId, UserId};
use crate::domain::role::Role;
use crate::domain::time::Time;
use crate::store::token::Standing;
use crate::store::{self, ReadTx};

/// What somebody asks to be allowed. An organization that cannot be read as an id is `None`: it is one that does not exist.
#[derive(Clone, Debug)]
pub enum Rule {
    /// To see their own profile.
    SeesOwnProfile,
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
    /// The user who acts, unless it is a node or the system.
    pub user: Option<UserId>,
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
    /// A known caller of this organization may not; that is recorded.
    Forbidden(OrgId, Box<Error>),
}

impl Rule {
    /// What the audit log calls it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SeesOwnProfile => "see own profile",
            Self::SeesKeys(_) => "see keys",
            Self::ManagesKeys(_) => "manage keys",
            Self::SeesNodes(_) => "see nodes",
            Self::ManagesNodes(_) => "manage nodes",
            Self::FindsNodes => "find nodes",
            Self::SeesEvents => "see events",
            Self::MarksEvents => "mark events",
            Self::SpeaksAsNode => "speak as a node",
            Self::Administers(_) => "administer",
        }
    }

    /// The least role that a user needs, in their own organization; `None` where no user may at all.
    const fn least_role(&self) -> Option<Role> {
        match self {
            Self::SeesOwnProfile | Self::FindsNodes | Self::SeesEvents | Self::MarksEvents => Some(Role::User),
            Self::SeesNodes(_) => Some(Role::User),
            Self::SeesKeys(_) | Self::ManagesKeys(_) | Self::ManagesNodes(_) => Some(Role::Administrator),
            Self::SpeaksAsNode | Self::Administers(_) => None,
        }
    }

    /// Whether the rule is about `own`, the caller's organization, and no other.
    fn is_about(&self, own: OrgId) -> bool {
        match self {
            Self::SeesKeys(org) | Self::ManagesKeys(org) | Self::SeesNodes(org) | Self::ManagesNodes(org) => {
                *org == Some(own)
            }
            Self::SeesOwnProfile | Self::FindsNodes | Self::SeesEvents | Self::MarksEvents => true,
            Self::SpeaksAsNode | Self::Administers(_) => false,
        }
    }

    /// What a caller who may not is told: the same for another organization, a missing one and a role too low.
    const fn refusal(&self) -> &'static str {
        match self {
            Self::SeesKeys(_) => "Access denied: you can only view keys for your own organization",
            Self::ManagesKeys(_) => "Access denied: you can only manage keys for your own organization",
            Self::SeesNodes(_) => "Access denied: you can only view nodes of your own organization",
            Self::ManagesNodes(_) => "Insufficient permissions: only OWNER and ADMINISTRATOR roles can manage nodes",
            Self::SeesOwnProfile | Self::FindsNodes | Self::SeesEvents | Self::MarksEvents => "Access denied",
            Self::SpeaksAsNode | Self::Administers(_) => "Access denied",
        }
    }
}

/// Decides whether `caller` has the right of `rule` at `now`, as the rows stand in `tx`.
pub(super) fn decide(tx: &ReadTx<'_>, caller: &Caller, rule: &Rule, now: Time) -> Result<Grant, Denial> {
    match (&caller.identity, rule) {
        (Identity::User { token, .. }, rule) => {
            let standing = store::token::find(tx, *token).map_err(no_caller)?;
            decide_user(standing, rule, now)
        }
        (Identity::Node { org, key, .. }, Rule::SpeaksAsNode) => {
            if !store::org_key::exists(tx, *org, *key).map_err(no_caller)? {
                return Err(no_caller(super::signed_call::key_is_gone()));
            }
            Ok(Grant { org: *org, user: None, role: Role::User, at: now, token_used: None })
        }
        (Identity::System, Rule::Administers(org)) => {
            Ok(Grant { org: *org, user: None, role: Role::Owner, at: now, token_used: None })
        }
        (Identity::Node { org, .. }, rule) => Err(Denial::Forbidden(*org, Box::new(Error::denied(rule.refusal())))),
        (Identity::System, rule) => Err(no_caller(Error::denied(rule.refusal()))),
    }
}

fn decide_user(standing: Option<Standing>, rule: &Rule, now: Time) -> Result<Grant, Denial> {
    let standing = valid(standing, now).map_err(no_caller)?;
    let allowed = rule.least_role().is_some_and(|least| standing.role >= least) && rule.is_about(standing.org);
    if !allowed {
        return Err(Denial::Forbidden(standing.org, Box::new(Error::denied(rule.refusal()))));
    }
    Ok(Grant {
        org: standing.org,
        user: Some(standing.token.user),
        role: standing.role,
        at: now,
        token_used: standing.token.last_used,
    })
}

/// A token that stands at `now`, or why it does not.
pub(super) fn valid(standing: Option<Standing>, now: Time) -> Result<Standing, Error> {
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
