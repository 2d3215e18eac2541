//! Where a command is executed: by the server that listens on its socket, otherwise by this process.

use std::path::{Path, PathBuf};

use super::print::answered;
use crate::actions::admin::command::{self, Answer, Command};
use crate::cli::{CommandContext, CommandError, open_database};
use crate::config::{Flags, Settings, Source, resolve};
use crate::server::admin_socket::{self, client};
use crate::store::files;

/// The settings file of the systemd unit.
const OF_THE_UNIT: &str = "/etc/orgkeys/orgkeys.toml";

/// Executes a command and prints its answer.
pub fn print(context: &CommandContext, command: Command) -> Result<(), CommandError> {
    let settings = settings(context)?;
    answered(context.output, execute(&settings, command)?)
}

fn execute(settings: &Settings, command: Command) -> Result<Answer, CommandError> {
    let socket = admin_socket::path(&settings.socket, &files::real(&settings.database)?);
    if let Some(socket) = &socket
        && let Some(answer) = client::ask(socket, &command).map_err(CommandError::new)?
    {
        return Ok(answer);
    }
    if let Command::List(list) = &command {
        return Ok(command::look(&settings.database, list)?);
    }
    let why = match socket {
        Some(socket) => format!(
            "it does not listen on {}. If it is the server, set `socket` as it does, or stop it; if it is a command, try \
             again when it has ended",
            socket.display()
        ),
        None => "the setting `socket` is off, so stop the server first".to_owned(),
    };
    Ok(command::run(&open_database(settings, &why)?, command)?)
}

/// Resolves the settings. If nothing names a database and there is none here, they are those of the systemd unit, so
/// that an administrator need not name its file.
fn settings(context: &CommandContext) -> Result<Settings, CommandError> {
    let flags = Flags::default();
    let resolved = context.resolve(&flags)?;
    let named =
        resolved.origins.iter().any(|(field, _, source)| field.name == "database" && *source != Source::Default);
    match elsewhere(named || context.config.is_some(), &resolved.settings.database, Path::new(OF_THE_UNIT)) {
        Some(file) => {
            eprintln!("orgkeys: there is no database here: using the settings in {}", file.display());
            Ok(resolve(&flags, &context.environment, Some(&file))?.settings)
        }
        None => Ok(resolved.settings),
    }
}

/// Returns the settings file of the unit if nothing else says which database is meant.
fn elsewhere(named: bool, here: &Path, of_the_unit: &Path) -> Option<PathBuf> {
    (!named && here.symlink_metadata().is_err() && of_the_unit.exists()).then(|| of_the_unit.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_units_settings_are_used_only_if_nothing_else_says_which_database_is_meant() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let (here, unit) = (folder.path().join("orgkeys.db"), folder.path().join("orgkeys.toml"));
        assert_eq!(elsewhere(false, &here, &unit), None, "there is no unit");
        fs::write(&unit, "").expect("written");
        assert_eq!(elsewhere(false, &here, &unit), Some(unit.clone()));
        assert_eq!(elsewhere(true, &here, &unit), None, "a database or a file is named");
        fs::write(&here, "").expect("written");
        assert_eq!(elsewhere(false, &here, &unit), None, "there is a database here");
    }
}
