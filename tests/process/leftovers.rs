//! Interrupted commands: a signal leaves nothing behind, and what `kill -9` leaves is removed by the next command.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write, pipe};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{self, Home, PATIENCE, eventually, integrity, output_of, read_by_somebody, sqlite, within};

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
    let began = Instant::now();
    while !draft.exists() {
        if child.try_wait().expect("a child").is_some() {
            return None;
        }
        assert!(began.elapsed() < PATIENCE, "the command neither begins nor ends");
        std::hint::spin_loop();
    }
    // Stopped first, so that it does not end before the signal reaches it on a busy machine.
    for signal in [Signal::STOP, signal, Signal::CONT] {
        kill_process(Pid::from_child(&child), signal).expect("signalled");
    }
    let output = output_of("the command", child);
    let code = output.status.code().or(output.status.signal()).expect("a code");
    (code != 0).then(|| (code, String::from_utf8(output.stderr).expect("text")))
}

/// Returns whether these tests were started with `nohup`, so that every command that they start ignores SIGHUP.
fn ignores_hangup() -> bool {
    let status = fs::read_to_string("/proc/self/status").expect("a status");
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("a line");
    let ignored = u64::from_str_radix(ignored.trim(), 16).expect("a number");
    ignored & (1 << (Signal::HUP.as_raw() - 1)) != 0
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
            if signal == Signal::HUP && ignores_hangup() {
                println!("skipped: SIGHUP, which these tests were started to ignore");
                continue;
            }
            let ended = (0..200).find_map(|_| {
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
        harness::ended(&format!("{words:?}"), &mut child);
        assert_eq!(home.files(), before, "{words:?}");
    }
}

/// A pipe with a name, which holds whoever opens it until somebody opens its other end.
pub fn named_pipe(home: &Home, name: &str) {
    let made = Command::new("mkfifo").arg(home.path(name)).status().expect("it runs");
    assert!(made.success());
}

/// Sends a signal to a command that waits for something. Returns its exit code, or the number of the signal that ended
/// it, and its last words.
fn ended(child: Child, signal: Signal) -> (i32, String) {
    kill_process(Pid::from_child(&child), signal).expect("signalled");
    let output = output_of("the command", child);
    let code = output.status.code().or(output.status.signal()).expect("a code");
    (code, String::from_utf8(output.stderr).expect("text"))
}

#[test]
fn a_reading_command_that_is_interrupted_says_so() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    // More entries than a pipe holds.
    for _ in 0..200 {
        assert_eq!(server.call_as(&owner, "GET", "/user/profile").status, 200);
    }
    assert_eq!(server.stop().0, Some(0));
    named_pipe(&home, "pipe");
    let before = home.files();
    let told = "orgkeys: interrupted: no unfinished file is left behind\n";
    for words in [&["audit", "verify", "--file", "pipe"][..], &["doctor", "--tls-cert", "pipe", "--tls-key", "pipe"]] {
        let child = start(&home, words);
        // It is open once the command reads it.
        let pipe = read_by_somebody(&home.path("pipe"));
        assert_eq!(ended(child, Signal::INT), (130, told.to_owned()), "{words:?}");
        drop(pipe);
        assert_eq!(home.files(), before, "{words:?}");
    }
    let mut export = home.orgkeys(&["audit", "export"]);
    let mut child = export.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let mut stdout = child.stdout.take().expect("a pipe");
    let stdout = within("the export begins", move || stdout.read_exact(&mut [0]).map(|()| stdout)).expect("a byte");
    assert_eq!(ended(child, Signal::INT), (130, told.to_owned()), "the export");
    drop(stdout);
    assert_eq!(home.files(), before);
}

#[test]
fn a_command_that_was_started_to_survive_its_terminal_survives_it() {
    let home = large();
    let draft = home.path("copy.db.orgkeys-draft");
    let program = env!("CARGO_BIN_EXE_orgkeys");
    let survived = (0..20).any(|_| {
        // As `nohup` does.
        let mut shell = Command::new("sh");
        let script = format!("trap '' HUP; exec '{program}' backup copy.db");
        shell.current_dir(home.path("")).env_clear().args(["-c", &script]);
        let mut child = start_with(&mut shell, Stdio::piped());
        let began = Instant::now();
        while !draft.exists() && child.try_wait().expect("a child").is_none() {
            assert!(began.elapsed() < PATIENCE, "the command neither begins nor ends");
            std::hint::spin_loop();
        }
        let was_running = child.try_wait().expect("a child").is_none();
        if was_running {
            kill_process(Pid::from_child(&child), Signal::HUP).expect("signalled");
        }
        let output = output_of("the command", child);
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
        assert_eq!(integrity(&home.path("copy.db")), "ok");
        fs::remove_file(home.path("copy.db")).expect("a backup");
        was_running
    });
    assert!(survived, "it was never signalled");
}

#[test]
fn a_signal_after_the_result_is_in_its_place_changes_nothing() {
    let home = Home::new();
    assert_eq!(home.first_start().0.stop().0, Some(0));
    // A pipe that is full: the command has its result, and cannot report it yet.
    let (mut reader, mut writer) = pipe().expect("a pipe");
    let flags = fcntl_getfl(&writer).expect("flags");
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).expect("set");
    while matches!(writer.write(&[b'.'; 4_096]), Ok(1..)) {}
    fcntl_setfl(&writer, flags).expect("set");
    let mut backup = home.orgkeys(&["backup", "copy.db"]);
    let child = backup.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped()).spawn().expect("it runs");
    drop(backup);
    eventually("a backup is made", || home.path("copy.db").exists().then_some(()));
    kill_process(Pid::from_child(&child), Signal::INT).expect("signalled");
    let printed = within("the command ends its output", move || {
        let mut printed = String::new();
        reader.read_to_string(&mut printed).map(|_| printed)
    });
    let (printed, output) = (printed.expect("text"), output_of("the command", child));
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    assert!(printed.trim_start_matches('.').starts_with("copy.db holds the database as of "), "{printed}");
    assert_eq!(integrity(&home.path("copy.db")), "ok");
}
