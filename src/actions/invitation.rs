//! Invitations: a new one replaces the previous one, and each can be accepted once, within three days.

use std::sync::Arc;

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
use crate::engine::setup::Setup;
use crate::store::{self, ReadTx, WriteTx};

/// An invitation that was valid when it was checked.
#[derive(Clone, Copy)]
pub struct Invited {
    digest: TokenDigest,
    user: UserId,
}

/// Checks an invitation. Called before a password is hashed, so that only the holder of a valid invitation can cause
/// that work.
pub fn check(app: &App, token: &str) -> Result<Invited, Error> {
    let digest = secret::SecretKind::Invitation.digest(token).ok_or_else(invalid)?;
    let now = app.now();
    let user = app.pre_auth(|tx| good(tx, &app.setup, &digest, now))?;
    Ok(Invited { digest, user })
}

/// Accepts an invitation: sets the password of its user and validates the account. Returns the address to sign in with.
pub fn take(app: &App, origin: Origin, invited: Invited, password: PasswordHash) -> Result<String, Error> {
    let Invited { digest, user } = invited;
    let caller = Caller::proven(Identity::Proven { user }, origin);
    let setup = Arc::clone(&app.setup);
    let taken = app.record(&caller, Rule::SignsIn, move |tx, grant| {
        // It may have been accepted meanwhile.
        if good(tx, &setup, &digest, grant.at)? != user
            || !store::user::set_password(tx, user, None, password.as_str())?
        {
            return Err(invalid());
        }
        let email = store::user::find(tx, user)?.ok_or_else(invalid)?.email;
        Ok((email, Event::UserVerified { user }))
    });
    // If the user was deleted meanwhile, the invitation is invalid, and the caller need not know why.
    taken.wait().map_err(|error| if error.kind == ErrorKind::Unauthenticated { invalid() } else { error })
}

/// Creates an invitation for a user. Returns it with its expiry.
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

/// Returns the user of a valid invitation, or the owner for whom the link that sets up the server is valid.
fn good(tx: &ReadTx<'_>, setup: &Setup, digest: &TokenDigest, now: Time) -> Result<UserId, Error> {
    if let Some((user, _)) = store::invitation::find(tx, digest)?.filter(|(_, ends)| now < *ends) {
        return Ok(user);
    }
    setup.owner(tx, digest, now)?.ok_or_else(invalid)
}

/// The same error for an unknown, an accepted, a replaced and an expired invitation.
fn invalid() -> Error {
    let message = "The invitation is invalid or has expired: ask an administrator for a new one";
    Error::new(ErrorKind::Invalid, "INVALID_TOKEN", message)
}
