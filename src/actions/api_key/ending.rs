//! Announces in the organization's audit log that an API key is about to expire: 30 days before, 7 days before and on
//! the last day, once each.

use super::super::expiry;
use crate::domain::event::Event;
use crate::domain::id::OrgId;
use crate::engine::error::Error;
use crate::engine::system::System;
use crate::store::api_key::ending::{self, Ending};
use crate::store::{self, WriteTx};

/// Announces keys that are about to expire.
pub fn announce(system: &System) -> Result<(), Error> {
    expiry::announce(system, ending::unannounced, record)
}

fn record(tx: &WriteTx<'_>, ending: Ending, days: u32) -> Result<(OrgId, Event), Error> {
    let Ending { key, org, end } = ending;
    ending::announced(tx, key, days)?;
    let projects = store::api_key::projects(tx, key)?;
    Ok((org, Event::ApiKeyExpiring { key, days, ends: end, projects }))
}
