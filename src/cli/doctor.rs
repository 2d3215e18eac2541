//! `orgkeys doctor`: checks an installation and says what to fix, while the server is running or stopped.

mod settings;

use std::process::ExitCode;

use serde_json::json;

use super::output::{Output, say};
use super::{CommandContext, CommandError, interrupt, progress};
use crate::actions::doctor::{self, Finding, Patient};
use crate::config::{FlagsOf, Takes};
use crate::server::{backup_plan, clock};

/// The exit code when at least one check needs attention.
const ACT: u8 = 1;

/// The exit code when the checks could not run.
const BLIND: u8 = 2;

#[derive(clap::Args)]
pub struct Doctor {
    /// Skip comparing indexes with their tables, which takes most of the time
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    given: FlagsOf<Needs>,
}

/// The settings that the checks use.
enum Needs {}

impl Takes for Needs {
    fn takes(name: &str) -> bool {
        let disk = ["disk_reserve", "database_max", "key_file", "nodes_max"];
        let network = ["listen", "tls_cert", "tls_key", "trusted_proxy", "metrics_token"];
        let backups = ["backup_dir", "backup_interval", "backup_keep"];
        disk.contains(&name) || network.contains(&name) || backups.contains(&name)
    }
}

impl Doctor {
    /// Prints every finding. Exits with 0 if all checks pass, 1 if any needs attention, 2 if the checks could not run or
    /// their results could not be printed.
    pub fn run(&self, context: &CommandContext) -> Result<ExitCode, CommandError> {
        let shown = self.examine(context).and_then(|found| show(&found, context.output));
        shown.map_err(|error| CommandError { code: BLIND, ..error })
    }

    fn examine(&self, context: &CommandContext) -> Result<Vec<Finding>, CommandError> {
        let settings = context.resolve(&self.given.flags)?.settings;
        interrupt::clean_up()?;
        let now = clock::system().now();
        let patient = Patient {
            database: &settings.database,
            reserve: settings.disk_reserve.0,
            most: settings.database_max.0,
            nodes: settings.nodes_max,
            key_file: settings.key_file.as_deref(),
            backups: backup_plan(&settings),
            quick: self.quick,
        };
        let mut found = {
            let _line = progress::show();
            doctor::examine(&patient, now)?
        };
        found.extend(settings::tls(&settings, now));
        found.push(settings::safe(&settings));
        Ok(found)
    }
}

/// Prints the findings, and returns the exit code that sums them up.
fn show(found: &[Finding], output: Output) -> Result<ExitCode, CommandError> {
    let ill = found.iter().filter(|finding| !finding.ok).count();
    for finding in found {
        output.print(&json!(finding), || line(finding))?;
    }
    if !output.json {
        say(&match ill {
            0 => "All checks passed".to_owned(),
            1 => format!("1 of {} checks needs attention", found.len()),
            count => format!("{count} of {} checks need attention", found.len()),
        })?;
    }
    Ok(if ill == 0 { ExitCode::SUCCESS } else { ExitCode::from(ACT) })
}

fn line(finding: &Finding) -> String {
    let Finding { check, message, .. } = finding;
    match &finding.remedy {
        None => format!("ok    {check:<11}{message}"),
        Some(remedy) => format!("ACT   {check:<11}{message}\n      {:<11}-> {remedy}", ""),
    }
}
