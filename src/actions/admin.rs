//! Administration by whoever runs the server, without a credential. Every change is recorded in the audit log.
//! [`command`] defines the commands that end here.

pub mod command;

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
use crate::store::{self, ReadTx, WriteTx};

/// The lifetime of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// The token is valid until it is revoked.
    Never,
    /// The token expires after this time.
    For(Duration),
}

/// A user with an invitation to set a password.
#[derive(Clone, Debug)]
pub struct Invitee {
    /// The user.
    pub user: User,
    /// The invitation, which is shown only once.
    pub secret: SecretString,
    /// When the invitation expires.
    pub ends: Time,
}

/// Creates an organization without users.
pub fn create_org(system: &System, name: &str) -> Result<Org, Error> {
    let name = org::parse_name(name)?;
    let id: OrgId = system.app().env.id();
    system.administer(id, move |tx, grant| Ok((add_org(tx, id, name, grant.at)?, Event::OrgCreated { org: id })))
}

/// Creates an organization with an OWNER, who is invited.
pub fn create_org_with_owner(system: &System, name: &str, email: &str) -> Result<(Org, Invitee), Error> {
    let (name, env) = (org::parse_name(name)?, system.app().env.clone());
    let id: OrgId = env.id();
    let owner = User { validated: false, ..new_user(&env, id, email, Role::Owner, ["", ""])? };
    system.administer(id, move |tx, grant| {
        let org = add_org(tx, id, name, grant.at)?;
        let owner = add_invited(tx, &env, owner, grant.at)?;
        let invited = Event::UserCreated { user: owner.user.id, role: owner.user.role, invited: true };
        Ok(((org, owner), [Event::OrgCreated { org: id }, invited]))
    })
}

/// Creates a user without an invitation, who acts by access tokens alone.
pub fn create_user(
    system: &System,
    org: &str,
    email: &str,
    role: Role,
    name: &str,
    last_name: &str,
) -> Result<User, Error> {
    let org = OrgId::parse(org).ok_or_else(unknown_org)?;
    let user = new_user(&system.app().env, org, email, role, [name, last_name])?;
    system.administer(org, move |tx, grant| {
        must_exist(tx, org)?;
        add_user(tx, &user, grant.at)?;
        let event = Event::UserCreated { user: user.id, role, invited: false };
        Ok((user, event))
    })
}

/// Creates a user with an invitation.
pub fn invite_user(
    system: &System,
    org: &str,
    email: &str,
    role: Role,
    name: &str,
    last_name: &str,
) -> Result<Invitee, Error> {
    let (org, env) = (OrgId::parse(org).ok_or_else(unknown_org)?, system.app().env.clone());
    let user = User { validated: false, ..new_user(&env, org, email, role, [name, last_name])? };
    system.administer(org, move |tx, grant| {
        must_exist(tx, org)?;
        let invitee = add_invited(tx, &env, user, grant.at)?;
        let event = Event::UserCreated { user: invitee.user.id, role, invited: true };
        Ok((invitee, event))
    })
}

/// Removes the password of a user, named by email address or id, ends their sessions, and creates an invitation to set
/// a new password. The user's access tokens stay valid.
pub fn reset_password(system: &System, user: &str) -> Result<Invitee, Error> {
    let user = system.read(|tx| user_named(tx, user))?;
    let env = system.app().env.clone();
    system.administer(user.org, move |tx, grant| {
        store::user::clear_password(tx, user.id)?;
        let sessions_ended = store::token::revoke_sessions(tx, user.id, None, grant.at)?;
        let (secret, ends) = invitation::give(tx, &env, user.id, grant.at)?;
        let events = [Event::PasswordChanged { user: user.id, sessions_ended }, Event::UserInvited { user: user.id }];
        Ok((Invitee { user, secret, ends }, events))
    })
}

/// Creates an access token for a user, named by email address or id.
pub fn create_token(system: &System, user: &str, ttl: Ttl) -> Result<(SecretString, Token), Error> {
    let user = system.read(|tx| user_named(tx, user))?;
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

/// Returns a user who is not deleted, named by email address or id.
fn user_named(tx: &ReadTx<'_>, name: &str) -> Result<User, Error> {
    let found = match UserId::parse(name) {
        Some(id) => store::user::find(tx, id)?,
        None => store::user::find_by_email(tx, name)?,
    };
    found
        .filter(|user| user.deleted_at.is_none())
        .ok_or_else(|| Error::new(ErrorKind::Missing, "USER_NOT_FOUND", "No such user: see `orgkeys user list`"))
}

fn new_user(
    env: &Environment,
    org: OrgId,
    email: &str,
    role: Role,
    [name, last_name]: [&str; 2],
) -> Result<User, Error> {
    Ok(User {
        id: env.id(),
        org,
        email: user::parse_email(email)?,
        name: text::parse("name", name, 0..=100)?,
        last_name: text::parse("last-name", last_name, 0..=100)?,
        role,
        validated: true,
        deleted_at: None,
    })
}

fn add_org(tx: &WriteTx<'_>, id: OrgId, name: String, now: Time) -> Result<Org, Error> {
    let org = Org { id, name, created_at: now, about: About::default() };
    store::org::insert(tx, &org)?;
    Ok(org)
}

fn add_user(tx: &WriteTx<'_>, user: &User, now: Time) -> Result<(), Error> {
    if store::user::insert(tx, user, None, now)? { Ok(()) } else { Err(super::user::email_taken()) }
}

fn add_invited(tx: &WriteTx<'_>, env: &Environment, user: User, now: Time) -> Result<Invitee, Error> {
    add_user(tx, &user, now)?;
    let (secret, ends) = invitation::give(tx, env, user.id, now)?;
    Ok(Invitee { user, secret, ends })
}

fn must_exist(tx: &ReadTx<'_>, org: OrgId) -> Result<(), Error> {
    if store::org::exists(tx, org)? { Ok(()) } else { Err(unknown_org()) }
}

fn unknown_org() -> Error {
    Error::new(ErrorKind::Missing, "UNKNOWN_ORGANIZATION", "No such organization: see `orgkeys org list`")
}
