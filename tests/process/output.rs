//! Output that cannot be written: every command says so, exits with an error, and never panics.

use std::fs::OpenOptions;
use std::io::pipe;
use std::process::Stdio;

use orgkeys::cli;

use crate::client_lost;
use crate::harness::{Home, Ran, output_of};

/// Words with which each command succeeds and prints something, by its names. The list is complete: a command without a
/// row fails the test. Those that call a server are in `client_lost.rs`.
fn rows<'w>(org: &'w str, token: &'w str) -> Vec<(&'static str, Vec<&'w str>)> {
    vec![
        ("serve", vec!["--listen", "127.0.0.1:0"]),
        ("config", vec![]),
        ("org create", vec!["--name", "acme"]),
        ("org list", vec![]),
        ("user create", vec!["--org", org, "--role", "USER", "--email"]),
        ("user reset-password", vec!["--user", "owner@localhost"]),
        ("user list", vec![]),
        ("token create", vec!["--user", "owner@localhost"]),
        ("token list", vec![]),
        ("token revoke", vec![token]),
        ("token generate", vec![]),
        ("audit verify", vec![]),
        ("audit head", vec![]),
        ("audit export", vec![]),
        ("backup", vec!["copy.db"]),
        ("restore", vec!["whole.db", "--keep-tokens"]),
        ("clock accept", vec![]),
        ("doctor", vec![]),
        ("sign", vec!["--key", "key.pem", "--ip", "203.0.113.7", "--region", "eu-1"]),
        ("openapi", vec![]),
        ("completions", vec!["bash"]),
    ]
}

/// The commands that print nothing when they succeed.
const SILENT: [&str; 6] = ["healthcheck", "man", "login", "logout", "profile use", "profile delete"];

/// Where the output goes: a full disk, or a pipe that nobody reads any more.
#[derive(Clone, Copy, Debug)]
pub enum Lost {
    Full,
    Closed,
}

impl Lost {
    pub fn stdout(self) -> Stdio {
        match self {
            Self::Full => OpenOptions::new().write(true).open("/dev/full").expect("a full disk").into(),
            Self::Closed => pipe().expect("a pipe").1.into(),
        }
    }

    pub fn sentence(self) -> &'static str {
        match self {
            Self::Full => "orgkeys: standard output cannot be written: No space left on device (os error 28)",
            Self::Closed => "orgkeys: standard output was closed before everything was written",
        }
    }
}

/// Runs a command whose output is lost.
pub fn lost(home: &Home, words: &[&str], lost: Lost) -> Ran {
    let mut command = home.orgkeys(words);
    command.stdin(Stdio::null()).stdout(lost.stdout()).stderr(Stdio::piped());
    let output = output_of(&format!("{command:?}"), command.spawn().expect("it runs"));
    let stderr = String::from_utf8(output.stderr).expect("text");
    Ran { code: output.status.code(), stdout: String::new(), stderr }
}

/// Every command that has none below it, by its names.
fn leaves(command: &clap::Command, path: &str) -> Vec<String> {
    let below: Vec<&clap::Command> = command.get_subcommands().filter(|below| below.get_name() != "help").collect();
    if below.is_empty() {
        return vec![path.to_owned()];
    }
    below.iter().flat_map(|below| leaves(below, format!("{path} {}", below.get_name()).trim_start())).collect()
}

/// A stopped server's database with a backup, a key and a token.
fn site() -> (Home, String, Vec<String>) {
    let home = Home::new();
    let (server, owner) = home.first_start();
    home.write("key.pem", server.key(&owner).1);
    assert_eq!(server.stop().0, Some(0));
    let token = || {
        let printed = home.done(&["token", "create", "--user", "owner@localhost"]);
        printed.lines().last().expect("a line").split(' ').next().expect("an id").to_owned()
    };
    let tokens = vec![token(), token()];
    home.done(&["backup", "whole.db"]);
    (home, owner.org, tokens)
}

#[test]
fn no_command_loses_its_output_without_a_word() {
    let (home, org, tokens) = site();
    for (round, token) in [Lost::Full, Lost::Closed].into_iter().zip(&tokens) {
        let rows = rows(&org, token);
        let leaves = leaves(&cli::command(), "");
        // The operations of `api` are one command with different flags.
        for path in leaves.iter().filter(|path| !path.starts_with("api ") || *path == "api getHealth") {
            let names: Vec<&str> = path.split(' ').collect();
            let help = lost(&home, &[&names[..], &["--help"]].concat(), round);
            assert_eq!((help.code, help.stderr.trim_end()), (Some(1), round.sentence()), "{path} --help");
            if SILENT.contains(&path.as_str()) || client_lost::COMMANDS.contains(&path.as_str()) {
                continue;
            }
            let row = rows.iter().find(|(name, _)| name == path);
            let (_, words) = row.unwrap_or_else(|| panic!("{path} has no row in this test"));
            let email = format!("{round:?}@example.org").to_lowercase();
            let email = if path == "user create" { vec![email.as_str()] } else { vec![] };
            let ran = lost(&home, &[&names[..], words, &email].concat(), round);
            // For these, 1 means that they found something.
            let code = if ["audit verify", "doctor"].contains(&path.as_str()) { 2 } else { 1 };
            assert_eq!(ran.code, Some(code), "{path} {round:?}: {ran:?}");
            let sentence = ran.stderr.lines().last().unwrap_or_default();
            let is_told = sentence.starts_with(round.sentence())
                || path == "audit export" && sentence.starts_with("orgkeys: The export could not be written: ");
            assert!(is_told, "{path} {round:?}: {ran:?}");
            assert!(!ran.stderr.contains("panic"), "{path}: {ran:?}");
        }
        for words in [&["--help"][..], &["--version"], &["help"], &["help", "serve"], &["config", "--json"]] {
            let ran = lost(&home, words, round);
            assert_eq!((ran.code, ran.stderr.trim_end()), (Some(1), round.sentence()), "{words:?}");
        }
    }
}

#[test]
fn what_nobody_has_seen_can_be_undone() {
    let (home, ..) = site();
    let ran = lost(&home, &["token", "create", "--user", "owner@localhost"], Lost::Full);
    let (_, undo) = ran.stderr.split_once("revoke it with `orgkeys ").unwrap_or_else(|| panic!("{ran:?}"));
    let undo: Vec<&str> = undo.trim_end().trim_end_matches('`').split(' ').collect();
    home.done(&undo);
    let listed = home.done(&["token", "list"]);
    assert!(listed.lines().next().expect("a token").contains("  revoked at 2"), "{listed}");
    let ran = lost(&home, &["user", "reset-password", "--user", "owner@localhost"], Lost::Full);
    assert!(ran.stderr.contains("run the command again to get another one"), "{ran:?}");
    let printed = home.done(&["user", "reset-password", "--user", "owner@localhost"]);
    assert!(printed.starts_with("oki_"), "{printed}");
}

#[test]
fn a_first_token_that_nobody_saw_is_replaced() {
    let home = Home::new();
    let ran = lost(&home, &["serve", "--listen", "127.0.0.1:0"], Lost::Full);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.trim_end().ends_with("start the server again, and it shows another one"), "{ran:?}");
    let (server, owner) = home.first_start();
    assert_eq!(server.call_as(&owner, "GET", "/user/profile").status, 200);
}
