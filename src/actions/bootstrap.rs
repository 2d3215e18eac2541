//! The first start: creates the first organization and its owner in one transaction, with a token that is shown once.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::admin::{self, Ttl};
use crate::crypto::secret::{self, TokenDigest};
use crate::domain::event::Event;
use crate::domain::id::{OrgId, TokenId};
use crate::domain::org::{self, About, Org};
use crate::domain::role::Role;
use crate::domain::time::Time;
use crate::domain::user::{self, Token, User};
use crate::engine::environment::Environment;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::system::System;
use crate::store::{self, WriteTx};

/// The default lifetime of a token.
pub const TOKEN_TTL: Duration = Duration::from_hours(90 * 24);

/// The first owner to create.
#[derive(Debug)]
pub struct FirstOwner {
    /// The name of the organization.
    pub org_name: String,
    /// The owner's email address.
    pub email: String,
    /// The owner's token, which does not expire; `None` to create one and show it.
    pub token: Option<SecretString>,
}

/// What a start found or created.
#[derive(Debug)]
pub enum Start {
    /// An organization exists already.
    Existing,
    /// The organization was created, by this start or an interrupted one; its owner has the configured token.
    Given(OrgId),
    /// The organization was created, by this start or an interrupted one. The caller must show the token and then call
    /// [`announced`].
    Show {
        /// The organization.
        org: OrgId,
        /// The owner's token.
        token: SecretString,
        /// The token's id, to revoke it by.
        id: TokenId,
        /// The owner, who has no password yet.
        owner: Box<User>,
    },
}

/// Whether [`start`] will give the first owner a token: nobody has one yet that was shown, or that is the configured
/// one.
pub fn is_pending(system: &System) -> Result<bool, Error> {
    let (has_org, lost) = state(system)?;
    Ok(!has_org || lost.is_some())
}

/// Creates the first organization and its owner, unless an organization exists. If an earlier start was interrupted
/// before it showed the token, the token is replaced: by the configured one if there is one, otherwise by a new one.
pub fn start(system: &System, first: &FirstOwner) -> Result<Start, Error> {
    match state(system)? {
        (_, Some(lost)) => replace(system, first, &lost),
        (true, None) => Ok(Start::Existing),
        (false, None) => create(system, first),
    }
}

/// Stores that the first token was shown.
pub fn announced(system: &System, org: OrgId) -> Result<(), Error> {
    system.administer(org, |tx, _| {
        store::server::set_unannounced_token(tx, None)?;
        Ok(((), []))
    })
}

/// Returns whether there is an organization, and the first owner's token if it may not have been shown.
fn state(system: &System) -> Result<(bool, Option<store::token::TokenStatus>), Error> {
    system.read(|tx| {
        let lost = match store::server::unannounced_token(tx)? {
            Some(token) => store::token::find(tx, token)?,
            None => None,
        };
        Ok((!store::org::list(tx, 1)?.is_empty(), lost))
    })
}

fn create(system: &System, first: &FirstOwner) -> Result<Start, Error> {
    let name = org::parse_name(&first.org_name)?;
    let email = user::parse_email(&first.email)?;
    let given = first.token.as_ref().map(digest).transpose()?;
    let env = system.app().env.clone();
    let org: OrgId = env.id();
    system.administer(org, move |tx, grant| {
        store::org::insert(tx, &Org { id: org, name, created_at: grant.at, about: About::default() })?;
        let owner = User {
            id: env.id(),
            org,
            email,
            name: "Owner".to_owned(),
            last_name: String::new(),
            role: Role::Owner,
            validated: true,
            deleted_at: None,
        };
        store::user::insert(tx, &owner, None, grant.at)?;
        let (user, role) = (owner.id, owner.role);
        let (start, token) = first_token(tx, &env, owner, given, grant.at)?;
        let events = [
            Event::OrgCreated { org },
            Event::UserCreated { user, role, invited: false },
            Event::TokenCreated { token: token.id, user, expires: token.expires_at },
        ];
        Ok((start, events))
    })
}

fn replace(system: &System, first: &FirstOwner, lost: &store::token::TokenStatus) -> Result<Start, Error> {
    let given = first.token.as_ref().map(digest).transpose()?;
    let (env, org, lost, user) = (system.app().env.clone(), lost.org, lost.token.id, lost.token.user);
    system.administer(org, move |tx, grant| {
        store::token::revoke(tx, lost, grant.at)?;
        let owner = store::user::find(tx, user)?.ok_or_else(|| Error::internal("a token without a user"))?;
        let (start, token) = first_token(tx, &env, owner, given, grant.at)?;
        let events = [
            Event::TokenRevoked { token: lost, user },
            Event::TokenCreated { token: token.id, user, expires: token.expires_at },
        ];
        Ok((start, events))
    })
}

/// Stores the first owner's token: the one with the digest `given`, or a new one that is yet to be shown.
fn first_token(
    tx: &WriteTx<'_>,
    env: &Environment,
    owner: User,
    given: Option<TokenDigest>,
    now: Time,
) -> Result<(Start, Token), Error> {
    if let Some(digest) = given {
        store::server::set_unannounced_token(tx, None)?;
        return Ok((Start::Given(owner.org), admin::add_token(tx, env, owner.id, &digest, Ttl::Never, now)?));
    }
    let secret = secret::SecretKind::AccessToken.fresh(&mut env.rng());
    let token = admin::add_token(tx, env, owner.id, &digest(&secret)?, Ttl::For(TOKEN_TTL), now)?;
    store::server::set_unannounced_token(tx, Some(token.id))?;
    Ok((Start::Show { org: owner.org, token: secret, id: token.id, owner: Box::new(owner) }, token))
}

fn digest(token: &SecretString) -> Result<TokenDigest, Error> {
    secret::SecretKind::AccessToken.digest(token.expose_secret()).ok_or_else(|| {
        let message = "The bootstrap token is malformed: generate one with `orgkeys token generate`";
        Error::new(ErrorKind::Invalid, "MALFORMED_TOKEN", message)
    })
}
