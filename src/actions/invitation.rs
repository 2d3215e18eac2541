//! What may be done with an invitation? Given, which ends the one before, and taken once, within three days.

use secrecy::{ExposeSecret, SecretString};

use super::password::PasswordHash;
use crate::crypto::secret::{self, TokenDigest};
use crate::domain::event::Event;
use crate::domain::id::UserId;
use crate::domain::session::INVITATION_TTL;
use crate::domain::time::Time;
use crate::engine::app::App;
use crate::engine::caller::{Caller, Identity, Origin};
use crate::engine::environment::Environment;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::rule::Rule;
use crate::store::{self, ReadTx, WriteTx};

/// An invitation that was good when it was looked at.
#[derive(Clone, Copy)]
pub struct Invited {
    digest: TokenDigest,
    user: UserId,
}

/// Whose invitation it is, if it is good; asked before a password is hashed, so that only who has one can ask for that work.
pub fn check(app: &App, token: &str) -> Result<Invited, Error> {
    let digest = secret::SecretKind::Invitation.digest(token).ok_or_else(invalid)?;
    let now = app.now();
    let user = app.pre_auth(|tx| good(tx, &digest, now))?;
    Ok(Invited { digest, user })
}

/// Takes an invitation: its person has this password, and their account.
pub fn take(app: &App, origin: Origin, invited: Invited, password: PasswordHash) -> Result<(), Error> {
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
    taken.wait().map_err(|error| if error.kind == ErrorKind::Unauthenticated { invalid() } else { error })
}

/// Gives a person an invitation, and says when it ends.
pub(super) fn give(
    tx: &WriteTx<'_>,
    env: &Environment,
    user: UserId,
    now: Time,
) -> Result<(SecretString, Time), Error> {
    let secret = secret::SecretKind::Invitation.fresh(&mut env.rng());
    let digest = secret::SecretKind::Invitation
        .digest(secret.expose_secret())
        .ok_or_else(|| Error::internal("a fresh invitation is malformed"))?;
    let ends = now.plus(INVITATION_TTL);
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
    Error::new(ErrorKind::Invalid, "INVALID_TOKEN", message)
}
