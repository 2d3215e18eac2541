//! Names that a user gives, and names of our own files: no command writes over the other's.

use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use std::process::Stdio;

use crate::harness::{Home, Ran, ended, mode, output_of, run};

/// The endings of the names of our own files and SQLite's, beside a database or a backup.
const OURS: [&str; 16] = [
    "-journal",
    "-wal",
    "-wal.new",
    "-shm",
    ".key",
    ".key.new",
    ".lock",
    ".backup.lock",
    ".new",
    ".reserve",
    ".last-backup",
    ".last-backup.new",
    ".restoring",
    ".restoring-wal",
    ".sock",
    ".orgkeys-draft",
];

/// A stopped server's database, and another one in the folder `other`. Their reserves are small: they are read often.
fn two_databases() -> Home {
    let home = Home::new();
    fs::create_dir(home.path("other")).expect("a folder");
    for database in ["orgkeys.db", "other/orgkeys.db"] {
        let mut command = home.serve(&["--database", database, "--disk-reserve", "4KiB"]);
        assert_eq!(home.start_with(&mut command).stop().0, Some(0));
    }
    home
}

fn contents(home: &Home) -> Vec<(PathBuf, Vec<u8>)> {
    let files = ["", "other"].into_iter().flat_map(|folder| fs::read_dir(home.path(folder)).expect("a folder"));
    let mut files: Vec<PathBuf> = files.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.is_file() && !path.ends_with("stderr.log"));
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read(&path).expect("bytes"))).collect()
}

/// Expects a refusal that names the reason and changes no file.
fn refused(home: &Home, words: &[&str], code: i32, expected: &str) {
    let before = contents(home);
    let Ran { code: found, stdout, stderr } = home.run(words);
    assert_eq!((found, stdout.as_str()), (Some(code), ""), "{words:?}: {stderr}");
    assert!(stderr.contains(expected), "{words:?}: {stderr}");
    assert!(contents(home) == before, "{words:?} changed a file: {:?}", home.files());
}

#[test]
fn nothing_is_written_to_a_name_of_our_own_files() {
    let home = two_databases();
    let reserved = "is a name that orgkeys reserves for its own files";
    for ending in OURS {
        // Beside this database, beside one that the command does not know, and beside one that may be made later.
        for base in ["orgkeys.db", "other/orgkeys.db", "later.db"] {
            refused(&home, &["backup", &format!("{base}{ending}")], 1, reserved);
        }
        // The ending alone decides, so one place is enough for the other commands.
        let name = format!("orgkeys.db{ending}");
        refused(&home, &["audit", "export", "--out", &name], 1, reserved);
        refused(&home, &["serve", "--listen", "127.0.0.1:0", "--database", &name], 1, "database must not end in ");
        refused(&home, &["restore", "--database", &name, "whole"], 1, "database must not end in ");
        if ending != ".key" {
            let words = ["serve", "--listen", "127.0.0.1:0", "--key-file", &name];
            refused(&home, &words, 1, "key_file must not end in ");
        }
    }
    for kept in ["orgkeys.db.before-1795949749440", "orgkeys.db.before-1795949749440-wal", "orgkeys.db.v1"] {
        refused(&home, &["backup", kept], 1, reserved);
    }
    refused(
        &home,
        &["serve", "--listen", "127.0.0.1:0", "--key-file", "orgkeys.db"],
        1,
        "another file than the database",
    );
    std::os::unix::fs::symlink(home.path("orgkeys.db.key"), home.path("link")).expect("a link");
    refused(&home, &["backup", "link"], 1, reserved);
    home.write("orgkeys.db.before-1", "");
    std::os::unix::fs::symlink(home.path("orgkeys.db.before-1"), home.path("kept")).expect("a link");
    refused(&home, &["backup", "kept"], 1, "it is an earlier state of a database");
}

#[test]
fn a_backup_may_have_the_name_that_comes_to_mind_and_stays_one() {
    let home = two_databases();
    for name in ["orgkeys.db.backup", "other/orgkeys.db.backup", "orgkeys.db.bak", "orgkeys.db.old", "orgkeys.v1"] {
        home.done(&["backup", name]);
    }
    // Neither another backup of either database nor a start takes them for its own.
    home.done(&["backup", "again.db"]);
    home.done(&["backup", "again.db", "--database", "other/orgkeys.db"]);
    assert_eq!(home.start().stop().0, Some(0));
    for name in ["orgkeys.db.backup", "other/orgkeys.db.backup", "orgkeys.db.bak", "orgkeys.db.old", "orgkeys.v1"] {
        home.done(&["audit", "verify", "--database", name]);
        home.done(&["restore", "--database", "fresh.db", name]);
    }
}

