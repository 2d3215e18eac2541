//! Lists, creates, changes, deletes and activates the users of an organization. A caller cannot act on a role above
//! their own.

use secrecy::SecretString;

use super::invitation;
use super::password::PasswordHash;
use crate::domain::event::Event;
use crate::domain::id::{ApiKeyId, UserId};
use crate::domain::role::Role;
use crate::domain::time::Time;
use crate::domain::user::User;
use crate::engine::access::{self, Grant};
use crate::engine::app::App;
use crate::engine::caller::Caller;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::pending::Pending;
use crate::engine::rule::Rule;
use crate::store::{self, ReadTx, StoreError};

/// The maximum number of API keys that the deletion of their creator names, so that its response and its audit log entry
/// stay short.
const KEYS_NAMED: u32 = 100;

/// A page of users.
#[derive(Clone, Copy, Debug)]
pub struct UserPage {
    /// The number of users to skip.
    pub skip: u32,
    /// The maximum number of users to return.
    pub take: u32,
}

/// A user to create.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are those of a person")]
pub struct NewUser {
    pub email: String,
    pub name: String,
    pub last_name: String,
    pub role: Role,
}

/// The changes of a user; `None` leaves a property unchanged.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the fields are those of a person")]
pub struct UserPatch {
    pub name: Option<String>,
    pub last_name: Option<String>,
    pub role: Option<Role>,
}

/// A user, and when their invitation ends if it is open.
pub type InvitedUser = (User, Option<Time>);

/// The API keys that a deleted user had created and that are still valid: the newest with their names, and how many
/// there are.
#[derive(Clone, Debug)]
pub struct CreatedKeys {
    /// The ids and names of the newest.
    pub newest: Vec<(ApiKeyId, String)>,
    /// How many there are.
    pub total: i64,
}

/// Returns the users of the caller's organization, newest first, including deleted ones, and their total number.
pub fn list(app: &App, caller: &Caller, page: UserPage) -> Pending<(Vec<InvitedUser>, i64)> {
    app.scan(caller, &Rule::SeesPeople, |tx, grant| {
        let (users, total) = store::user::page(tx, grant.org, page.skip, page.take)?;
        let event = Event::UsersListed { org: grant.org, count: users.len() };
        let users = users.into_iter().map(|user| invited(tx, grant, user)).collect::<Result<_, _>>()?;
        Ok(((users, total), event))
    })
}

/// Returns one user of the caller's organization.
pub fn get(app: &App, caller: &Caller, user: Option<UserId>) -> Pending<InvitedUser> {
    app.read(caller, &Rule::SeesPeople, |tx, grant| {
        let person = person(tx, grant, user)?;
        let event = Event::UserRead { user: person.id };
        Ok((invited(tx, grant, person)?, event))
    })
}

/// Adds to a user when their invitation ends. Only users who have not taken their account over have one.
pub(super) fn invited(tx: &ReadTx<'_>, grant: &Grant, user: User) -> Result<InvitedUser, StoreError> {
    let until = if user.validated { None } else { store::invitation::open_until(tx, user.id, grant.at)? };
    Ok((user, until))
}

/// Checks that the caller may create this user, before the password is hashed, which is expensive.
pub fn check_new(app: &App, caller: &Caller, new: &NewUser) -> Result<(), Error> {
    app.consult(caller, &Rule::AddsPeople, |tx, grant| {
        makes(grant, new.role)?;
        has_room(tx, grant, app.limits.people)?;
        if store::user::find_by_email(tx, &new.email)?.is_some() { Err(email_taken()) } else { Ok(()) }
    })
}

