//! Access tokens that users create for themselves. The secret is returned once and never stored.

pub mod ending;

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::crypto::secret::SecretKind;
use crate::domain::event::Event;
use crate::domain::id::TokenId;
use crate::domain::time::Time;
use crate::domain::user::{MOST_TOKENS, Token};
use crate::engine::access;
use crate::engine::app::App;
use crate::engine::caller::Caller;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::pending::Pending;
use crate::engine::rule::Rule;
use crate::store;

/// An access token to create.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// What the user calls it.
    pub name: String,
    /// How long it is valid.
    pub ttl: Duration,
}

/// A new access token.
#[derive(Debug)]
pub struct CreatedToken {
    /// Its id.
    pub id: TokenId,
    /// What the user calls it.
    pub name: String,
    /// When it expires.
    pub expires_at: Time,
    /// The secret, which is returned only once.
    pub secret: SecretString,
}

/// Creates an access token that acts for the caller, with the role that the caller has at the time of each call.
pub fn create(app: &App, caller: &Caller, new: NewToken) -> Pending<CreatedToken> {
    let env = app.env.clone();
    app.record(caller, Rule::ManagesOwnSessions, move |tx, grant| {
        let user = grant.user.ok_or_else(|| Error::internal("a token without a user"))?;
        // The token would never be asked for a password, and outlive the web session.
        access::knows_password(grant)?;
        if store::session::count_tokens(tx, user, grant.at)? >= MOST_TOKENS {
            return Err(limit_reached());
        }
        store::session::forget_ended(tx, user, grant.at)?;
        let secret = SecretKind::AccessToken.fresh(&mut env.rng());
        let digest = SecretKind::AccessToken.digest(secret.expose_secret());
        let digest = digest.ok_or_else(|| Error::internal("a fresh token is malformed"))?;
        let NewToken { name, ttl } = new;
        let (id, expires_at) = (env.id(), grant.at.plus(ttl));
        let token = Token {
            id,
            user,
            name: Some(name.clone()),
            created_at: grant.at,
            expires_at: Some(expires_at),
            revoked_at: None,
            last_used: None,
        };
        if !store::token::insert(tx, &token, &digest)? {
            return Err(Error::internal("a fresh token is in use"));
        }
        let event = Event::TokenCreated { token: id, user, expires: token.expires_at };
        Ok((CreatedToken { id, name, expires_at, secret }, event))
    })
}

fn limit_reached() -> Error {
    let message = format!(
        "You have {MOST_TOKENS} valid access tokens, which is the maximum: revoke those that you no longer use \
        (GET /token lists them, DELETE /token/{{tokenId}} revokes one), then try again"
    );
    Error::new(ErrorKind::Invalid, "TOKEN_LIMIT_REACHED", message)
}
