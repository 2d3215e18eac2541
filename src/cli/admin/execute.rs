//! Where a command is executed: by the server that listens on its socket, otherwise by this process.

use super::print::answered;
use crate::actions::admin::command::{self, Answer, Command};
use crate::cli::local::settings;
use crate::cli::{CommandContext, CommandError, open_database};
use crate::config::Settings;
use crate::server::admin_socket::{self, client};
use crate::store::files;

/// Executes a command and prints its answer.
pub fn print(context: &CommandContext, command: Command) -> Result<(), CommandError> {
    let settings = settings(context)?;
    answered(context.output, execute(&settings, command)?)
}

/// Executes a command and returns its answer.
pub fn execute(settings: &Settings, command: Command) -> Result<Answer, CommandError> {
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
