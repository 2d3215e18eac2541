//! Authenticates a credential, and applies the rate limits of its holder.

use super::access;
use super::app::App;
use super::caller::{Caller, Identity, LocalAdministrator, Origin};
use super::error::Error;
use crate::crypto::secret::{self, TokenDigest};
use crate::domain::id::OrgId;
use crate::store;

/// The credential of a request.
#[derive(Clone, Copy, Debug)]
pub enum Credential<'a> {
    /// A user's access token.
    Token(&'a str),
    /// A service's API key.
    ApiKey(&'a str),
    /// The token of a web session, in two halves.
    WebSession {
        /// The half in the cookie; `None` if there is no cookie.
        cookie: Option<&'a str>,
        /// The half that the page sends.
        bearer: &'a str,
    },
}

/// Returns the caller that a credential proves. A malformed one is refused before any lookup. Never waits for a write
/// or a long read, so it may be called on an async thread.
pub fn authenticate(app: &App, credential: Credential<'_>, origin: Origin) -> Result<Caller, Error> {
    let identity = match credential {
        Credential::Token(text) => person(app, &token(text)?)?,
        Credential::ApiKey(text) => service(app, text, &origin)?,
        Credential::WebSession { cookie, bearer } => person(app, &web_session(cookie, bearer)?)?,
    };
    Ok(Caller::proven(identity, origin))
}

/// Returns the server's administrator as the caller of a request. They act in the organization that the request names, or
/// in the only one.
pub fn administrator(app: &App, _: LocalAdministrator, named: Option<&str>, origin: Origin) -> Result<Caller, Error> {
    let org = app.pre_auth(|tx| {
        if let Some(named) = named {
            return access::existing(tx, OrgId::parse(named)).map(Some);
        }
        let orgs = store::org::list(tx, 2)?;
        Ok(if let [only] = &orgs[..] { Some(only.id) } else { None })
    })?;
    Ok(Caller::proven(Identity::Administrator { org }, origin))
}

/// Takes one call from the rate limits of the credential, the user and the organization.
pub fn admit(app: &App, caller: &Caller) -> Result<(), Error> {
    caller.credential().map_or(Ok(()), |(org, credential)| app.limiter.admit_caller(org, credential))
}

/// Charges the same limits for a call that changes `rows` rows.
pub(crate) fn charge(app: &App, caller: &Caller, rows: usize) {
    if let Some((org, credential)) = caller.credential() {
        app.limiter.charge(org, credential, rows);
    }
}

/// Returns the digest of an access token.
fn token(text: &str) -> Result<TokenDigest, Error> {
    secret::SecretKind::AccessToken.digest(text).ok_or_else(|| {
        let message = "The access token is incomplete or mistyped. It is `okp_` and 36 letters and digits, the last of which are a checksum: copy it again";
        Error::unauthenticated("MALFORMED_TOKEN", message)
    })
}

/// Returns the digest of a web session's two halves.
fn web_session(cookie: Option<&str>, bearer: &str) -> Result<TokenDigest, Error> {
    let Some(cookie) = cookie else {
        let message = "The web session's cookie is missing: sign in again in this browser";
        return Err(Error::unauthenticated("NO_SESSION_COOKIE", message));
    };
    secret::web_session_digest(cookie, bearer).ok_or_else(|| {
        let message = "The web session's token or its cookie is incomplete: sign in again";
        Error::unauthenticated("MALFORMED_TOKEN", message)
    })
}

fn person(app: &App, digest: &TokenDigest) -> Result<Identity, Error> {
    let standing = match app.index().token(digest) {
        Some(standing) => access::valid(Some((*standing).clone()), app.now())?,
        // It is not valid. Whether it was revoked or never existed is on disk.
        None => access::valid(app.pre_auth(|tx| Ok(store::token::find_by_digest(tx, digest)?))?, app.now())?,
    };
    Ok(Identity::User { token: standing.token.id, user: standing.token.user, org: standing.org })
}

fn service(app: &App, text: &str, origin: &Origin) -> Result<Identity, Error> {
    let Some(digest) = secret::SecretKind::ApiKey.digest(text) else {
        let message = "The API key is incomplete or mistyped. It is `oka_` and 36 letters and digits, the last of which are a checksum: copy it again";
        return Err(Error::unauthenticated("MALFORMED_API_KEY", message));
    };
    let key = app.index().api_key(&digest);
    let standing = access::usable(key.as_ref().map(|key| &key.standing), app.now())?;
    if let Some(key) = &key {
        key.touch(app.now(), origin.address);
    }
    Ok(Identity::ApiKey { key: standing.id, org: standing.org })
}
