//! `orgkeys clock`: recovery after the system clock was wrong by more than a day.

use clap::Subcommand;
use serde_json::json;

use super::{CommandContext, CommandError, open_database};
use crate::actions::clock;

#[derive(Subcommand)]
pub enum ClockCommand {
    /// Trust the current system clock, even if the database has recorded a later time
    #[command(after_help = "Example:\n  orgkeys clock accept --config /etc/orgkeys/orgkeys.toml")]
    Accept,
}

impl ClockCommand {
    pub fn run(self, context: &CommandContext) -> Result<(), CommandError> {
        let Self::Accept = self;
        let settings = context.settings()?;
        let system =
            open_database(&settings, "stop it first, because it would remember the later time and store it again")?;
        let before = clock::accept(&system)?;
        let now = system.app().now();
        let signed = if now < before { ". Signed calls are refused for 15 minutes" } else { "" };
        let json = json!({ "success": true, "highWater": before.to_string(), "now": now.to_string() });
        let line = || format!("The clock is accepted: it is {now}. The database had recorded {before}{signed}");
        context.output.print_done(&json, line, "The clock was accepted all the same")
    }
}
