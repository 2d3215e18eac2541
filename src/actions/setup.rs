//! Setting up a new server: while no owner has a password, each start makes a link to do it in a browser.

use secrecy::{ExposeSecret, SecretString};

use crate::crypto::secret::SecretKind;
use crate::domain::session::SETUP_TTL;
use crate::engine::app::App;
use crate::engine::error::Error;
use crate::engine::setup::SetupLink;
use crate::engine::system::System;
use crate::store;

/// Creates the one-time token of the link, which replaces the one of an earlier process. `None` if an owner has a password,
/// or if the first owner has an access token that never expires: such as a bootstrap token, with which the server was set
/// up without anybody to open a link.
///
/// Nothing is stored, so there is nothing to record: the audit log has an entry once the token has set a password.
pub fn link(system: &System) -> Result<Option<SecretString>, Error> {
    let app = system.app();
    let owner = system.read(|tx| {
        let owner = if app.setup.is_pending(tx)? { store::user::first_owner(tx)? } else { None };
        let Some(owner) = owner else { return Ok(None) };
        Ok(if store::token::has_endless(tx, owner)? { None } else { Some(owner) })
    })?;
    let Some(owner) = owner else { return Ok(None) };
    let token = SecretKind::Invitation.fresh(&mut app.env.rng());
    let digest = SecretKind::Invitation.digest(token.expose_secret());
    let digest = digest.ok_or_else(|| Error::internal("a fresh token is malformed"))?;
    app.setup.begin(SetupLink { digest, owner, ends: app.now().plus(SETUP_TTL) });
    Ok(Some(token))
}

/// Returns whether no owner on this server has a password.
pub fn is_pending(app: &App) -> Result<bool, Error> {
    app.pre_auth(|tx| Ok(app.setup.is_pending(tx)?))
}
