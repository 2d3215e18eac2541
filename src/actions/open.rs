//! Opens a store for the server, the command line and a restore, and records an upgrade of the schema and changes of
//! the clock.

use std::sync::Arc;

use super::clock;
use crate::domain::event::Event;
use crate::engine::app::App;
use crate::engine::environment::Environment;
use crate::engine::error::Error;
use crate::engine::limits::Limits;
use crate::engine::system::{self, System};
use crate::store::{Options, Store, migrate};

/// Opens a store, records an upgrade if there was one, and checks the clock.
pub fn open(options: &Options, limits: Limits, env: Environment) -> Result<(Arc<App>, System), Error> {
    let (app, system) = system::start(Store::open(options)?, env, limits)?;
    if let Some(from) = system.upgraded_from() {
        system.write_reserved(move |_| Ok(vec![Event::Upgraded { from, to: migrate::VERSION }]))?;
    }
    clock::start(&system)?;
    Ok((app, system))
}
