//! What a person at a terminal gets: progress of long work, completions, and manual pages.

use std::fs;
use std::io::Write;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use crate::client_sessions::Terminal;
use crate::harness::{Home, ended, read_by_somebody, run, sqlite};
use crate::leftovers::named_pipe;
use crate::missing::has;

/// Runs a command whose standard error is a terminal. Returns its standard output, and what the terminal showed.
fn at_terminal(home: &Home, words: &[&str]) -> (String, String) {
    let program = env!("CARGO_BIN_EXE_orgkeys");
    let line = format!("exec '{program}' {} >stdout", words.join(" "));
    let mut script = Command::new("script");
    script.current_dir(home.path("")).env("TERM", "xterm").args(["-qec", &line, "shown"]);
    let ran = run(&mut script);
    assert_eq!(ran.code, Some(0), "{words:?}: {ran:?}");
    let read = |name| String::from_utf8_lossy(&fs::read(home.path(name)).expect("a file")).into_owned();
    (read("stdout"), read("shown"))
}

#[test]
fn long_work_shows_its_progress_at_a_terminal_and_nowhere_else() {
    if !has("script") {
        return;
    }
    let home = Home::new();
    assert_eq!(home.first_start().0.stop().0, Some(0));
    let conn = sqlite(&home.database);
    conn.execute_batch("CREATE TABLE pad (bytes); INSERT INTO pad VALUES (zeroblob(20000000)); DROP TABLE pad")
        .expect("grown");
    conn.close().expect("closed");
    let whats = |words: &[&str]| match words[0] {
        "backup" => vec!["Copying the database", "Computing the checksum"],
        "restore" => vec!["Checking every page", "Verifying the audit log", "Copying the backup"],
        "doctor" => vec!["Checking every page", "Verifying the audit log"],
        _ if words.contains(&"--file") => vec!["Verifying the export"],
        _ if words.contains(&"export") => vec!["Exporting the audit log"],
        _ => vec!["Verifying the audit log"],
    };
    for words in [
        &["backup", "copy.db"][..],
        &["doctor"],
        &["audit", "verify"],
        &["audit", "export", "--out", "log"],
        &["audit", "verify", "--file", "log"],
        &["restore", "copy.db"],
    ] {
        let (stdout, shown) = at_terminal(&home, words);
        for what in whats(words) {
            assert!(shown.contains(what), "{words:?} does not show {what:?}: {shown:?}");
            assert!(!stdout.contains(what), "{words:?}: {stdout}");
        }
        let known = shown.contains(" %, ") && shown.contains(" left") || words[0] == "doctor";
        assert!(known, "{words:?} does not say how far and how long: {shown:?}");
        // The line is removed at the end.
        let last = shown.trim_end().lines().rev().find(|line| !line.starts_with("Script done")).unwrap_or_default();
        assert!(last.trim_end_matches('\r').ends_with("\u{1b}[2K"), "{words:?}: {shown:?}");
    }
    fs::remove_file(home.path("log")).expect("removed");
    for words in
        [&["backup", "copy.db"][..], &["doctor"], &["audit", "verify"], &["audit", "export"], &["restore", "copy.db"]]
    {
        let ran = home.run(words);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{words:?}");
    }
}

#[test]
fn an_interrupted_command_removes_its_line_from_the_terminal() {
    let home = Home::new();
    assert_eq!(home.first_start().0.stop().0, Some(0));
    let export = home.done(&["audit", "export"]);
    named_pipe(&home, "pipe");
    let mut verify = home.orgkeys(&["audit", "verify", "--file", "pipe"]);
    verify.env("TERM", "xterm");
    let mut terminal = Terminal::start(verify);
    let mut pipe = read_by_somebody(&home.path("pipe"));
    // The first entry; the command waits for the next one.
    let (entry, _) = export.split_once('\n').expect("an entry");
    writeln!(pipe, "{entry}").expect("written");
    terminal.shows("Verifying the export");
    kill_process(Pid::from_child(&terminal.child), Signal::INT).expect("signalled");
    let shown = terminal.shows("no unfinished file is left behind");
    assert_eq!(ended("the command", &mut terminal.child).code(), Some(130));
    assert!(shown.contains("\u{1b}[2Korgkeys: interrupted: "), "the line is still there: {shown:?}");
}

