//! Priorities in systemd's journal.

use std::os::unix::fs::MetadataExt;

use crate::harness::{Home, ended, spawn};

/// `JOURNAL_STREAM`, as systemd sets it for a process whose standard error is the log.
fn stream(home: &Home) -> String {
    let log = home.path("stderr.log").metadata().expect("a log");
    format!("{}:{}", log.dev(), log.ino())
}

/// The priorities of the lines in the log: `None` for a line without one.
fn priorities(home: &Home) -> Vec<Option<u8>> {
    let priority = |line: &str| line.strip_prefix('<')?.split_once('>')?.0.parse().ok();
    home.log().lines().map(priority).collect()
}

#[test]
fn lines_in_the_journal_begin_with_their_priority() {
    for format in ["json", "text"] {
        let home = Home::new();
        home.write("stderr.log", "");
        let mut serve = home.serve(&["--log-format", format]);
        let server = home.start_with(serve.env("JOURNAL_STREAM", stream(&home)).env("ORGKEYS_UNKNOWN", "1"));
        assert_eq!(server.call("GET", "/user/profile", None, None).status, 401);
        assert_eq!(server.stop().0, Some(0));
        let log = home.log();
        assert_eq!(priorities(&home), [Some(4), Some(6), Some(6), Some(6)], "{log}");
        assert!(log.starts_with("<4>orgkeys: warning: "), "{log}");
        // A start that fails is an error.
        let (mut child, _) = spawn(
            home.orgkeys(&["serve", "--listen", "127.0.0.1:0", "--database", "none/orgkeys.db"])
                .env("JOURNAL_STREAM", stream(&home)),
            &home.path("stderr.log"),
        );
        assert_eq!(ended("the command", &mut child).code(), Some(1));
        let failed = home.log().strip_prefix(&log).map(str::to_owned).expect("more lines");
        assert!(failed.starts_with("<3>orgkeys: "), "{failed}");
    }
}

#[test]
fn what_a_command_says_outside_the_log_has_its_priority() {
    let home = Home::new();
    assert_eq!(home.first_start().0.stop().0, Some(0));
    home.write("stderr.log", "");
    for (words, level) in [(&["token", "revoke", "token-1"][..], 3), (&["key", "list"], 3)] {
        home.write("stderr.log", "");
        let mut command = home.orgkeys(words);
        let (mut child, _) = spawn(command.env("JOURNAL_STREAM", stream(&home)), &home.path("stderr.log"));
        assert_ne!(ended("the command", &mut child).code(), Some(0), "{words:?}");
        assert_eq!(priorities(&home), [Some(level)], "{words:?}: {}", home.log());
    }
}

#[test]
fn lines_elsewhere_have_no_priority() {
    let home = Home::new();
    home.write("stderr.log", "");
    // A process of a service inherits the variable, even if its standard error was redirected.
    for stream in ["8:1", "", "nonsense", &format!("{}0", stream(&home))] {
        let server = home.start_with(home.serve(&[]).env("JOURNAL_STREAM", stream));
        assert_eq!(server.stop().0, Some(0));
    }
    assert_eq!(priorities(&home), vec![None; 8], "{}", home.log());
}
