//! What may be done with an invitation? Given, which ends the one before, and taken once, within three days.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::access::Rule;
use super::app::App;
use super::caller::{Caller, Identity, Origin};
use super::error::{Error, Kind};
use super::outside::Outside;
use super::password::Hash;
use super::pending::Pending;
use super::user;
use crate::crypto::secret::{self, TokenDigest};
use crate::domain::event::Event;
use crate::domain::id::UserId;
use crate::domain::time::Time;
use crate::store::{self, ReadTx, WriteTx};

/// How long an invitation may be taken.
pub const LIFE: Duration = Duration::from_hours(72);

/// An invitation that was good when it was looked at.
#[derive(Clone, Copy)]
pub struct Invited {
    digest: TokenDigest,
    user: UserId,
}

/// Gives somebody who has not taken their account over yet a new invitation.
pub fn resend(app: &App, caller: &Caller, user: Option<UserId>) -> Pending<SecretString> {
    let outside = app.outside.clone();
    app.record(caller, Rule::AddsPeople, move |tx, grant| {
        let person = user::standing(tx, grant, user)?;
        if person.validated {
            // An invitation sets a password: for an account in use it would take it away from its owner.
            let message = "User has taken their account over already";
            return Err(Error::new(Kind::Invalid, "USER_ALREADY_VALIDATED", message));
        }
        let (secret, _) = give(tx, &outside, person.id, grant.at)?;
        Ok((secret, Event::UserInvited { user: person.id }))
    })
}

/// Whose invitation it is, if it is good; asked before a password is hashed, so that only who has one can ask for that work.
pub fn check(app: &App, token: &str) -> Result<Invited, Error> {
    let digest = secret::Kind::Invitation.digest(token).ok_or_else(invalid)?;
    let now = app.now();
    let user = app.identify(|tx| good(tx, &digest, now))?;
    Ok(Invited { digest, user })
}

/// Takes an invitation: its person has this password, and their account.
pub fn take(app: &App, origin: Origin, invited: Invited, password: Hash) -> Result<(), Error> {
    let Invited { digest, user } = invited;
    let caller = Caller { identity: Identity::Proven { user }, origin };
    let taken = app.record(&caller, Rule::SignsIn, move |tx, grant| {
        // Somebody may have been faster.
        if good(tx, &digest, grant.at)? != user || !store::user::set_password(tx, user, None, password.as_str())? {
            return Err(invalid());
        }
        Ok(((), Event::UserVerified { user }))
    });
    // Whoever was deleted meanwhile has no invitation any more, which is all that its holder needs to know.
    taken.wait().map_err(|error| if error.kind == Kind::Unauthenticated { invalid() } else { error })
}

/// Gives a person an invitation, and says when it ends.
pub(super) fn give(
    tx: &WriteTx<'_>,
    outside: &Outside,
    user: UserId,
    now: Time,
) -> Result<(SecretString, Time), Error> {
    let secret = secret::Kind::Invitation.fresh(&mut outside.rng());
    let digest = secret::Kind::Invitation
        .digest(secret.expose_secret())
        .ok_or_else(|| Error::internal("a fresh invitation is malformed"))?;
    let ends = now.plus(LIFE);
    store::invitation::put(tx, user, &digest, ends)?;
    Ok((secret, ends))
}

fn good(tx: &ReadTx<'_>, digest: &TokenDigest, now: Time) -> Result<UserId, Error> {
    let found = store::invitation::find(tx, digest)?.filter(|(_, ends)| now < *ends);
    found.map(|(user, _)| user).ok_or_else(invalid)
}

/// The same for one that never was, that was taken or replaced, and that has ended.
fn invalid() -> Error {
    let message = "The invitation is not good, or not any more: ask an administrator for another";
    Error::new(Kind::Invalid, "INVALID_TOKEN", message)
}
