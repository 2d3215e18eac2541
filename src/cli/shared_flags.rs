//! The flags that every command can take, before or after its name: `--config`, `--database` and `--json`.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint, value_parser};

use crate::config::FIELDS;

/// What these flags say.
#[derive(Debug, Default)]
pub struct SharedFlags {
    /// The settings file.
    pub config: Option<PathBuf>,
    /// The database file.
    pub database: Option<String>,
    /// Whether to print JSON.
    pub json: bool,
}

const CONFIG: &str = "config";
const DATABASE: &str = "database";
const JSON: &str = "json";

/// The commands that do not use all of them, with those that they do not use. Such a command does not take the flag after
/// its name, and its help does not show it. The same holds for the commands below it.
const WITHOUT: [(&str, &[&str]); 25] = [
    ("api", &[CONFIG, DATABASE]),
    ("api-key", &[CONFIG, DATABASE]),
    ("audit export", &[JSON]),
    ("audit list", &[CONFIG, DATABASE]),
    ("audit tail", &[CONFIG, DATABASE]),
    ("completions", &[CONFIG, DATABASE, JSON]),
    ("healthcheck", &[DATABASE, JSON]),
    ("key", &[CONFIG, DATABASE]),
    ("login", &[CONFIG, DATABASE, JSON]),
    ("logout", &[CONFIG, DATABASE]),
    ("man", &[CONFIG, DATABASE, JSON]),
    ("node", &[CONFIG, DATABASE]),
    ("openapi", &[CONFIG, DATABASE, JSON]),
    ("profile", &[CONFIG, DATABASE]),
    ("profile delete", &[CONFIG, DATABASE, JSON]),
    ("profile use", &[CONFIG, DATABASE, JSON]),
    ("project", &[CONFIG, DATABASE]),
    ("secret", &[CONFIG, DATABASE]),
    ("serve", &[JSON]),
    ("sign", &[CONFIG, DATABASE, JSON]),
    ("token generate", &[CONFIG, DATABASE]),
    ("user invite", &[CONFIG, DATABASE]),
    ("user role", &[CONFIG, DATABASE]),
    ("webhook", &[CONFIG, DATABASE]),
    ("whoami", &[CONFIG, DATABASE]),
];

/// Adds the flags to `command`, whose path of names below `orgkeys` is `path`, and to all commands below it.
pub fn add(command: Command, path: &str) -> Command {
    add_except(command, path, &[])
}

/// Adds the flags; `above` are those that the command above does not use.
fn add_except(command: Command, path: &str, above: &[&str]) -> Command {
    let without = WITHOUT.iter().find(|(name, _)| *name == path).map_or(above, |(_, without)| without);
    let flags = [config(), database(), json()].into_iter();
    let command = command.args(flags.filter(|flag| !without.contains(&flag.get_id().as_str())));
    command.mut_subcommands(|below| {
        let path = format!("{path} {}", below.get_name());
        add_except(below, path.trim_start(), without)
    })
}

/// Reads the flags. One after the command's name wins over one before it.
pub fn read(matches: &ArgMatches) -> SharedFlags {
    let below = matches.subcommand().map(|(_, below)| read(below)).unwrap_or_default();
    let text = matches.try_get_one::<String>(DATABASE).ok().flatten().cloned();
    let path = matches.try_get_one::<PathBuf>(CONFIG).ok().flatten().cloned();
    let json = matches.try_get_one::<bool>(JSON).ok().flatten().is_some_and(|json| *json);
    SharedFlags { config: below.config.or(path), database: below.database.or(text), json: below.json || json }
}

fn config() -> Arg {
    Arg::new(CONFIG)
        .long(CONFIG)
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .value_hint(ValueHint::FilePath)
        .help("The settings file (TOML) [env: ORGKEYS_CONFIG]")
}

/// The flag of the setting, together with the options that every command has.
fn database() -> Arg {
    let field = FIELDS.iter().find(|field| field.name == DATABASE);
    field.map_or_else(|| Arg::new(DATABASE), |field| field.arg().help_heading(None::<&str>))
}

fn json() -> Arg {
    Arg::new(JSON).long(JSON).action(ArgAction::SetTrue).help("Print JSON with the API's field names")
}
