//! Announces in the organization's audit log that an access token of an owner or administrator is about to expire: 30
//! days before, 7 days before and on the last day, once each. Without it they would find out when they are locked out.

use super::super::expiry;
use crate::domain::event::Event;
use crate::domain::id::OrgId;
use crate::engine::error::Error;
use crate::engine::system::System;
use crate::store::WriteTx;
use crate::store::token::ending::{self, Ending};

/// Announces access tokens that are about to expire.
pub fn announce(system: &System) -> Result<(), Error> {
    expiry::announce(system, ending::unannounced, record)
}

fn record(tx: &WriteTx<'_>, ending: Ending, days: u32) -> Result<(OrgId, Event), Error> {
    let Ending { token, user, org, end } = ending;
    ending::announced(tx, token, days)?;
    Ok((org, Event::TokenExpiring { token, user, days, ends: end }))
}
