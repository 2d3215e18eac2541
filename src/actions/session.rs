//! Whose credential is it, and what may its holder know of themselves?

use super::access::{self, Rule};
use super::app::{App, Pending};
use super::caller::{Caller, Identity, Origin};
use super::error::Error;
use crate::crypto::secret;
use crate::domain::event::Event;
use crate::domain::user::User;
use crate::store;

/// The caller whom an access token proves. A token of the wrong shape is refused before the store is asked. Never waits
/// for a write or a long read, so an async thread may call it.
pub fn authenticate(app: &App, token: &str, origin: Origin) -> Result<Caller, Error> {
    let Some(digest) = secret::access_token_digest(token) else {
        let message = "The access token is malformed: it is `okp_` and 36 letters and digits, copied whole";
        return Err(Error::unauthenticated("MALFORMED_TOKEN", message));
    };
    let standing = app.look_up(|tx| Ok(store::token::find_by_digest(tx, &digest)?))?;
    let standing = access::valid(standing, app.now())?;
    app.limiter.admit_caller(standing.token.id)?;
    let identity = Identity::User { token: standing.token.id, user: standing.token.user };
    Ok(Caller { identity, origin })
}

/// The caller's own profile.
pub fn profile(app: &App, caller: &Caller) -> Pending<User> {
    app.read(caller, &Rule::SeesOwnProfile, |tx, grant| {
        let user = match grant.user {
            Some(id) => store::user::find(tx, id)?,
            None => None,
        };
        let user = user.ok_or_else(|| Error::internal("a token without a user"))?;
        let event = Event::ProfileRead { user: user.id };
        Ok((user, event))
    })
}