/// Creates a user in the caller's organization. With a password they can sign in immediately; without one, the returned
/// invitation is for them. It comes with its end.
pub fn create(
    app: &App,
    caller: &Caller,
    new: NewUser,
    password: Option<PasswordHash>,
) -> Pending<(User, Option<(SecretString, Time)>)> {
    let (env, most) = (app.env.clone(), app.limits.people);
    app.record(caller, Rule::AddsPeople, move |tx, grant| {
        makes(grant, new.role)?;
        has_room(tx, grant, most)?;
        let NewUser { email, name, last_name, role } = new;
        let (id, validated) = (env.id(), password.is_some());
        let user = User { id, org: grant.org, email, name, last_name, role, validated, deleted_at: None };
        if !store::user::insert(tx, &user, password.as_ref().map(PasswordHash::as_str), grant.at)? {
            return Err(email_taken());
        }
        let invitation = match password {
            Some(_) => None,
            None => Some(invitation::give(tx, &env, id, grant.at)?),
        };
        let event = Event::UserCreated { user: id, role, invited: invitation.is_some() };
        Ok(((user, invitation), event))
    })
}

/// Changes the name or the role of a user.
pub fn update(app: &App, caller: &Caller, user: Option<UserId>, change: UserPatch) -> Pending<InvitedUser> {
    app.record(caller, Rule::ManagesPeople, move |tx, grant| {
        let mut person = standing(tx, grant, user)?;
        let mut events = Vec::new();
        if let Some(role) = change.role.filter(|role| *role != person.role) {
            makes(grant, role)?;
            if !store::user::set_role(tx, person.id, role)? {
                return Err(last_owner());
            }
            events.push(Event::UserRoleChanged { user: person.id, from: person.role, to: role });
            person.role = role;
        }
        if change.name.is_some() || change.last_name.is_some() || events.is_empty() {
            person.name = change.name.unwrap_or(person.name);
            person.last_name = change.last_name.unwrap_or(person.last_name);
            store::user::rename(tx, person.id, &person.name, &person.last_name)?;
            events.push(Event::UserUpdated { user: person.id });
        }
        Ok((invited(tx, grant, person)?, events))
    })
}

/// Changes the role of a user. Returns the previous one.
pub fn set_role(app: &App, caller: &Caller, user: Option<UserId>, role: Role) -> Pending<(UserId, Role)> {
    app.record(caller, Rule::ManagesPeople, move |tx, grant| {
        let person = standing(tx, grant, user)?;
        makes(grant, role)?;
        if !store::user::set_role(tx, person.id, role)? {
            return Err(last_owner());
        }
        let event = Event::UserRoleChanged { user: person.id, from: person.role, to: role };
        Ok(((person.id, person.role), event))
    })
}

/// Soft-deletes a user until they are activated, and permanently revokes their tokens, sessions and invitation. Returns
/// the API keys that they had created: those belong to the organization and stay valid, but the user may know them.
pub fn delete(app: &App, caller: &Caller, user: Option<UserId>) -> Pending<CreatedKeys> {
    app.revoke(caller, Rule::ManagesPeople, move |tx, grant| {
        let person = within_reach(tx, grant, user)?;
        if grant.user == Some(person.id) {
            return Err(Error::new(ErrorKind::Invalid, "CANNOT_DELETE_YOURSELF", "Cannot delete yourself"));
        }
        if person.deleted_at.is_some() {
            return Err(Error::new(ErrorKind::Invalid, "USER_ALREADY_DELETED", "User is already deleted"));
        }
        access::knows_password(grant)?;
        let tokens_ended = store::user::delete(tx, person.id, grant.role, grant.at)?.ok_or_else(last_owner)?;
        let (newest, made) = store::api_key::creator::created_by(tx, person.id, grant.at, KEYS_NAMED)?;
        let api_keys = newest.iter().map(|(id, _)| *id).collect();
        let event = Event::UserDeleted { user: person.id, tokens_ended, api_keys, made };
        Ok((CreatedKeys { newest, total: made }, event))
    })
}

/// Undoes the deletion of a user, whose password is unchanged, unless somebody else has taken their address. Only a
/// caller whose role is not below that of the deleter may do this.
pub fn activate(app: &App, caller: &Caller, user: Option<UserId>) -> Pending<()> {
    app.record(caller, Rule::AddsPeople, move |tx, grant| {
        let person = within_reach(tx, grant, user)?;
        let Some(deleter) = store::user::deleted_by(tx, person.id)? else {
            return Err(Error::new(ErrorKind::Invalid, "USER_NOT_DELETED", "User is already active"));
        };
        if deleter > grant.role {
            return Err(deleted_from_above(deleter));
        }
        if store::user::find_by_email(tx, &person.email)?.is_some() {
            return Err(email_taken());
        }
        makes(grant, person.role)?;
        store::user::activate(tx, person.id)?;
        Ok(((), Event::UserActivated { user: person.id }))
    })
}

