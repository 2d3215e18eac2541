//! `orgkeys doctor`: says what is well, what is not, and what to do about it; beside a running server too.

mod settings;

use std::process::ExitCode;

use serde_json::json;

use super::{Context, Failure, say};
use crate::actions::doctor::{self, Finding, Patient};
use crate::config::Flags;
use crate::server::clock;

/// Something must be done.
const ACT: u8 = 1;

/// Nobody could look.
const BLIND: u8 = 2;

#[derive(clap::Args)]
pub struct Doctor {
    /// Do not compare indexes with their tables, which takes most of the time
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    flags: Flags,
}

impl Doctor {
    /// Prints every finding; 0 all is well, 1 something must be done, 2 nobody could look.
    pub fn run(&self, context: &Context) -> ExitCode {
        match self.examine(context) {
            Ok(found) => {
                let ill = found.iter().filter(|finding| !finding.ok).count();
                for finding in &found {
                    context.print(&json!(finding), || line(finding));
                }
                if !context.json {
                    say(&match ill {
                        0 => "All is well".to_owned(),
                        count => format!("{count} of {} need you", found.len()),
                    });
                }
                if ill == 0 { ExitCode::SUCCESS } else { ExitCode::from(ACT) }
            }
            Err(Failure(problem)) => {
                eprintln!("orgkeys: {problem}");
                ExitCode::from(BLIND)
            }
        }
    }

    fn examine(&self, context: &Context) -> Result<Vec<Finding>, Failure> {
        let settings = context.resolve(&self.flags)?.settings;
        let now = clock::system().now();
        let patient = Patient {
            database: &settings.database,
            reserve: settings.disk_reserve.0,
            most: settings.database_max.0,
            nodes: settings.nodes_max,
            key_file: settings.key_file.as_deref(),
            quick: self.quick,
        };
        let mut found = doctor::examine(&patient, now)?;
        found.extend(settings::tls(&settings, now));
        found.push(settings::safe(&settings));
        Ok(found)
    }
}

fn line(finding: &Finding) -> String {
    let Finding { check, message, .. } = finding;
    match &finding.remedy {
        None => format!("well  {check:<10}{message}"),
        Some(remedy) => format!("ACT   {check:<10}{message}\n      {:<10}-> {remedy}", ""),
    }
}
