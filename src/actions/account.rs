//! The caller's own account: its profile, name and password.

use secrecy::SecretString;

use super::login_throttle::{self, PasswordCheck};
use super::password::{self, PasswordHash};
use super::user::{self, InvitedUser};
use crate::domain::event::Event;
use crate::domain::id::UserId;
use crate::domain::org::Org;
use crate::domain::user::User;
use crate::engine::access::Grant;
use crate::engine::app::App;
use crate::engine::caller::{Caller, Identity};
use crate::engine::error::{Error, ErrorKind};
use crate::engine::pending::Pending;
use crate::engine::rule::Rule;
use crate::store::{self, ReadTx};

/// The new names; `None` leaves a name unchanged.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the fields are those of a person")]
pub struct Names {
    pub name: Option<String>,
    pub last_name: Option<String>,
}

/// A user whose password is about to change, and the hash of the current password, if there is one.
pub struct CurrentPassword {
    person: User,
    hash: Option<String>,
}

/// The hash of a new password, and the hash of the one that it replaces.
pub struct NewPassword {
    stored: Option<String>,
    hash: PasswordHash,
}

/// Returns the caller's own profile and organization.
pub fn profile(app: &App, caller: &Caller) -> Pending<(User, Org)> {
    app.read(caller, &Rule::SeesOwnProfile, |tx, grant| {
        let user = match grant.user {
            Some(id) => store::user::find(tx, id)?,
            None => None,
        };
        let user = user.ok_or_else(|| Error::internal("a token without a user"))?;
        let org = store::org::find(tx, user.org)?.ok_or_else(|| Error::internal("a user without an organization"))?;
        let event = Event::ProfileRead { user: user.id };
        Ok(((user, org), event))
    })
}

/// Returns an account: the caller's own, or another one if the caller may see people.
pub fn get(app: &App, caller: &Caller, user: Option<UserId>) -> Pending<InvitedUser> {
    let own = matches!(caller.identity, Identity::User { user: own, .. } if user == Some(own));
    if !own {
        return user::get(app, caller, user);
    }
    app.read(caller, &Rule::SeesOwnProfile, |tx, grant| {
        let person = user::person(tx, grant, user)?;
        let event = Event::UserRead { user: person.id };
        Ok((user::invited(tx, grant, person)?, event))
    })
}

/// Returns the current password, which the caller must prove before setting a new one.
pub fn current_password(app: &App, caller: &Caller, user: Option<UserId>) -> Result<CurrentPassword, Error> {
    app.consult(caller, &Rule::ManagesOwnAccount, |tx, grant| {
        let person = own(tx, grant, user)?;
        Ok(CurrentPassword { hash: store::user::password(tx, person.id)?, person })
    })
}

/// Verifies the current password, if there is one, and hashes the new one. Attempts count against the same limits as
/// logins.
pub fn renew(
    app: &App,
    caller: &Caller,
    stored: CurrentPassword,
    current: Option<&SecretString>,
    new: &SecretString,
) -> Result<NewPassword, Error> {
    if let Some(hash) = &stored.hash {
        let missing = || {
            let message = "currentPassword is required, because the account has a password";
            Error::new(ErrorKind::Invalid, "INVALID_FIELD", message)
        };
        let check = PasswordCheck { email: &stored.person.email, user: Some(&stored.person), hash: Some(hash) };
        login_throttle::compare(app, &caller.origin, check, current.ok_or_else(missing)?, wrong_password())?;
    }
    Ok(NewPassword { stored: stored.hash, hash: password::hash(app, new)? })
}

/// Changes the caller's own names and password. A new password ends the caller's other sessions.
pub fn update(
    app: &App,
    caller: &Caller,
    user: Option<UserId>,
    names: Names,
    password: Option<NewPassword>,
) -> Pending<()> {
    let in_use = if let Identity::User { token, .. } = caller.identity { Some(token) } else { None };
    app.record(caller, Rule::ManagesOwnAccount, move |tx, grant| {
        let person = own(tx, grant, user)?;
        let mut events = Vec::new();
        if let Some(NewPassword { stored, hash }) = password {
            if !store::user::set_password(tx, person.id, stored.as_deref(), hash.as_str())? {
                // The password was changed after it was verified.
                return Err(wrong_password());
            }
            let sessions_ended = store::token::revoke_sessions(tx, person.id, in_use, grant.at)?;
            events.push(Event::PasswordChanged { user: person.id, sessions_ended });
        }
        if names.name.is_some() || names.last_name.is_some() || events.is_empty() {
            let name = names.name.unwrap_or(person.name);
            let last_name = names.last_name.unwrap_or(person.last_name);
            store::user::rename(tx, person.id, &name, &last_name)?;
            events.push(Event::UserUpdated { user: person.id });
        }
        Ok(((), events))
    })
}

/// Returns the caller's own user, if `user` is the caller.
fn own(tx: &ReadTx<'_>, grant: &Grant, user: Option<UserId>) -> Result<User, Error> {
    if user.is_none() || user != grant.user {
        return Err(Error::denied("Access denied: you can only change your own account"));
    }
    user::person(tx, grant, user)
}

fn wrong_password() -> Error {
    Error::new(ErrorKind::Invalid, "WRONG_PASSWORD", "The current password is wrong")
}
