//! How is a store opened for the server, the command line and a restored backup alike? With what it has to say of the opening recorded.

use std::sync::Arc;

use super::clock;
use crate::domain::event::Event;
use crate::engine::app::App;
use crate::engine::environment::Environment;
use crate::engine::error::Error;
use crate::engine::limits::Limits;
use crate::engine::system::{self, System};
use crate::store::{Options, Store, migrate};

/// Opens a store, records that it was upgraded if it was, and looks at the clock.
pub fn open(options: &Options, limits: Limits, env: Environment) -> Result<(Arc<App>, System), Error> {
    let (app, system) = system::start(Store::open(options)?, env, limits)?;
    if let Some(from) = system.upgraded_from() {
        system.write_reserved(move |_| Ok(vec![Event::Upgraded { from, to: migrate::VERSION }]))?;
    }
    clock::start(&system)?;
    Ok((app, system))
}
