//! The command line itself: which flags each command takes and shows, and that its help is right.

use std::sync::LazyLock;

use clap::error::ErrorKind;
use clap::{Command, FromArgMatches};

use super::{Cli, CommandContext, SharedFlags, client, command, shared_flags};
use crate::config::{FIELDS, Flags, Texts};

/// Every command that has none below it, with its path of names.
fn leaves(command: &Command, path: &str) -> Vec<(String, Command)> {
    let below: Vec<&Command> = command.get_subcommands().filter(|below| below.get_name() != "help").collect();
    if below.is_empty() {
        return vec![(path.to_owned(), command.clone())];
    }
    below.iter().flat_map(|below| leaves(below, format!("{path} {}", below.get_name()).trim_start())).collect()
}

fn parse(words: &[&str]) -> Result<SharedFlags, clap::Error> {
    static COMMAND: LazyLock<Command> = LazyLock::new(command);
    let matches = COMMAND.clone().try_get_matches_from([&["orgkeys"], words].concat())?;
    match Cli::from_arg_matches(&matches) {
        // One of the client's, which `Cli` does not have.
        Err(error) if error.kind() == ErrorKind::InvalidSubcommand => {}
        parsed => drop(parsed?),
    }
    Ok(shared_flags::read(&matches))
}

/// The long flags that a command's help shows.
fn shown(words: &[&str]) -> Vec<String> {
    let help = parse(&[words, &["--help"]].concat()).expect_err("help is no result").to_string();
    let flags = help.lines().map(str::trim_start).filter_map(|line| {
        // A short flag may stand in front, such as `-h, `.
        line.split_once(", ").filter(|(short, _)| short.len() == 2).map_or(line, |(_, long)| long).strip_prefix("--")
    });
    flags.map(|flag| flag.split([' ', '=']).next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_commands_are_consistent() {
    command().debug_assert();
}

#[test]
fn database_and_config_stand_before_or_after_the_command() {
    for words in [
        &["--database", "a.db", "--config", "a.toml", "user", "list"][..],
        &["user", "--database", "a.db", "--config", "a.toml", "list"],
        &["user", "list", "--database", "a.db", "--config", "a.toml"],
        &["--config", "a.toml", "user", "list", "--database", "a.db"],
        &["--database", "b.db", "--config", "b.toml", "user", "list", "--database", "a.db", "--config", "a.toml"],
        &["--database", "a.db", "--config", "a.toml", "serve"],
        &["serve", "--database", "a.db", "--config", "a.toml"],
        &["healthcheck", "--config", "a.toml", "--listen", "127.0.0.1:1"],
    ] {
        let shared = parse(words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
        assert_eq!(shared.config, Some("a.toml".into()), "{words:?}");
        assert_eq!(shared.database.as_deref().unwrap_or("a.db"), "a.db", "{words:?}");
        assert!(shared.database.is_some() || words[0] == "healthcheck", "{words:?}");
    }
    let shared = parse(&["--json", "org", "list"]).expect("parsed");
    assert!(shared.json && shared.database.is_none() && shared.config.is_none());
    // The database that was named this way is a setting like any other.
    let shared = parse(&["--database", "a.db", "config"]).expect("parsed");
    let resolved = CommandContext::new(shared, Texts::new()).resolve(&Flags::default());
    assert_eq!(resolved.expect("settings").settings.database.display().to_string(), "a.db");
}

#[test]
fn only_the_operations_that_a_command_line_may_show_are_built() {
    let built = |words: &[&str]| {
        let words: Vec<_> = [&["orgkeys"], words].concat().into_iter().map(std::ffi::OsString::from).collect();
        client::needed_operations(&words).len()
    };
    let all = client::operations().len();
    for (words, expected) in [
        (&["key", "list"][..], 0),
        (&["api", "getHealth"], 1),
        (&["api", "getHealth", "getHealth", "--help"], 1),
        (&["api"], all),
        (&["api", "getHealh"], all),
        (&["api", "help", "getHealth"], all),
        (&["completions", "bash"], all),
    ] {
        assert_eq!(built(words), expected, "{words:?}");
    }
}

#[test]
fn the_settings_file_of_the_command_line_comes_before_that_of_the_environment() {
    let variable = |path: &str| Texts::from([("ORGKEYS_CONFIG".to_owned(), path.to_owned())]);
    let named = |words: &[&str], path: &str| CommandContext::new(parse(words).expect("parsed"), variable(path)).config;
    assert_eq!(named(&["--config", "a.toml", "org", "list"], "b.toml"), Some("a.toml".into()));
    assert_eq!(named(&["org", "list"], "b.toml"), Some("b.toml".into()));
    assert_eq!(named(&["org", "list"], ""), None);
    // The database of the command line comes before that of the environment, too.
    let shared = parse(&["org", "list", "--database", "a.db"]).expect("parsed");
    let environment = Texts::from([("ORGKEYS_DATABASE".to_owned(), "b.db".to_owned())]);
    let resolved = CommandContext::new(shared, environment).resolve(&Flags::default());
    assert_eq!(resolved.expect("settings").settings.database.display().to_string(), "a.db");
}

/// The flags of every call.
const CALL: [&str; 10] = ["config", "database", "json", "help", "org", "url", "profile", "ca", "output", "dry-run"];

#[test]
fn help_shows_only_what_the_command_uses() {
    for (words, expected) in [
        (&["org", "list"][..], &["config", "database", "json", "help"][..]),
        (&["healthcheck"], &["config", "help", "tls-cert", "tls-key", "listen"]),
        (&["token", "generate"], &["json", "help"]),
        (&["openapi"], &["help"]),
        (&["completions"], &["help"]),
        (&["audit", "export"], &["config", "database", "help", "out"]),
        (&["user", "list"], &[&CALL[..], &["columns"]].concat()),
        (&["user", "role"], &CALL),
        (&["key", "list"], &[&CALL[..], &["columns", "retired"]].concat()),
        (&["audit", "list"], &[&CALL[..], &["columns", "after", "limit"]].concat()),
        (&["api", "getHealth"], &[&CALL[..], &["out", "include"]].concat()),
        (&["login"], &["help", "url", "profile", "ca", "email", "token-command"]),
        (&["profile", "use"], &["help"]),
    ] {
        let (mut found, mut expected) = (shown(words), expected.to_vec());
        found.sort();
        expected.sort_unstable();
        assert_eq!(found, expected, "{words:?}");
    }
    let all = shown(&["serve"]);
    for field in FIELDS {
        let flag = field.flag();
        assert!(all.contains(&flag[2..].to_owned()), "serve does not show {flag}");
        let help = field.arg().get_help().map(ToString::to_string).unwrap_or_default();
        assert_eq!(help.contains("This flag names the file that contains it."), field.secret, "{flag}: {help}");
    }
    for words in
        [&["sign", "--database", "x"][..], &["token", "generate", "--config", "x"], &["org", "list", "--readers", "4"]]
    {
        assert!(parse(words).is_err(), "{words:?}");
    }
}

#[test]
fn every_command_has_an_example_that_parses() {
    let all = leaves(&command(), "");
    assert!(all.len() > 15, "{} commands", all.len());
    for (path, leaf) in all {
        let help = leaf.get_after_help().unwrap_or_else(|| panic!("{path} has no example")).to_string();
        let lines: Vec<&str> = help.lines().filter(|line| line.starts_with("  ")).collect();
        assert!(help.starts_with("Example") && !lines.is_empty(), "{path}: {help}");
        for line in lines {
            let (_, rest) = line.split_once("orgkeys ").unwrap_or_else(|| panic!("{path}: {line}"));
            let words = rest.split(['>', '|', ')']).next().unwrap_or_default().replace('"', "");
            let words: Vec<&str> = words.split_whitespace().filter(|word| *word != "Ltd").collect();
            parse(&words).unwrap_or_else(|error| panic!("{path}: {line}: {error}"));
            assert!(rest.starts_with(&path), "{path} is explained with {line}");
        }
    }
}
