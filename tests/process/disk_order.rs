//! A file that replaces another one is complete and on the disk before it gets the name, and the name is on the disk before
//! the command ends.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::client_output::impostor;
use crate::harness::{Home, eventually, run};

/// Compiles the library that notes the calls of the program into which it is preloaded.
fn library(home: &Home) -> PathBuf {
    let (source, library) =
        (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/process/disk_order.c"), home.path("disk_order.so"));
    let compiled = run(Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source));
    assert_eq!(compiled.code, Some(0), "{compiled:?}");
    library
}

/// What was noted, each line in its words. A relative path begins at the home.
fn noted(home: &Home) -> Vec<Vec<String>> {
    let folder = fs::canonicalize(home.path("")).expect("a folder");
    let word = |word: &str| match word {
        "sync" | "rename" | "write" => word.to_owned(),
        path => folder.join(path).display().to_string(),
    };
    let trace = fs::read_to_string(home.path("trace")).expect("a trace");
    fs::remove_file(home.path("trace")).expect("removed");
    trace.lines().map(|line| line.split('\t').map(word).collect()).collect()
}

/// Checks that each file is synced between its last write and its renaming, and its folder after that. Returns the names
/// of the files that were renamed, and what they became.
fn renamed(trace: &[Vec<String>]) -> Vec<(String, String)> {
    let (mut unsynced, mut renamed) = (HashMap::new(), Vec::new());
    let name = |path: &str| Path::new(path).file_name().expect("a name").to_string_lossy().into_owned();
    for (at, call) in trace.iter().enumerate() {
        match call.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["write", path] => drop(unsynced.insert(path, at)),
            ["sync", path] => drop(unsynced.remove(path)),
            ["rename", from, to] => {
                assert!(!unsynced.contains_key(from), "{from} is not on the disk when it becomes {to}: {trace:#?}");
                let folder = Path::new(to).parent().expect("a folder").display().to_string();
                let later = &trace[at..];
                let is_synced = later.iter().any(|call| *call == ["sync".to_owned(), folder.clone()]);
                assert!(is_synced, "the name {to} is not on the disk at the end: {trace:#?}");
                renamed.push((name(from), name(to)));
            }
            ref other => panic!("{other:?}"),
        }
    }
    renamed
}

/// Whether a file of this name was written to.
fn is_written(trace: &[Vec<String>], name: &str) -> bool {
    trace.iter().any(|call| call[0] == "write" && Path::new(&call[1]).file_name().is_some_and(|file| file == name))
}

#[test]
fn a_file_is_on_the_disk_before_it_replaces_another() {
    let home = Home::new();
    let library = library(&home);
    let traced = |command: &mut Command| {
        command.env("LD_PRELOAD", &library).env("TRACE", home.path("trace")).env("HOME", home.path(""));
    };
    let done = |words: &[&str]| {
        let mut command = home.orgkeys(words);
        traced(&mut command);
        let ran = run(&mut command);
        assert_eq!(ran.code, Some(0), "{words:?}: {ran:?}");
        noted(&home)
    };
    fs::create_dir(home.path("backups")).expect("a folder");
    let mut serve = home.serve(&["--backup-dir", "backups", "--backup-interval", "1s", "--backup-keep", "1h"]);
    traced(&mut serve);
    let server = home.start_with(&mut serve);
    let backups =
        || fs::read_dir(home.path("backups")).expect("a folder").map(|file| file.expect("a file").file_name());
    let is_backup = |name: &str| Path::new(name).extension().is_some_and(|end| end == "backup");
    eventually("the server made a backup", || backups().find(|name| is_backup(&name.to_string_lossy())));
    assert_eq!(server.stop().0, Some(0));
    let trace = noted(&home);
    let first_start = renamed(&trace);
    for name in ["orgkeys.db", "orgkeys.db.key"] {
        assert!(first_start.iter().any(|(_, to)| to == name), "{name}: {first_start:?}");
    }
    assert!(first_start.iter().any(|(from, to)| from.ends_with(".orgkeys-draft") && is_backup(to)), "{first_start:?}");
    // The first backup of this name, and one that replaces it.
    for _ in 0..2 {
        let trace = done(&["backup", "copy.db"]);
        let draft = ("copy.db.orgkeys-draft".to_owned(), "copy.db".to_owned());
        let marker = ("orgkeys.db.last-backup.new".to_owned(), "orgkeys.db.last-backup".to_owned());
        assert_eq!(renamed(&trace), [draft, marker]);
        assert!(is_written(&trace, "copy.db.orgkeys-draft") && !is_written(&trace, "copy.db"), "{trace:#?}");
    }
    let trace = done(&["restore", "copy.db"]);
    assert_eq!(renamed(&trace), [("orgkeys.db.restoring".to_owned(), "orgkeys.db".to_owned())]);
    assert!(is_written(&trace, "orgkeys.db.restoring"), "{trace:#?}");
    // An export replaces no file, but what it wrote is complete, too.
    let trace = done(&["audit", "export", "--out", "log.jsonl"]);
    assert_eq!(renamed(&trace).len(), 1, "{trace:#?}");
    // A new session must not be lost with the old one.
    fs::create_dir_all(home.path(".config/orgkeys")).expect("a folder");
    let profiles = home.write(".config/orgkeys/profiles.toml", "[profiles.work]\nurl = \"https://keys\"\n");
    fs::set_permissions(profiles, fs::Permissions::from_mode(0o600)).expect("set");
    let trace = done(&["profile", "use", "work"]);
    assert_eq!(renamed(&trace), [("profiles.toml.new".to_owned(), "profiles.toml".to_owned())]);
    assert!(is_written(&trace, "profiles.toml.new"), "{trace:#?}");
    // A secret that is shown only once.
    let url = format!("http://{}", impostor("200 OK", "{}".to_owned()));
    let trace = done(&["api", "getHealth", "--url", &url, "--out", "answer.json"]);
    let answer = home.path("answer.json").display().to_string();
    let calls: Vec<&str> = trace.iter().filter(|call| call[1] == answer).map(|call| call[0].as_str()).collect();
    assert_eq!(calls, ["write", "sync"], "{trace:#?}");
}