#[test]
fn a_restore_refuses_the_files_that_it_would_remove() {
    let home = two_databases();
    home.done(&["backup", "whole.db"]);
    for ending in ["", ".restoring", ".orgkeys-draft", ".new"] {
        let name = format!("orgkeys.db{ending}");
        if !ending.is_empty() {
            fs::copy(home.path("whole.db"), home.path(&name)).expect("copied");
        }
        let expected = if ending.is_empty() { "is the database itself" } else { "reserves for its own files" };
        refused(&home, &["restore", &name], 1, expected);
    }
    // A database that an earlier restore kept is a backup like any other.
    fs::copy(home.path("whole.db"), home.path("orgkeys.db.before-1")).expect("copied");
    home.done(&["restore", "orgkeys.db.before-1"]);
}

#[test]
fn no_command_prints_into_a_database_or_a_file_beside_one() {
    let home = two_databases();
    home.done(&["backup", "whole.db"]);
    for name in ["orgkeys.db", "orgkeys.db.key", "orgkeys.db.lock", "other/orgkeys.db.last-backup", "whole.db"] {
        home.write("other/orgkeys.db.last-backup", "{}");
        for words in [&["audit", "export"][..], &["audit", "head"], &["completions", "bash"], &["openapi"]] {
            let before = contents(&home);
            let append = OpenOptions::new().append(true).open(home.path(name)).expect("a file");
            let mut command = home.orgkeys(words);
            command.stdin(Stdio::null()).stdout(append).stderr(Stdio::piped());
            let output = output_of(&format!("{command:?}"), command.spawn().expect("it runs"));
            let stderr = String::from_utf8(output.stderr).expect("text");
            assert_eq!(output.status.code(), Some(2), "{name} {words:?}: {stderr}");
            assert!(stderr.starts_with("orgkeys: standard output is ") && stderr.contains(name), "{stderr}");
            assert!(contents(&home) == before, "{words:?} changed {name}");
        }
    }
    // A name that only looks so.
    let heads = fs::File::create(home.path("heads.new")).expect("a file");
    let mut child = home.orgkeys(&["audit", "head"]).stdout(heads).spawn().expect("it runs");
    let status = ended("audit head", &mut child);
    assert!(status.success());
    home.done(&["audit", "verify", "--head", "heads.new"]);
}

#[test]
fn manual_pages_and_exports_never_replace_other_files() {
    let home = two_databases();
    fs::create_dir(home.path("man")).expect("a folder");
    home.done(&["man", "man"]);
    home.done(&["man", "man"]);
    let pages = fs::read_dir(home.path("man")).expect("a folder").count();
    assert!(pages > 20, "{pages} pages");
    assert_eq!(mode(&home.path("man/orgkeys-serve.1")), 0o644, "everybody may read a manual page");
    fs::copy(home.path("orgkeys.db"), home.path("man/orgkeys-serve.1")).expect("copied");
    let before = fs::read(home.path("man/orgkeys-serve.1")).expect("bytes");
    let ran = home.run(&["man", "man"]);
    assert_eq!((ran.code, ran.stderr.contains("is not a manual page of orgkeys")), (Some(1), true), "{ran:?}");
    assert!(fs::read(home.path("man/orgkeys-serve.1")).expect("bytes") == before);
    home.write("log.jsonl", "mine");
    let ran = home.run(&["audit", "export", "--out", "log.jsonl"]);
    assert_eq!((ran.code, ran.stderr.contains("exists already: name another file")), (Some(1), true), "{ran:?}");
    assert_eq!(fs::read(home.path("log.jsonl")).expect("bytes"), b"mine");
    assert_eq!(home.done(&["audit", "export", "--out", "new.jsonl"]), "new.jsonl has 3 entries\n");
    home.done(&["backup", "new.backup"]);
    assert_eq!((mode(&home.path("new.jsonl")), mode(&home.path("new.backup"))), (0o600, 0o600));
    assert_eq!(fs::read_to_string(home.path("new.jsonl")).expect("text"), home.done(&["audit", "export"]));
    let ran = run(&mut home.orgkeys(&["man", "missing"]));
    assert_eq!((ran.code, ran.stderr.starts_with("orgkeys: missing/orgkeys")), (Some(1), true), "{ran:?}");
}