/// Creates a new invitation for a user who has not accepted one yet.
pub fn resend_invitation(app: &App, caller: &Caller, user: Option<UserId>) -> Pending<SecretString> {
    let env = app.env.clone();
    app.record(caller, Rule::AddsPeople, move |tx, grant| {
        let person = standing(tx, grant, user)?;
        if person.validated {
            // An invitation sets a password, so for an account in use it would lock out its owner.
            let message = "User is already active: an invitation is only for users who have not accepted one yet";
            return Err(Error::new(ErrorKind::Invalid, "USER_ALREADY_VALIDATED", message));
        }
        makes(grant, person.role)?;
        let (secret, _) = invitation::give(tx, &env, person.id, grant.at)?;
        Ok((secret, Event::UserInvited { user: person.id }))
    })
}

/// Returns a user of the caller's organization. A user of another organization counts as missing.
pub(super) fn person(tx: &ReadTx<'_>, grant: &Grant, id: Option<UserId>) -> Result<User, Error> {
    let found = match id {
        Some(id) => store::user::find(tx, id)?,
        None => None,
    };
    let found = found.filter(|user| user.org == grant.org);
    found.ok_or_else(|| Error::new(ErrorKind::Missing, "USER_NOT_FOUND", "User not found"))
}

/// Returns a user whose role is not above the caller's.
fn within_reach(tx: &ReadTx<'_>, grant: &Grant, id: Option<UserId>) -> Result<User, Error> {
    let person = person(tx, grant, id)?;
    access::reaches(grant, person.role)?;
    Ok(person)
}

/// Checks that the caller may give somebody this role. A web session needs the password for making an OWNER.
fn makes(grant: &Grant, role: Role) -> Result<(), Error> {
    access::reaches(grant, role)?;
    if role == Role::Owner { access::knows_password(grant) } else { Ok(()) }
}

/// As [`within_reach`], for a user who is not deleted.
pub(super) fn standing(tx: &ReadTx<'_>, grant: &Grant, id: Option<UserId>) -> Result<User, Error> {
    let person = within_reach(tx, grant, id)?;
    if person.deleted_at.is_some() {
        return Err(Error::new(ErrorKind::Invalid, "USER_DELETED", "User is deleted: activate them first"));
    }
    Ok(person)
}

/// The error for an email address in use, the same whichever organization has its user. Addresses are unique on the
/// server among users who are not deleted.
pub(super) fn email_taken() -> Error {
    let message = "The email address is already in use on this server, where only one user can have it. Use another \
        address, or ask the server's administrator: `orgkeys user list` shows who has it, and deleting that user frees it";
    Error::new(ErrorKind::Conflict, "EMAIL_TAKEN", message)
}

/// Checks the limit of users. Deleted users count: their rows stay, so that the audit log can name them.
fn has_room(tx: &ReadTx<'_>, grant: &Grant, most: u32) -> Result<(), Error> {
    if store::user::are_fewer_than(tx, grant.org, most)? {
        return Ok(());
    }
    let message = format!(
        "The organization has reached its limit of {most} users, including deleted ones: ask the server's administrator to \
        raise people_max"
    );
    Err(Error::new(ErrorKind::Invalid, "USER_LIMIT_REACHED", message))
}

fn deleted_from_above(deleter: Role) -> Error {
    let who = if deleter == Role::Owner { "an OWNER" } else { "an ADMINISTRATOR or an OWNER" };
    Error::denied(format!("Insufficient permissions: an {deleter} deleted this user, so only {who} can activate them"))
}

fn last_owner() -> Error {
    let message = "This is the last OWNER of the organization: make another user OWNER first";
    Error::new(ErrorKind::Conflict, "LAST_OWNER", message)
}
