//! Commands in messages: they can be pasted into a shell, whatever a file or a person is called.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::doctor::examined;
use crate::harness::{Home, Ran, mode, run};
use crate::output::{Lost, lost};

/// A folder whose name a shell would read as much else.
const FOLDER: &str = "it's $(touch ran) \"\u{e9}\" *";

/// Runs a line in a shell, in which the programs that must not run print the last word that they are given.
fn pasted(home: &Home, line: &str) -> String {
    let last = "last() { while [ $# -gt 1 ]; do shift; done; printf %s \"$1\"; }; orgkeys() { last \"$@\"; }; lsof() { last \"$@\"; };";
    let mut shell = Command::new("sh");
    let ran = run(shell.current_dir(home.path("")).args(["-c", &format!("{last} {line}")]));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{line}: {ran:?}");
    assert!(!home.path("ran").exists(), "{line}");
    ran.stdout
}

/// The command between the first two backticks of a message.
fn command(message: &str) -> &str {
    message.split('`').nth(1).unwrap_or_else(|| panic!("no command: {message}"))
}

#[test]
fn a_command_in_a_message_means_the_file_whatever_it_is_called() {
    let home = Home::new();
    fs::create_dir(home.path(FOLDER)).expect("a folder");
    let path = |name: &str| format!("{FOLDER}/{name}");
    let real = |name: &str| fs::canonicalize(home.path(&path(name))).expect("a file").display().to_string();
    let database = path("orgkeys.db");
    let server = home.start_with(&mut home.serve(&["--database", &database]));
    assert_eq!(server.stop().0, Some(0));
    let refused = |words: &[&str]| -> Ran {
        let ran = home.run(words);
        assert_eq!(ran.code, Some(1), "{words:?}: {ran:?}");
        ran
    };

    home.write(&path("damaged.db"), [b'x'; 200]);
    let ran = refused(&["org", "list", "--database", &path("damaged.db")]);
    assert!(command(&ran.stderr).starts_with("orgkeys restore FILE --database "), "{ran:?}");
    assert_eq!(pasted(&home, command(&ran.stderr)), real("damaged.db"));

    fs::hard_link(home.path(&database), home.path(&path("second.db"))).expect("a link");
    let ran = refused(&["org", "list", "--database", &database]);
    let mut found: Vec<String> = pasted(&home, command(&ran.stderr)).lines().map(str::to_owned).collect();
    found.sort();
    assert_eq!(found, [real("orgkeys.db"), real("second.db")], "{ran:?}");
    fs::remove_file(home.path(&path("second.db"))).expect("removed");

    home.done(&["backup", "copy.db", "--database", &database]);
    let remedy = |check: &str| {
        let found = examined(&home, &["--database", &database]);
        let found = found.iter().find(|finding| finding["check"] == check && finding["ok"] == false);
        found.unwrap_or_else(|| panic!("{check} is well"))["remedy"].as_str().expect("text").to_owned()
    };
    fs::set_permissions(home.path(&database), Permissions::from_mode(0o640)).expect("a mode");
    pasted(&home, &remedy("modes"));
    assert_eq!(mode(&home.path(&database)), 0o600);
    File::create(home.path(&path("orgkeys.db-wal"))).expect("a log").set_len(64 << 20).expect("a length");
    let remedy = remedy("wal");
    assert_eq!(pasted(&home, command(&remedy)), real("orgkeys.db-wal"), "{remedy}");
}

#[test]
fn a_command_in_a_message_means_the_person_whatever_they_are_called() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    for email in ["o'hara@example.org", "$(id)@example.org"] {
        let words = ["user", "create", "--org", &owner.org, "--role", "USER", "--email", email];
        let ran = lost(&home, &words, Lost::Full);
        let command = command(&ran.stderr);
        assert!(command.starts_with("orgkeys user reset-password --user "), "{ran:?}");
        assert_eq!(pasted(&home, command), email, "{ran:?}");
    }
    assert_eq!(server.stop().0, Some(0));
}
