//! `orgkeys clock`: recovery after the system clock was wrong by more than a day.

use clap::Subcommand;
use serde_json::json;

use super::{CommandContext, CommandError, Database, open_database};
use crate::actions::clock;

#[derive(Subcommand)]
pub enum ClockCommand {
    /// Trust the current system clock, even if the database has recorded a later time
    Accept {
        #[command(flatten)]
        database: Database,
    },
}

impl ClockCommand {
    pub fn run(self, context: &CommandContext) -> Result<(), CommandError> {
        let Self::Accept { database } = self;
        let settings = context.settings(&database)?;
        let system =
            open_database(&settings, "stop it first, because it would remember the later time and store it again")?;
        let before = clock::accept(&system)?;
        let now = system.app().now();
        let signed = if now < before { ". Signed calls are refused for 15 minutes" } else { "" };
        let json = json!({ "success": true, "highWater": before.to_string(), "now": now.to_string() });
        context
            .print(&json, || format!("The clock is accepted: it is {now}. The database had recorded {before}{signed}"));
        Ok(())
    }
}
