//! Interrupted commands: a signal leaves nothing behind, and what `kill -9` leaves is removed by the next command.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Home, integrity, sqlite};

/// A stopped server's database of 60 MB, so that a copy takes a while.
pub fn large() -> Home {
    let home = Home::new();
    assert_eq!(home.first_start().0.stop().0, Some(0));
    let conn = sqlite(&home.database);
    conn.execute_batch("CREATE TABLE pad (bytes); INSERT INTO pad VALUES (zeroblob(60000000)); DROP TABLE pad")
        .expect("grown");
    conn.close().expect("closed");
    assert!(fs::metadata(&home.database).expect("a file").len() > 60_000_000);
    home
}

fn start(home: &Home, words: &[&str]) -> Child {
    start_with(&mut home.orgkeys(words), Stdio::piped())
}

fn start_with(command: &mut Command, stderr: Stdio) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn().expect("it runs")
}

/// Starts a command, and sends it a signal as soon as the file `draft` is there. Returns its exit code, or the number of
/// the signal that ended it, and its last words. `None` if it was faster than the signal.
fn interrupted(home: &Home, words: &[&str], draft: &str, signal: Signal) -> Option<(i32, String)> {
    ended_by(home, start(home, words), draft, signal)
}

/// Sends a command a signal as soon as the file `draft` is there.
fn ended_by(home: &Home, mut child: Child, draft: &str, signal: Signal) -> Option<(i32, String)> {
    let draft = home.path(draft);
    while !draft.exists() {
        if child.try_wait().expect("a child").is_some() {
            return None;
        }
        std::hint::spin_loop();
    }
    kill_process(Pid::from_child(&child), signal).expect("signalled");
    let output = child.wait_with_output().expect("ended");
    let code = output.status.code().or(output.status.signal()).expect("a code");
    (code != 0).then(|| (code, String::from_utf8(output.stderr).expect("text")))
}

#[test]
fn an_interrupted_command_leaves_no_file_behind() {
    let home = large();
    home.done(&["backup", "whole.db"]);
    let before = home.files();
    for (words, draft) in [
        (&["backup", "copy.db"][..], "copy.db.orgkeys-draft"),
        (&["backup", "whole.db"], "whole.db.orgkeys-draft"),
        (&["restore", "whole.db"], "orgkeys.db.restoring"),
    ] {
        for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
            let ended = (0..20).find_map(|_| {
                let ended = interrupted(&home, words, draft, signal);
                if ended.is_none() {
                    // It was faster than the signal, and complete.
                    let _ = fs::remove_file(home.path("copy.db"));
                }
                ended
            });
            let (found, stderr) = ended.expect("it was never interrupted");
            assert_eq!((found, stderr.as_str()), (code, "orgkeys: interrupted: no unfinished file is left behind\n"));
            let new: Vec<String> = home.files().into_iter().filter(|name| !before.contains(name)).collect();
            let new: Vec<&String> = new.iter().filter(|name| !name.contains(".before-")).collect();
            assert_eq!(new, Vec::<&String>::new(), "{words:?}");
        }
    }
    for name in ["orgkeys.db", "whole.db"] {
        assert_eq!(integrity(&home.path(name)), "ok");
        home.done(&["audit", "verify", "--database", name]);
    }
}

#[test]
fn an_interrupted_command_ends_wherever_its_words_go() {
    let home = large();
    let draft = "copy.db.orgkeys-draft";
    for journal in [false, true] {
        let ended = (0..20).find_map(|_| {
            let mut backup = home.orgkeys(&["backup", "copy.db"]);
            let stderr = if journal {
                let log = File::create(home.path("log")).expect("a log");
                let meta = log.metadata().expect("a log");
                backup.env("JOURNAL_STREAM", format!("{}:{}", meta.dev(), meta.ino()));
                log
            } else {
                OpenOptions::new().write(true).open("/dev/full").expect("a device")
            };
            let ended = ended_by(&home, start_with(&mut backup, stderr.into()), draft, Signal::INT);
            let _ = fs::remove_file(home.path("copy.db"));
            ended
        });
        assert_eq!(ended.expect("it was never interrupted").0, 130);
        assert!(!home.path(draft).exists());
    }
    let log = fs::read_to_string(home.path("log")).expect("a log");
    assert_eq!(log, "<4>orgkeys: interrupted: no unfinished file is left behind\n");
}

#[test]
fn a_killed_backup_is_cleared_away_by_the_next_one_wherever_it_goes() {
    let home = large();
    fs::create_dir(home.path("elsewhere")).expect("a folder");
    let draft = "elsewhere/monday.backup.orgkeys-draft";
    let killed = |_| interrupted(&home, &["backup", "elsewhere/monday.backup"], draft, Signal::KILL);
    let (code, _) = (0..20).find_map(killed).expect("it was never killed");
    assert_eq!((code, home.path(draft).exists()), (9, true));
    home.write("elsewhere/not-ours.orgkeys-draft", "nothing to do with it");
    home.done(&["backup", "elsewhere/tuesday.backup"]);
    let left =
        fs::read_dir(home.path("elsewhere")).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut left: Vec<String> = left.map(|name| name.to_string_lossy().into_owned()).collect();
    left.retain(|name| name != "monday.backup");
    left.sort();
    assert_eq!(left, ["not-ours.orgkeys-draft", "tuesday.backup"]);
}

#[test]
fn a_killed_restore_is_cleared_away_by_the_next_start() {
    let home = large();
    home.done(&["backup", "whole.db"]);
    let killed = |_| interrupted(&home, &["restore", "whole.db"], "orgkeys.db.restoring", Signal::KILL);
    let (code, _) = (0..20).find_map(killed).expect("it was never killed");
    assert_eq!((code, home.path("orgkeys.db.restoring").exists()), (9, true));
    assert_eq!(home.start().stop().0, Some(0));
    assert!(!home.files().iter().any(|name| name.contains("restoring")), "{:?}", home.files());
}

#[test]
fn reading_commands_are_interrupted_without_a_trace() {
    let home = large();
    home.done(&["backup", "whole.db"]);
    let before = home.files();
    for words in [&["doctor", "--database", "whole.db"][..], &["audit", "verify", "--database", "whole.db"]] {
        let mut child = start(&home, words);
        kill_process(Pid::from_child(&child), Signal::INT).expect("signalled");
        child.wait().expect("ended");
        assert_eq!(home.files(), before, "{words:?}");
    }
}
