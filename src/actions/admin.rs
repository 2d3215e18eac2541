//! Administration from the command line while the server is stopped, for an administrator who is locked out. Every
//! change is recorded in the audit log.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::invitation;
use crate::crypto::secret::{self, TokenDigest};
use crate::domain::event::Event;
use crate::domain::id::{OrgId, TokenId, UserId};
use crate::domain::org::{self, About, Org};
use crate::domain::role::Role;
use crate::domain::text;
use crate::domain::time::Time;
use crate::domain::user::{self, Token, User};
use crate::engine::environment::Environment;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::system::System;
use crate::store::{self, ReadTx, StoreError, WriteTx};

/// The lifetime of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// The token is valid until it is revoked.
    Never,
    /// The token expires after this time.
    For(Duration),
}

/// Creates an organization.
pub fn create_org(system: &System, name: &str) -> Result<Org, Error> {
    let name = org::parse_name(name)?;
    let id: OrgId = system.app().env.id();
    system.administer(id, move |tx, grant| {
        let org = Org { id, name, created_at: grant.at, about: About::default() };
        store::org::insert(tx, &org)?;
        Ok((org, Event::OrgCreated { org: id }))
    })
}

/// Returns all organizations, newest first.
pub fn list_orgs(system: &System) -> Result<Vec<Org>, Error> {
    listed(system, "organizations", store::org::list)
}

/// Creates a user in an organization.
pub fn create_user(
    system: &System,
    org: &str,
    email: &str,
    role: Role,
    name: &str,
    last_name: &str,
) -> Result<User, Error> {
    let missing =
        || Error::new(ErrorKind::Missing, "UNKNOWN_ORGANIZATION", "No such organization: see `orgkeys org list`");
    let org = OrgId::parse(org).ok_or_else(missing)?;
    let user = User {
        id: system.app().env.id(),
        org,
        email: user::parse_email(email)?,
        name: text::parse("name", name, 0..=100)?,
        last_name: text::parse("last-name", last_name, 0..=100)?,
        role,
        validated: true,
        deleted_at: None,
    };
    system.administer(org, move |tx, grant| {
        if !store::org::exists(tx, org)? {
            return Err(missing());
        }
        if !store::user::insert(tx, &user, None, grant.at)? {
            return Err(super::user::email_taken());
        }
        let event = Event::UserCreated { user: user.id, role, invited: false };
        Ok((user, event))
    })
}

/// Returns the users of one organization, or of all, newest first.
pub fn list_users(system: &System, org: Option<OrgId>) -> Result<Vec<User>, Error> {
    listed(system, "users", move |tx| store::user::list(tx, org))
}

/// Removes the password of a user, named by email address or id, ends their sessions, and creates an invitation to set
/// a new password. Returns the invitation and its expiry. The user's access tokens stay valid.
pub fn reset_password(system: &System, user: &str) -> Result<(User, SecretString, Time), Error> {
    let user = find_user(system, user)?;
    let env = system.app().env.clone();
    system.administer(user.org, move |tx, grant| {
        store::user::clear_password(tx, user.id)?;
        let sessions_ended = store::token::revoke_sessions(tx, user.id, None, grant.at)?;
        let (secret, ends) = invitation::give(tx, &env, user.id, grant.at)?;
        let events = [Event::PasswordChanged { user: user.id, sessions_ended }, Event::UserInvited { user: user.id }];
        Ok(((user, secret, ends), events))
    })
}

/// Creates an access token for a user, named by email address or id.
pub fn create_token(system: &System, user: &str, ttl: Ttl) -> Result<(SecretString, Token), Error> {
    let user = find_user(system, user)?;
    let env = system.app().env.clone();
    system.administer(user.org, move |tx, grant| {
        let secret = secret::SecretKind::AccessToken.fresh(&mut env.rng());
        let digest = secret::SecretKind::AccessToken
            .digest(secret.expose_secret())
            .ok_or_else(|| Error::internal("a fresh token is malformed"))?;
        let token = add_token(tx, &env, user.id, &digest, ttl, grant.at)?;
        let event = Event::TokenCreated { token: token.id, user: user.id, expires: token.expires_at };
        Ok(((secret, token), event))
    })
}

/// Returns the tokens of one user, named by email address or id, or of all, newest first.
pub fn list_tokens(system: &System, user: Option<&str>) -> Result<Vec<Token>, Error> {
    let user = user.map(|user| find_user(system, user)).transpose()?.map(|user| user.id);
    listed(system, "tokens", move |tx| store::token::list(tx, user))
}

/// Revokes a token.
pub fn revoke_token(system: &System, id: &str) -> Result<(), Error> {
    let missing = || {
        Error::new(
            ErrorKind::Missing,
            "TOKEN_NOT_FOUND",
            "No such token, or it is already revoked: see `orgkeys token list`",
        )
    };
    let id = TokenId::parse(id).ok_or_else(missing)?;
    let standing = system.read(|tx| store::token::find(tx, id)?.ok_or_else(missing))?;
    system.administer_reserved(standing.org, move |tx, grant| {
        if !store::token::revoke(tx, id, grant.at)? {
            return Err(missing());
        }
        Ok(((), Event::TokenRevoked { token: id, user: standing.token.user }))
    })
}

/// Stores a token with this `digest`.
pub(super) fn add_token(
    tx: &WriteTx<'_>,
    env: &Environment,
    user: UserId,
    digest: &TokenDigest,
    ttl: Ttl,
    now: Time,
) -> Result<Token, Error> {
    let expires_at = match ttl {
        Ttl::Never => None,
        Ttl::For(span) => Some(now.plus(span)),
    };
    let token =
        Token { id: env.id(), user, name: None, created_at: now, expires_at, revoked_at: None, last_used: None };
    if !store::token::insert(tx, &token, digest)? {
        return Err(Error::new(
            ErrorKind::Conflict,
            "TOKEN_TAKEN",
            "This token was already used on this server: generate another",
        ));
    }
    Ok(token)
}

fn find_user(system: &System, name: &str) -> Result<User, Error> {
    let found = system.read(|tx| {
        Ok(match UserId::parse(name) {
            Some(id) => store::user::find(tx, id)?,
            None => store::user::find_by_email(tx, name)?,
        })
    })?;
    found
        .filter(|user| user.deleted_at.is_none())
        .ok_or_else(|| Error::new(ErrorKind::Missing, "USER_NOT_FOUND", "No such user: see `orgkeys user list`"))
}

fn listed<T: Send + 'static>(
    system: &System,
    what: &'static str,
    read: impl FnOnce(&ReadTx<'_>) -> Result<Vec<T>, StoreError> + Send + 'static,
) -> Result<Vec<T>, Error> {
    system.write(move |tx, _| {
        let found = read(tx)?;
        let count = found.len();
        Ok((found, Event::Listed { what, count }))
    })
}
