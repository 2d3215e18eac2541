//! Sessions: sign in with a password, renew with a single-use refresh token, list, sign out.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::login_throttle::{self, PasswordCheck};
use crate::crypto::password::{self, PasswordMatch};
use crate::crypto::secret::{self, TokenDigest};
use crate::domain::event::Event;
use crate::domain::id::{TokenId, UserId};
use crate::domain::session::{ACCESS_TTL, OwnToken, REFRESH_TTL, Session};
use crate::domain::time::Time;
use crate::domain::user::User;
use crate::engine::access::Grant;
use crate::engine::app::App;
use crate::engine::caller::{Caller, CredentialId, Identity, Origin};
use crate::engine::environment::Environment;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::pending::Pending;
use crate::engine::rule::Rule;
use crate::store::login_attempt::Network;
use crate::store::session::{Refresh, RefreshUsage};
use crate::store::{self, ReadTx, WriteTx};

/// The credentials of a login.
#[derive(Debug)]
pub struct Login {
    /// The email address of the account.
    pub email: String,
    /// The password to check.
    pub password: SecretString,
    /// The client's description of the device.
    pub device: Option<String>,
}

/// The two tokens of a session, which are returned only once, and the expiry of the access token.
#[derive(Debug)]
pub struct Tokens {
    /// The access token.
    pub access: SecretString,
    /// The refresh token, which renews both tokens once.
    pub refresh: SecretString,
    /// When the access token expires.
    pub expires_at: Time,
}

/// A new session.
#[derive(Debug)]
pub struct LoggedIn {
    /// Its id.
    pub session: TokenId,
    /// The user who signed in.
    pub user: User,
    /// Its tokens.
    pub tokens: Tokens,
}

/// Checks that a password may be attempted for this account from this network. Called before the request takes a slot
/// for password work, so that callers beyond the limits do not take slots from others.
pub fn check(app: &App, origin: &Origin, login: &Login) -> Result<(), Error> {
    let found = app.pre_auth(|tx| with_address(tx, &login.email))?;
    login_throttle::look(app, origin, PasswordCheck { email: &login.email, user: found.as_ref(), hash: None })
}

/// Signs in with a password, and starts a session.
///
/// Blocks for as long as a hash and a commit take.
pub fn log_in(app: &App, origin: &Origin, login: &Login) -> Result<LoggedIn, Error> {
    let (id, device, fresh) = (app.env.id(), login.device.clone(), Fresh::new(&app.env)?);
    prove(app, origin, login, move |tx, grant, user| begin(tx, grant, user, fresh, (id, device)))
}

/// Verifies a password and signs its user in with `start`. An unknown address and a wrong password return the same error,
/// after the same work.
pub(super) fn prove<T: Send + 'static>(
    app: &App,
    origin: &Origin,
    login: &Login,
    start: impl FnOnce(&WriteTx<'_>, &Grant, User) -> Result<(T, Vec<Event>), Error> + Send + 'static,
) -> Result<T, Error> {
    let Login { email, password, .. } = login;
    let found = app.pre_auth(|tx| with_password(tx, email))?;
    let (user, hash) = found.map_or((None, None), |(user, hash)| (Some(user), hash));
    let check = PasswordCheck { email, user: user.as_ref(), hash: hash.as_deref() };
    let verdict = login_throttle::compare(app, origin, check, password, wrong())?;
    // A right password always belongs to a user.
    let user = user.ok_or_else(|| Error::internal("a password without a user"))?;
    if user.deleted_at.is_some() || !user.validated {
        let inactive = inactive();
        app.refusals.count_login(user.org, inactive.code, origin.address, app.now());
        return Err(inactive);
    }
    let better = match verdict {
        PasswordMatch::RightButWeak => Some(password::hash(password, &mut app.env.rng()).map_err(Error::internal)?),
        PasswordMatch::Right | PasswordMatch::Wrong => None,
    };
    let network = Network::of(origin.address);
    let signed_in = app.record(&proven(user.id, origin), Rule::SignsIn, move |tx, grant| {
        // The password may have been changed since it was verified.
        if store::user::password(tx, user.id)? != hash {
            return Err(wrong());
        }
        if let Some(better) = better {
            store::user::rehash_password(tx, user.id, &better)?;
        }
        store::login_attempt::know(tx, user.id, network, grant.at)?;
        start(tx, grant, user)
    });
    // The user was deleted meanwhile.
    signed_in.wait().map_err(|error| if error.code == "TOKEN_REVOKED" { inactive() } else { error })
}

