//! Web sessions: sessions of browsers, whose access token is in two halves. One is in a cookie, which a page cannot read;
//! the other is with the page, which must send it itself. Neither is worth anything alone.

use secrecy::{ExposeSecret, SecretString};

use super::login_throttle::{self, PasswordCheck};
use super::session::{self, Login};
use crate::crypto::secret::{self, SecretKind};
use crate::domain::event::Event;
use crate::domain::id::{TokenId, UserId};
use crate::domain::session::{PASSWORD_FRESH, Session, web_end};
use crate::domain::time::Time;
use crate::domain::user::User;
use crate::engine::access::Grant;
use crate::engine::app::App;
use crate::engine::caller::{Caller, Origin};
use crate::engine::error::{Error, ErrorKind};
use crate::engine::pending::Pending;
use crate::engine::rule::Rule;
use crate::engine::system::System;
use crate::store;

/// A new web session.
#[derive(Debug)]
pub struct WebSession {
    /// Its id.
    pub id: TokenId,
    /// The user who signed in.
    pub user: User,
    /// The half for the cookie.
    pub cookie: SecretString,
    /// The half for the page.
    pub bearer: SecretString,
    /// When it ends unless it is used.
    pub expires_at: Time,
}

/// A user who is to confirm their password, and its hash.
pub struct Confirming {
    user: User,
    hash: Option<String>,
}

/// Returns what tells the cookies of this server from those of another one on the same host: cookies ignore ports.
pub fn server_mark(system: &System) -> Result<String, Error> {
    let first = system.read(|tx| Ok(store::org::first(tx)?))?;
    Ok(first.map_or_else(String::new, |org| secret::mark(org.as_bytes())))
}

/// Signs in with a password, as [`session::log_in`] does, and starts a web session.
///
/// Blocks for as long as a hash and a commit take.
pub fn log_in(app: &App, origin: &Origin, login: &Login) -> Result<WebSession, Error> {
    let (id, device) = (app.env.id(), login.device.clone());
    let mut rng = app.env.rng();
    let (cookie, bearer) = (SecretKind::WebCookie.fresh(&mut rng), SecretKind::WebSession.fresh(&mut rng));
    let digest = secret::web_session_digest(cookie.expose_secret(), bearer.expose_secret());
    let digest = digest.ok_or_else(|| Error::internal("a fresh web session is malformed"))?;
    session::prove(app, origin, login, move |tx, grant, user| {
        let mut events = session::make_room(tx, user.id, grant.at)?;
        let expires_at = web_end(grant.at, grant.at);
        let session =
            Session { id, user: user.id, created_at: grant.at, expires_at, refresh_until: expires_at, device };
        store::web_session::insert(tx, &session, &digest)?;
        events.push(Event::LoggedIn { session: id, user: user.id });
        Ok((WebSession { id, user, cookie, bearer, expires_at }, events))
    })
}

/// Ends the caller's web session.
pub fn end(app: &App, caller: &Caller) -> Pending<()> {
    app.revoke(caller, Rule::ManagesOwnSessions, |tx, grant| {
        let (token, user) = own(grant)?;
        store::session::end(tx, user, token, grant.at)?;
        Ok(((), Event::TokenRevoked { token, user }))
    })
}

/// Returns the user of the caller's web session, who is to confirm their password, unless they tried too often.
pub fn confirming(app: &App, caller: &Caller) -> Result<Confirming, Error> {
    let found = app.consult(caller, &Rule::ManagesOwnSessions, |tx, grant| {
        let (_, id) = own(grant)?;
        let user = store::user::find(tx, id)?.ok_or_else(|| Error::internal("a token without a user"))?;
        Ok(Confirming { hash: store::user::password(tx, id)?, user })
    })?;
    login_throttle::look(app, &caller.origin, found.check())?;
    Ok(found)
}

/// Confirms that the user of a web session knows their password. Attempts count against the same limits as logins. Returns
/// until when it is not asked for again. May use the disk reserve: on a full disk, too, what is deleted may ask for it.
///
/// Blocks for as long as a hash and a commit take.
pub fn confirm(app: &App, caller: &Caller, confirming: Confirming, password: &SecretString) -> Result<Time, Error> {
    login_throttle::compare(app, &caller.origin, confirming.check(), password, wrong())?;
    let confirmed = app.revoke(caller, Rule::ManagesOwnSessions, move |tx, grant| {
        let (session, user) = own(grant)?;
        // The password may have been changed since it was verified.
        if store::user::password(tx, user)? != confirming.hash {
            return Err(wrong());
        }
        store::web_session::confirm(tx, session, grant.at)?;
        Ok((grant.at.plus(PASSWORD_FRESH), Event::PasswordConfirmed { session, user }))
    });
    confirmed.wait()
}

impl Confirming {
    fn check(&self) -> PasswordCheck<'_> {
        PasswordCheck { email: &self.user.email, user: Some(&self.user), hash: self.hash.as_deref() }
    }
}

/// Returns the web session that acts, and its user.
fn own(grant: &Grant) -> Result<(TokenId, UserId), Error> {
    grant.web_session().ok_or_else(|| {
        let message = "The credential is not a web session, which begins at POST /user/web-session";
        Error::new(ErrorKind::Denied, "NOT_A_WEB_SESSION", message)
    })
}

fn wrong() -> Error {
    Error::new(ErrorKind::Invalid, "WRONG_PASSWORD", "The password is wrong")
}
