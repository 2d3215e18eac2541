//! The server on this machine: its settings, which say where its database and its socket are.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use tracing::Level;

use super::{CommandContext, CommandError, log};
use crate::client::failure::{Failure, Outcome};
use crate::config::{Flags, Settings, Source, resolve};
use crate::server::admin_socket;
use crate::store::files;

/// The settings file of the systemd unit.
const OF_THE_UNIT: &str = "/etc/orgkeys/orgkeys.toml";

/// Returns the socket of the server on this machine. The failure is that of a call for which no server is named.
pub fn socket(context: &CommandContext) -> Outcome<PathBuf> {
    let usage = |error: CommandError| Failure::usage(format!("no server is named, and {}", error.problem));
    let settings = settings(context).map_err(usage)?;
    let database = files::real(&settings.database).map_err(|error| usage(error.into()))?;
    let instead = "set --url or ORGKEYS_URL, or run `orgkeys login --url https://keys.example.org`";
    let none = |why: &str| Err(Failure::usage(format!("no server is named, and {why}: {instead}")));
    let Some(socket) = admin_socket::path(&settings.socket, &database) else {
        return none("the setting `socket` is off, so the server on this machine can only be called by its URL");
    };
    if socket.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        return none(&format!("no server runs on this machine with the socket {}", socket.display()));
    }
    Ok(socket)
}

/// Returns the address at which this machine reaches a server that listens on `listen`.
pub fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// Resolves the settings. If nothing names a database and there is none here, they are those of the systemd unit, so
/// that an administrator need not name its file.
pub fn settings(context: &CommandContext) -> Result<Settings, CommandError> {
    let flags = Flags::default();
    let resolved = context.resolve(&flags)?;
    let named =
        resolved.origins.iter().any(|(field, _, source)| field.name == "database" && *source != Source::Default);
    match elsewhere(named || context.config.is_some(), &resolved.settings.database, Path::new(OF_THE_UNIT)) {
        Some(file) => {
            let name = file.display();
            log::print(Level::INFO, &format!("orgkeys: there is no database here: using the settings in {name}"));
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

    #[test]
    fn a_server_on_every_address_is_reached_on_this_machine() {
        for (listens, used) in [
            ("0.0.0.0:3000", "127.0.0.1:3000"),
            ("[::]:3000", "[::1]:3000"),
            ("192.0.2.7:80", "192.0.2.7:80"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[2001:db8::1]:80", "[2001:db8::1]:80"),
        ] {
            assert_eq!(reachable(listens.parse().expect("an address")).to_string(), used, "{listens}");
        }
    }
}