fn with_password(tx: &ReadTx<'_>, email: &str) -> Result<Option<(User, Option<String>)>, Error> {
    let Some(user) = with_address(tx, email)? else { return Ok(None) };
    let hash = store::user::password(tx, user.id)?;
    Ok(Some((user, hash)))
}

/// Returns the user who signs in with this address. If nobody has it, returns the last who had it before they were
/// deleted, so that they are told that their account is not active.
fn with_address(tx: &ReadTx<'_>, email: &str) -> Result<Option<User>, Error> {
    Ok(match store::user::find_by_email(tx, email)? {
        Some(user) => Some(user),
        None => store::user::find_deleted_by_email(tx, email)?,
    })
}

fn begin(
    tx: &WriteTx<'_>,
    grant: &Grant,
    user: User,
    fresh: Fresh,
    (id, device): (TokenId, Option<String>),
) -> Result<(LoggedIn, Vec<Event>), Error> {
    let now = grant.at;
    let mut events = make_room(tx, user.id, now)?;
    let (expires_at, refresh_until) = ends(now);
    let session = Session { id, user: user.id, created_at: now, expires_at, refresh_until, device };
    store::session::insert(tx, &session, &fresh.access.1, &fresh.refresh.1)?;
    events.push(Event::LoggedIn { session: id, user: user.id });
    Ok((LoggedIn { session: id, user, tokens: fresh.tokens(expires_at) }, events))
}

/// Removes sessions that ended long ago, and ends those that are too many with a new one.
pub(super) fn make_room(tx: &WriteTx<'_>, user: UserId, now: Time) -> Result<Vec<Event>, Error> {
    store::session::forget_ended(tx, user, now)?;
    let ended = store::session::make_room(tx, user, now)?;
    Ok(ended.into_iter().map(|token| Event::TokenRevoked { token, user }).collect())
}

/// Renews a session and consumes the refresh token. A token that was used a moment ago is refused. One that was used
/// earlier ends its session, because one of its two users must have stolen it; then the inner result is the error.
pub fn refresh(app: &App, origin: &Origin, token: &SecretString) -> Pending<Result<Tokens, Error>> {
    let (digest, found) = match find(app, token) {
        Ok(Some(found)) => found,
        Ok(None) => return Pending::refused(invalid_refresh()),
        Err(error) => return Pending::refused(error),
    };
    // Each refresh adds a row and an audit entry, so it counts against the rate limits like any other call.
    let admitted = app.limiter.admit_caller(found.org, CredentialId::Token(found.session, found.user));
    let fresh = match admitted.and_then(|()| Fresh::new(&app.env)) {
        Ok(fresh) => fresh,
        Err(error) => return Pending::refused(error),
    };
    let caller = proven(found.user, origin);
    let work = move |tx: &WriteTx<'_>, grant: &Grant| {
        // The token may have been used, or its session ended, since the lookup.
        let found = standing(tx, &digest, grant.at)?.ok_or_else(invalid_refresh)?;
        let Refresh { session, user, .. } = found;
        match found.usage(grant.at) {
            RefreshUsage::First => store::session::spend_refresh(tx, &digest, grant.at)?,
            RefreshUsage::Repeated => return Err(already_used()),
            RefreshUsage::Reused => {
                store::session::end(tx, user, session, grant.at)?;
                return Ok((Err(invalid_refresh()), Event::RefreshReused { session, user }));
            }
        }
        let (expires_at, until) = ends(grant.at);
        let (access, refresh) = (&fresh.access.1, &fresh.refresh.1);
        store::session::renew(tx, session, (access, expires_at), (refresh, until), grant.at)?;
        Ok((Ok(fresh.tokens(expires_at)), Event::SessionRefreshed { session, user }))
    };
    match found.usage(app.now()) {
        RefreshUsage::First => app.record(&caller, Rule::SignsIn, work),
        RefreshUsage::Repeated => Pending::refused(already_used()),
        RefreshUsage::Reused => app.revoke(&caller, Rule::SignsIn, work),
    }
}

