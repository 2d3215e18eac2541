//! `orgkeys clock`: the way out after the system's clock was wrong for longer than a day.

use clap::Subcommand;
use serde_json::json;

use super::{Context, Database, Failure};
use crate::actions::clock;

#[derive(Subcommand)]
pub enum Clock {
    /// Believe the system's clock, although the database has seen a later time
    Accept {
        #[command(flatten)]
        database: Database,
    },
}

impl Clock {
    pub fn run(self, context: &Context) -> Result<(), Failure> {
        let Self::Accept { database } = self;
        let system = context.open(&database)?;
        let before = clock::accept(&system)?;
        let now = system.app().now();
        let signed = if now < before { "; signed calls are refused for 15 minutes" } else { "" };
        let json = json!({ "success": true, "highWater": before.to_string(), "now": now.to_string() });
        context.print(&json, || format!("It is {now} from now on. The database had seen {before}{signed}"));
        Ok(())
    }
}