/// What bash offers after these words, of which the last is being typed.
fn offered(home: &Home, words: &[&str]) -> Vec<String> {
    let (before, current) = (words.len() - 1, words[words.len() - 1]);
    let list = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
    let previous = if before == 0 { "" } else { words[before - 1] };
    // As bash does: without an offer, `-o default` completes the names of files.
    let script = format!(
        "compopt() {{ :; }}; source ./orgkeys.bash; COMP_WORDS=({list}); COMP_CWORD={before}; COMPREPLY=()
         _orgkeys orgkeys '{current}' '{previous}'
         [ ${{#COMPREPLY[@]}} -gt 0 ] || COMPREPLY=($(compgen -f -- '{current}'))
         printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let mut bash = Command::new("bash");
    let ran = run(bash.current_dir(home.path("")).args(["--norc", "-c", &script]));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn completions_complete_values() {
    if !has("bash") {
        return;
    }
    let home = Home::new();
    home.write("orgkeys.bash", home.done(&["completions", "bash"]));
    home.write("copy.db", "");
    let files = ["copy.db", "orgkeys.bash"];
    for (words, expected) in [
        (&["orgkeys", "serve", "--log", ""][..], &["error", "warn", "info", "debug", "trace"][..]),
        (&["orgkeys", "serve", "--log-format", "j"], &["json"]),
        (&["orgkeys", "serve", "--tls-cert", ""], &files),
        (&["orgkeys", "serve", "--metrics-token-file", "c"], &["copy.db"]),
        (&["orgkeys", "--database", ""], &files),
        (&["orgkeys", "org", "list", "--database", "c"], &["copy.db"]),
        (&["orgkeys", "restore", ""], &files),
        (&["orgkeys", "backup", "c"], &["copy.db"]),
        (&["orgkeys", "man", ""], &files),
        (&["orgkeys", "restore", "--database", "copy.db", ""], &files),
        (&["orgkeys", "audit", "verify", "--head", "o"], &["orgkeys.bash"]),
        (&["orgkeys", "user", "create", "--role", "A"], &["ADMINISTRATOR"]),
        (&["orgkeys", "sign", "--provider", "A"], &["AZURE", "AWS"]),
        (&["orgkeys", "sign", "--key", "o"], &["orgkeys.bash"]),
        (&["orgkeys", "completions", "z"], &["zsh"]),
        (&["orgkeys", "restore", "--keep"], &["--keep-tokens"]),
        (&["orgkeys", "hea"], &["healthcheck"]),
    ] {
        let mut found = offered(&home, words);
        let mut expected: Vec<String> = expected.iter().map(|word| (*word).to_owned()).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{words:?}");
    }
    // Only what the command takes is offered.
    assert!(!offered(&home, &["orgkeys", "sign", "--"]).contains(&"--database".to_owned()));
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let script = home.done(&["completions", shell]);
        assert!(script.contains("ADMINISTRATOR") || !["zsh", "fish"].contains(&shell), "{shell}");
    }
}

#[test]
fn every_command_has_a_manual_page_that_man_can_show() {
    let home = Home::new();
    fs::create_dir(home.path("man1")).expect("a folder");
    home.done(&["man", "man1"]);
    let page = fs::read_to_string(home.path("man1/orgkeys-user-create.1")).expect("a page");
    assert!(page.contains(".SH EXAMPLE\n") && page.contains("orgkeys user create"), "{page}");
    assert!(page.contains("ADMINISTRATOR"), "{page}");
    if !has("man") {
        return;
    }
    // As one page, since starting man for each of them takes long.
    let pages = fs::read_dir(home.path("man1")).expect("a folder").map(|entry| entry.expect("an entry").path());
    let pages: Vec<_> = pages.map(|path| fs::read_to_string(path).expect("a page")).collect();
    let all = home.write("all.1", pages.concat());
    let ran = run(Command::new("man").env("MANWIDTH", "80").args(["--warnings", "-l", "-P", "cat"]).arg(all));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let shown = ran.stdout.lines().filter(|line| line.trim() == "SYNOPSIS").count();
    assert!(pages.len() > 50 && shown == pages.len(), "{shown} of {} pages: {}", pages.len(), ran.stdout);
}