/// Ends the session of a refresh token, used or not. Returns `None` if the token is not valid, so that there is nothing
/// to end.
pub fn log_out(app: &App, origin: &Origin, token: &SecretString) -> Result<Option<Pending<()>>, Error> {
    let Some((digest, found)) = find(app, token)? else { return Ok(None) };
    Ok(Some(app.revoke(&proven(found.user, origin), Rule::SignsIn, move |tx, grant| {
        let Some(found) = standing(tx, &digest, grant.at)? else { return Ok(((), None)) };
        let Refresh { session, user, .. } = found;
        store::session::end(tx, user, session, grant.at)?;
        let event = match found.usage(grant.at) {
            RefreshUsage::Reused => Event::RefreshReused { session, user },
            RefreshUsage::First | RefreshUsage::Repeated => Event::TokenRevoked { token: session, user },
        };
        Ok(((), Some(event)))
    })))
}

/// Returns the caller's valid sessions and other access tokens, newest first.
pub fn list(app: &App, caller: &Caller) -> Pending<Vec<OwnToken>> {
    app.read(caller, &Rule::ManagesOwnSessions, |tx, grant| {
        let user = own(grant)?;
        let tokens = store::session::list(tx, user, grant.at)?;
        let event = Event::SessionsListed { user, count: tokens.len() };
        Ok((tokens, event))
    })
}

/// Ends one of the caller's own sessions or other access tokens.
pub fn end(app: &App, caller: &Caller, token: Option<TokenId>) -> Pending<()> {
    app.revoke(caller, Rule::ManagesOwnSessions, move |tx, grant| {
        let (user, token) = (own(grant)?, token.ok_or_else(no_such_token)?);
        if !store::session::end(tx, user, token, grant.at)? {
            return Err(no_such_token());
        }
        Ok(((), Event::TokenRevoked { token, user }))
    })
}

/// Two new tokens, with the digests that they are stored by.
struct Fresh {
    access: (SecretString, TokenDigest),
    refresh: (SecretString, TokenDigest),
}

impl Fresh {
    fn new(env: &Environment) -> Result<Self, Error> {
        let mut rng = env.rng();
        let mut fresh = |kind: secret::SecretKind| {
            let secret = kind.fresh(&mut rng);
            let digest = kind.digest(secret.expose_secret());
            digest.map(|digest| (secret, digest)).ok_or_else(|| Error::internal("a fresh token is malformed"))
        };
        Ok(Self { access: fresh(secret::SecretKind::AccessToken)?, refresh: fresh(secret::SecretKind::RefreshToken)? })
    }

    fn tokens(self, expires_at: Time) -> Tokens {
        Tokens { access: self.access.0, refresh: self.refresh.0, expires_at }
    }
}

/// Returns when an access token and a session that begin or are renewed now expire.
fn ends(now: Time) -> (Time, Time) {
    let after = |ttl: Duration| now.plus(ttl);
    (after(ACCESS_TTL), after(REFRESH_TTL))
}

/// Returns the session that a refresh token renews, if the token is valid.
fn find(app: &App, token: &SecretString) -> Result<Option<(TokenDigest, Refresh)>, Error> {
    let Some(digest) = secret::SecretKind::RefreshToken.digest(token.expose_secret()) else { return Ok(None) };
    let now = app.now();
    Ok(app.pre_auth(|tx| standing(tx, &digest, now))?.map(|found| (digest, found)))
}

fn standing(tx: &ReadTx<'_>, digest: &TokenDigest, now: Time) -> Result<Option<Refresh>, Error> {
    Ok(store::session::find_by_refresh(tx, digest)?.filter(|refresh| refresh.stands(now)))
}

fn proven(user: UserId, origin: &Origin) -> Caller {
    Caller::proven(Identity::Proven { user }, origin.clone())
}

fn own(grant: &Grant) -> Result<UserId, Error> {
    grant.user.ok_or_else(|| Error::internal("a token without a user"))
}

fn wrong() -> Error {
    Error::unauthenticated("INVALID_CREDENTIALS", "Wrong email address or password")
}

fn inactive() -> Error {
    Error::unauthenticated("USER_INACTIVE", "The account is not active: ask an administrator of your organization")
}

/// The error for an invalid refresh token, whatever the reason.
fn invalid_refresh() -> Error {
    Error::unauthenticated("INVALID_REFRESH_TOKEN", "The refresh token is no longer valid: sign in again")
}

/// The error for a refresh token that was used a moment ago. The session goes on with the tokens of the first use.
fn already_used() -> Error {
    let message = "The refresh token was used a moment ago, perhaps by another tab: go on with the tokens that this use \
        returned. The session has not ended";
    Error::unauthenticated("REFRESH_ALREADY_USED", message)
}

fn no_such_token() -> Error {
    Error::new(ErrorKind::Missing, "TOKEN_NOT_FOUND", "Token not found")
}
